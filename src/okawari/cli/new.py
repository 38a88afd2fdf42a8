"""The command `okawari new`: write the case file for a table. Heavy imports are inside the functions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.cli.document import AsJson, print_document
from okawari.cli.options import Decimal, TimeFormat
from okawari.cli.table_options import (
    DatabaseUrl,
    DatabaseVariable,
    Encoding,
    Frequency,
    Holidays,
    Key,
    MissingWords,
    Query,
    Separator,
    TablePath,
    Thousands,
    Zone,
    choose_table,
    expect_format,
    state_format,
)
from okawari.settings import load_settings

if TYPE_CHECKING:
    from okawari.data.files import Table
    from okawari.data.tabular import RawTable
    from okawari.scaffold.guess import Guess


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new case, such as demand.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="Column to predict.")],
    csv: TablePath = None,
    sql: DatabaseUrl = None,
    sql_env: DatabaseVariable = None,
    query: Query = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of times; with it the case is a forecast.")
    ] = None,
    key: Key = "",
    time_format: TimeFormat = "",
    zone: Zone = "",
    frequency: Frequency = "",
    holidays: Holidays = "",
    separator: Separator = "",
    decimal: Decimal = "",
    thousands: Thousands = "",
    encoding: Encoding = "",
    missing: MissingWords = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the case's file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a case file for a table, with its task, columns and candidates.

    The file is written to OKAWARI_CASES_DIR (./cases). The command prints its assumptions, and the file lists them.
    What reads two ways is refused with the option that states it.

    Example: okawari new demand --csv sales.csv --target units
    """
    from datetime import UTC, datetime

    from okawari.data.files import TableFile
    from okawari.scaffold.codegen import require_free_name, save_draft
    from okawari.scaffold.guess import Wish
    from okawari.scaffold.infer import guess_case

    path = require_free_name(name, load_settings().cases_dir, overwrite=overwrite)
    source = choose_table(csv, sql, sql_env, query)
    if isinstance(source, TableFile):
        stated = state_format(separator, decimal, encoding)
        source = replace(source, format=expect_format(source.path, stated, thousands, missing))
    source, raw = _read(source)
    wish = Wish(
        name=name, target=target, time=time, time_format=time_format, key=key, zone=zone, frequency=frequency,
        holidays=holidays, about_file=_describe_file(source, raw),
    )  # fmt: skip
    guess = guess_case(raw.frame, source, wish, datetime.now(UTC))
    save_draft(guess, path)
    _print_guess(guess, raw, path, as_json=as_json)


def _read(source: Table) -> tuple[Table, RawTable]:
    """The table, and its source with the format by which it was read."""
    from okawari.data.files import TableFile
    from okawari.data.tabular import read_table

    raw = read_table(source)
    return replace(source, format=raw.format) if isinstance(source, TableFile) else source, raw


def _describe_file(source: Table, raw: RawTable) -> str:
    """What was found out about how the file is written; empty for plain files."""
    from okawari.data.file_format import PLAIN

    if raw.format == PLAIN:
        return " ".join(raw.assumed)
    words = f" The words {', '.join(map(repr, raw.format.missing_words))} mean an empty field."
    return f"The file has {raw.format.describe()}.{words * bool(raw.format.missing_words)}"


def _print_guess(guess: Guess, raw: RawTable, path: Path, *, as_json: bool) -> None:
    """The assumptions on stdout, and what needs a person's eye on stderr."""
    from okawari.scaffold.codegen import describe_guess

    if raw.broken:
        row, reason = next(iter(raw.broken.items()))
        print(
            f"{_name_source(guess)}: {len(raw.broken)} malformed lines left out; first: row {row}: {reason}",
            file=sys.stderr,
        )
    for warning in guess.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    described = describe_guess(guess)
    if as_json:
        document = {"case": guess.case.name, "path": path, "title": guess.case.title, "assumptions": described}
        print_document({**document, "warnings": list(guess.warnings)})
        return
    print(f"{path}: {guess.case.title}")
    width = max(map(len, described))
    for what, value in described.items():
        print(f"  {what:<{width}}  {value}")
    print(f"Read the file and correct what is wrong; then run: OKAWARI_CASES={guess.case.name} okawari up")


def _name_source(guess: Guess) -> str:
    path = getattr(guess.case.source, "path", None)
    return path.name if isinstance(path, Path) else "the query"
