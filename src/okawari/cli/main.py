"""The command line: `okawari new | up | run | status | predict | score | quantize | ...`.

Heavy imports are inside the functions.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime
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
from okawari.cli.options import Month
from okawari.cli.outcomes import outcomes
from okawari.cli.predict import explain, predict, score
from okawari.cli.quantize import quantize
from okawari.cli.readings import readings
from okawari.cli.run import run, show_training
from okawari.cli.status import status
from okawari.cli.versions import approve, pin, promote, reject, rollback, unbar, unpin, versions
from okawari.errors import OkawariError
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
    run,
    status,
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
        attempt_each(names, show_training)
        show_urls(_list_urls(settings))
        show_failures(failed)
        if once:
            raise typer.Exit(1 if failed else 0)
        print("All servers are running; press Ctrl-C to stop them.")
        group.serve()


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
