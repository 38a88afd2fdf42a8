"""The command line: `okawari new | up | run | status | predict | score | quantize | ...`.

Heavy imports are inside the functions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from okawari import __version__
from okawari.cli.deliveries import accept, deliveries, discard
from okawari.cli.doctor import doctor
from okawari.cli.help import HelpfulCommand, HelpfulGroup
from okawari.cli.interrupts import stop_on_sigterm
from okawari.cli.keys import keys
from okawari.cli.leaderboard import leaderboard
from okawari.cli.migrate import migrate
from okawari.cli.new import new
from okawari.cli.options import Day, Decimal, Month, TimeFormat
from okawari.cli.outcomes import outcomes
from okawari.cli.predict import explain, predict, score
from okawari.cli.quantize import quantize
from okawari.cli.readings import readings
from okawari.cli.versions import approve, pin, promote, reject, rollback, unbar, unpin, versions
from okawari.errors import DeliveryHeld, OkawariError
from okawari.settings import Settings, load_settings
from okawari.storage.disk_faults import explain_disk_fault
from okawari.storage.group_lock import wait_for_restarts

app = typer.Typer(
    name="okawari",
    cls=HelpfulGroup,
    help="Keeps prediction models good: ingest, train, serve, monitor, retrain, swap.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_DECISIONS = (versions, rollback, promote, pin, unpin, approve, reject, unbar)
for command in (
    predict,
    score,
    outcomes,
    explain,
    leaderboard,
    new,
    quantize,
    readings,
    deliveries,
    accept,
    discard,
    migrate,
    doctor,
    *_DECISIONS,
):
    app.command(cls=HelpfulCommand)(command)
app.add_typer(keys)


def main() -> None:
    """Entry point: an `OkawariError` or a fault of the disk becomes one sentence on stderr, and an exit code."""
    try:
        app()
    except OkawariError as error:
        sentence, code = str(error), error.exit_code
    except Exception as error:
        found = explain_disk_fault(error)
        if found is None:
            raise
        sentence, code = found, 1
    else:
        return
    print(f"okawari: {sentence}", file=sys.stderr)
    raise SystemExit(code)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if context.invoked_subcommand != "loop":  # it counts requests that fail while a server restarts
        wait_for_restarts()
    if version:
        print(f"okawari {__version__}")
        raise typer.Exit


@app.command(cls=HelpfulCommand)
def up(
    once: Annotated[bool, typer.Option("--once", help="Stop after the first round.")] = False,
) -> None:
    """Start all servers on this machine, run each case once through the loop, and serve until Ctrl-C.

    State is stored in OKAWARI_HOME (./.okawari). A case that has a champion is trained again only if there is a reason.
    """
    from okawari.cli.each_case import attempt_each, require_loadable, show_failures
    from okawari.cli.output import report_progress, show_urls
    from okawari.local.supervisor import run_group

    settings = load_settings()
    with stop_on_sigterm(), ExitStack() as running:
        names, broken = require_loadable(settings.case_names)
        show_failures(broken)
        with report_progress() as report:
            group = running.enter_context(run_group(settings, report))
            failed = broken | _take_rounds(names, report)
        attempt_each(names, _show_leaderboard)
        show_urls(_list_urls(settings))
        show_failures(failed)
        if once:
            raise typer.Exit(1 if failed else 0)
        print("All servers are running; press Ctrl-C to stop them.")
        group.serve()


@app.command(cls=HelpfulCommand)
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
    given = {"until": until and until.date().isoformat(), "file": file and str(file.resolve()), "live": live}
    given |= {"new_edition": new_edition, "time_format": time_format, "decimal": decimal}
    source = {key: value for key, value in given.items() if value}
    stated = Stated(time_format=time_format, decimal=decimal)

    def do_each(act: Callable[[str], object]) -> None:
        failed.update(_do_each(case, [name for name in load_settings().case_names if name not in failed], act))

    failed: dict[str, str] = {}
    do_each(lambda name: choose_source(load_case(name), file, live, stated))
    with report_progress() as report:
        do_each(lambda name: take_round(name, report, retrain=retrain, **source))
    do_each(_show_leaderboard)
    do_each(_show_status)
    held: dict[str, str] = {}
    held.update(_do_each(case, [name for name in load_settings().case_names if name not in failed], require_settled))
    _end(failed, held)


@app.command(cls=HelpfulCommand)
def status(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="Name of a case; all served ones, if left out.")
    ] = None,
) -> None:
    """Show the snapshot, the champion, the served version, the last verdicts and the last decision."""
    from okawari.clients import prediction_service
    from okawari.registry.client import limit_waiting

    limit_waiting()
    names = prediction_service.list_case_names() if case is None else ()
    _end(_do_each(case, names, _show_status))


@app.command(cls=HelpfulCommand)
def loop(
    until: Month = datetime(2008, 12, 1),
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of resuming an interrupted run.")] = False,
) -> None:
    """Prove that the loop closes on real drift: the prices of 2008 arrive month by month, with no manual step.

    Only the random walk, SARIMA and the LSTM are trained, to keep it short; OKAWARI_CANDIDATES chooses others. The
    command uses its own ports and its own state (OKAWARI_HOME/loop).

    Exits with code 1 if any link of the loop does not hold.
    """
    from okawari.cli.output import report_progress, show_rehearsal
    from okawari.simulation.sandbox import isolate

    settings = isolate(load_settings(), fresh)
    with stop_on_sigterm(), report_progress() as report:
        months, links = _rehearse(settings, until.date(), report)
    show_rehearsal(months, links)
    if not all(link.held for link in links):
        raise typer.Exit(1)
    (settings.state_dir / "finished").touch()


def _take_rounds(names: Sequence[str], report: Any) -> dict[str, str]:
    """Run each case once through the loop; returns the failures, so that the other cases are served all the same.

    Raises:
        CasesFailed: all cases failed, and the service has no model of any.
    """
    from okawari.cli.each_case import attempt_each, raise_all
    from okawari.cli.round import take_round
    from okawari.clients.prediction_service import is_any_served

    failed = attempt_each(names, lambda name: take_round(name, report))
    if len(failed) == len(names) and not is_any_served():
        raise_all(failed)
    return failed


def _do_each(case: str | None, names: Sequence[str], act: Callable[[str], object]) -> dict[str, str]:
    """Call `act` with each name and return the failures; with the one case that was asked for, if any, and raise."""
    from okawari.cli.each_case import attempt_each

    if case is None:
        return attempt_each(names, act)
    act(case)
    return {}


def _end(failed: dict[str, str], held: dict[str, str] | None = None) -> None:
    """Print the failures and the held deliveries; exit with code 1 or 3 if there are any."""
    from okawari.cli.each_case import show_failures

    show_failures({**failed, **(held or {})})
    if failed or held:
        raise typer.Exit(1 if failed else DeliveryHeld.exit_code)


def _show_status(name: str) -> None:
    from okawari.cli.output import show_state
    from okawari.clients import prediction_service
    from okawari.errors import ServerUnreachable
    from okawari.loop.status import read_state

    problem = None
    try:
        serving = prediction_service.load_serving(name)
    except ServerUnreachable as unreachable:
        serving, problem = None, str(unreachable)
    show_state(read_state(name), serving, problem)


def _show_leaderboard(name: str) -> None:
    """Show the leaderboard of the training that produced the champion."""
    from okawari.cli.output import show_leaderboard
    from okawari.registry import runs, versions

    champion = versions.load_champion(name)
    if champion is not None:
        rows = runs.load_leaderboard(champion.run_id)
        show_leaderboard(rows, f"\n{name}: the training of version {champion.version}")


def _rehearse(settings: Settings, until: date, report: Any) -> tuple[Any, Any]:
    import pandas as pd

    from okawari.cases.loader import load_case
    from okawari.local.supervisor import run_group
    from okawari.simulation.runner import Rehearsal

    last = (pd.Timestamp(until) + pd.offsets.MonthEnd(0)).date()
    with run_group(settings, report):
        rehearsal = Rehearsal(load_case("aapl"), report, until=last)
        links = rehearsal.run()
    return rehearsal.months, links


def _list_urls(settings: Settings) -> dict[str, str]:
    return {
        "page": settings.page_base,
        "service": settings.service_base,
        "Prefect": f"{settings.page_base}/open/prefect",
        "MLflow": f"{settings.page_base}/open/mlflow",
    }


if __name__ == "__main__":
    main()
