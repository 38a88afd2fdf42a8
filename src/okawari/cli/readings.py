"""The command `okawari readings`: write a snapshot to a file. Heavy imports are inside the function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def readings(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Name of a case, such as aapl.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The .csv or .parquet file to write.")],
    snapshot: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Snapshot to write; the newest, if left out.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write the rows of a snapshot to a file, with the values of that snapshot. Labels are written as words.

    The command needs no server. `okawari status` shows the number of the newest snapshot; numbers start at 0.

    Example: okawari readings aapl before.csv --snapshot 0
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import show_exported
    from okawari.storage.export import export_readings

    chosen = load_case(case)
    show_exported(chosen, export_readings(chosen, target, snapshot, overwrite=overwrite), target)
