"""The command `okawari outcomes`: record true values from a table. Heavy imports are inside the function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.cli.document import AsJson, divert_text, print_document
from okawari.cli.predict import CaseName
from okawari.errors import DataRefused

if TYPE_CHECKING:
    from okawari.scoring.outcomes_file import Recorded

_SHOWN = 20


def outcomes(
    case: CaseName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table with one true value in each row.")],
    as_json: AsJson = False,
) -> None:
    """Record the true values of a table, so that the champion's performance is judged by them.

    Columns: id and index of an answer, or the user's own key (the column that the case names); value, or the name of
    the target; step of a forecast and target, where there are several. The service need not run. A row whose prediction
    is not on record, or whose value cannot be one, is refused with its reason; the other rows are recorded.

    Exits with code 4 if every row is refused.

    Example: okawari outcomes aapl truth.csv
    """
    from okawari.cases.loader import load_case
    from okawari.scoring.outcomes_file import record_file

    with divert_text(as_json):
        done = record_file(load_case(case), file)
    if as_json:
        print_document(_describe(case, file, done))
    else:
        _show(file, done)
    if done.rows and not done.accepted:
        raise DataRefused(f"{file}: all {done.rows} rows are refused; nothing was recorded. Correct the rows.")


def _describe(case: str, file: Path, done: Recorded) -> dict[str, object]:
    counts = {"rows": done.rows, "accepted": done.accepted, "refused": done.refused}
    reasons = [{"row": number, "reason": reason} for number, reason in done.reasons.items()]
    return {"case": case, "file": file, **counts, "reasons": reasons}


def _show(file: Path, done: Recorded) -> None:
    typer.echo(f"{file}: {done.reason}")
    for number, reason in list(done.reasons.items())[:_SHOWN]:
        typer.echo(f"  row {number}: {reason}")
    if done.refused > _SHOWN:
        typer.echo(f"  and {done.refused - _SHOWN} more rows; --json lists the first 1000 reasons")
