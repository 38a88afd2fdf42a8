"""The command `okawari run`: one round of a case's loop. Heavy imports are inside the functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from okawari.cli.document import AsJson, divert_text
from okawari.cli.each_case import Failures, do_each, end_command
from okawari.cli.options import Day, Decimal, TimeFormat
from okawari.cli.status import describe_status, print_cases, show_status
from okawari.settings import load_settings


def run(
    case: Annotated[str | None, typer.Argument(metavar="CASE", help="Name of a case, such as aapl.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Run all cases of OKAWARI_CASES, one after the other.")] = False,
    until: Day = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table or folder of pictures to read instead of the source.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Read the case's live source.")] = False,
    new_edition: Annotated[
        bool, typer.Option("--new-edition", help="The source has published its history anew; take all its revisions.")
    ] = False,
    time_format: TimeFormat = "",
    decimal: Decimal = "",
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even if there is no reason.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a case once through the loop: ingest, check, monitor, and train if there is a reason. Needs `okawari up`.

    Exit codes: 0 the data is stored; 3 a delivery is held until a person decides (`okawari accept` or `okawari
    discard`); 4 the whole table is refused; 1 any other failure.

    Example: okawari run aapl --until 2008-06-30
    """
    from okawari.cases.loader import load_case
    from okawari.cli.deliveries import require_settled
    from okawari.cli.output import report_progress
    from okawari.cli.round import take_round
    from okawari.data.file_format import Stated
    from okawari.data.files import choose_source

    if (case is None) is not every:
        raise typer.BadParameter("Give the name of one case, or --all for all cases of OKAWARI_CASES.")
    if file is not None and live:
        raise typer.BadParameter("Both --file and --live are given, and one source is read. Leave one of them out.")
    given = {"until": until and until.date().isoformat(), "file": file and str(file.resolve()), "live": live}
    given |= {"new_edition": new_edition, "time_format": time_format, "decimal": decimal}
    stated = Stated(time_format=time_format, decimal=decimal)
    source = {key: value for key, value in given.items() if value}

    failed: Failures = {}
    held: Failures = {}
    found: list[dict[str, Any]] = []

    def act_on(act: Callable[[str], object]) -> Failures:
        return do_each(case, [name for name in load_settings().case_names if name not in failed], act)

    with divert_text(as_json):
        failed |= act_on(lambda name: choose_source(load_case(name), file, live, stated))
        with report_progress() as report:
            failed |= act_on(lambda name: take_round(name, report, retrain=retrain, **source))
        shown = (lambda name: found.append(_describe(name)),) if as_json else (show_training, show_status)
        for show in shown:
            failed |= act_on(show)
    try:
        held |= act_on(require_settled)
    finally:
        if as_json:
            print_cases(case, found, failed, held=held)
    end_command(failed, held)


def _describe(name: str) -> dict[str, Any]:
    """The state of a case, with the leaderboard of its newest training."""
    from okawari.errors import NotYet
    from okawari.loop.leaderboards import load_board

    try:
        board = load_board(name)
    except NotYet:
        board = None
    return {**describe_status(name), "leaderboard": board}


def show_training(name: str) -> None:
    """Show the leaderboard of the training that produced the champion."""
    from okawari.cli.output import show_leaderboard
    from okawari.registry import runs, versions

    champion = versions.load_champion(name)
    if champion is not None:
        rows = runs.load_leaderboard(champion.run_id)
        show_leaderboard(rows, f"\n{name}: the training of version {champion.version}")
