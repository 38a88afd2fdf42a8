"""The command `okawari readings`: a snapshot as a file. Registered in `okawari.cli.main`; heavy imports wait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def readings(
    case: Annotated[str, typer.Argument(help="Name of a case, such as aapl.")],
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The .csv or .parquet file to write.")],
    snapshot: Annotated[int | None, typer.Option(help="An earlier snapshot instead of the newest.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a snapshot's readings to a file, as they were known then; a label is written as its word.

    Needs no server. The number of the newest snapshot is in `okawari status`; they count from 0.
    Example: okawari readings aapl before.csv --snapshot 0
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import show_exported
    from okawari.storage.export import export_readings

    show_exported(export_readings(load_case(case), target, snapshot, overwrite=overwrite), target)
