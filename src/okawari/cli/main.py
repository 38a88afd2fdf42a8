"""The command line: `okawari new | up | run | status | predict | score | quantize | ...`.

Heavy imports are inside the functions.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from okawari import __version__
from okawari.cli.help import HelpfulCommand, HelpfulGroup
from okawari.cli.migrate import migrate
from okawari.cli.new import new
from okawari.cli.predict import explain, predict, score
from okawari.cli.quantize import quantize
from okawari.cli.readings import readings
from okawari.errors import OkawariError
from okawari.settings import Settings, load_settings

app = typer.Typer(
    name="okawari",
    cls=HelpfulGroup,
    help="Keeps prediction models good: ingest, train, serve, monitor, retrain, swap.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (predict, score, explain, new, quantize, readings, migrate):
    app.command(cls=HelpfulCommand)(command)
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day to read.")]
Month = Annotated[
    datetime,
    typer.Option(
        formats=["%Y-%m"], metavar="YYYY-MM", show_default=False, help="Last month to simulate; 2008-12, if left out."
    ),
]


def main() -> None:
    """Entry point: an `OkawariError` becomes one sentence on stderr and exit code 1."""
    try:
        app()
    except OkawariError as error:
        print(f"okawari: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
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
    from okawari.cli.output import report_progress, show_urls
    from okawari.local.supervisor import run_group

    settings = load_settings()
    with _stop_on_sigterm(), ExitStack() as running:
        with report_progress() as report:
            group = running.enter_context(run_group(settings, report))
            failed = _take_rounds(settings.case_names, report)
        for name in settings.case_names:
            _show_leaderboard(name)
        show_urls(_list_urls(settings))
        for name, error in failed.items():
            print(f"okawari: {name}: {error}", file=sys.stderr)
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
    retrain: Annotated[bool, typer.Option("--retrain", help="Train even if there is no reason.")] = False,
) -> None:
    """Run a case once through the loop: ingest, check, monitor, and train if there is a reason. Needs `okawari up`.

    Example: okawari run aapl --until 2008-06-30
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import report_progress
    from okawari.cli.round import take_round
    from okawari.data.files import choose_source

    if (case is None) is not every:
        raise typer.BadParameter("Give the name of one case, or --all for all cases of OKAWARI_CASES.")
    names = load_settings().case_names if case is None else (case,)
    for name in names:
        choose_source(load_case(name), file, live)
    given = {"until": until and until.date().isoformat(), "file": file and str(file.resolve()), "live": live}
    with report_progress() as report:
        for name in names:
            take_round(name, report, retrain=retrain, **{key: value for key, value in given.items() if value})
    for name in names:
        _show_leaderboard(name)
    for name in names:
        status(name)


@app.command(cls=HelpfulCommand)
def status(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="Name of a case; all served ones, if left out.")
    ] = None,
) -> None:
    """Show the snapshot, the champion, the served version, the last verdicts and the last decision."""
    from okawari.cli.output import show_state
    from okawari.clients import prediction_service
    from okawari.errors import ServerUnreachable
    from okawari.loop.status import read_state
    from okawari.registry.client import limit_waiting

    limit_waiting()
    for name in prediction_service.list_case_names() if case is None else (case,):
        problem = None
        try:
            serving = prediction_service.load_serving(name)
        except ServerUnreachable as unreachable:
            serving, problem = None, str(unreachable)
        show_state(read_state(name), serving, problem)


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
    with _stop_on_sigterm(), report_progress() as report:
        months, links = _rehearse(settings, until.date(), report)
    show_rehearsal(months, links)
    if not all(link.held for link in links):
        raise typer.Exit(1)
    (settings.state_dir / "finished").touch()


def _take_rounds(names: Sequence[str], report: Any) -> dict[str, OkawariError]:
    """Run each case once through the loop; returns the failed ones, so that the others are served all the same.

    Raises:
        RunFailed: all cases failed, and none of them has a champion to serve.
    """
    from okawari.cli.round import take_round
    from okawari.clients.orchestrator import RunFailed
    from okawari.registry import versions

    failed: dict[str, OkawariError] = {}
    for name in names:
        try:
            take_round(name, report)
        except RunFailed as error:
            failed[name] = error
    if len(failed) == len(names) and not any(versions.load_champion(name) for name in names):
        raise next(iter(failed.values()))
    return failed


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


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    """Make SIGTERM stop the servers as Ctrl-C does, and exit without a traceback on either."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # A shell that starts a process in the background makes it ignore SIGINT, so the handler is set explicitly.
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:
        print("Stopped.")
        raise SystemExit(130) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list_urls(settings: Settings) -> dict[str, str]:
    return {
        "page": f"http://{settings.host}:{settings.ui_port}",
        "service": settings.service_base,
        "Prefect": settings.prefect_base,
        "MLflow": settings.mlflow_base,
    }


if __name__ == "__main__":
    main()
