"""The command `okawari quantize`: compare 8-bit variants with fp32. Heavy imports are inside the functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.errors import ServerUnreachable
from okawari.progress import count_step
from okawari.settings import load_settings

if TYPE_CHECKING:
    from okawari.case import Case
    from okawari.evaluation.variants import Compared, Watch
    from okawari.models.fit_context import Progress
    from okawari.models.protocols import Recipe


def quantize(
    case: Annotated[str, typer.Argument(metavar="CASE", help="Name of a case, such as diabetes.")],
    candidate: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Compare only this candidate; repeat the option for several."),
    ] = None,
) -> None:
    """Compare 32-bit with 8-bit graphs for each candidate: size, speed, loss and changed labels on held-out data.

    The candidates are fitted in this process, on the newest snapshot or, before the first ingest, on the source of the
    case. The command needs no server and changes no state. If MLflow is running, the table is recorded there; a
    training records the same table for its challenger.

    Example: okawari quantize diabetes
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import report_progress, show_variants
    from okawari.evaluation.candidates import choose_candidates
    from okawari.evaluation.variants import compare_candidates, find_candidates

    problem, settings = load_case(case), load_settings()
    chosen = choose_candidates(problem, settings.candidate_names)
    recipes = find_candidates(problem, candidate) if candidate else chosen
    with report_progress() as report:
        watch, device = _watch_fits(case, report), settings.device
        compared = [*compare_candidates(problem, recipes, watch, device=device, threads=settings.threads)]
    for each in compared:
        show_variants(each)
    typer.echo(_record(problem, compared))


def _record(case: Case, compared: Sequence[Compared]) -> str:
    """Record the table in MLflow, if it is running. Returns a message with the run's address, or why there is none."""
    from okawari.registry import client, runs

    try:
        client.require_server()
    except ServerUnreachable as error:
        return f"Not recorded. {error}"
    rows = [{"candidate": each.candidate, **row} for each in compared for row in each.comparison.table]
    decisions = {
        each.candidate: f"{each.comparison.decision.action}: {each.comparison.decision.reason}" for each in compared
    }
    return f"Recorded: {runs.page_url(runs.record_comparison(case, rows, decisions))}"


def _watch_fits(case: str, report: Any) -> Watch:
    """Show a progress bar for each fit."""

    def watch(recipe: Recipe) -> Progress:
        report.pause_text(f"{case}: {recipe.name}")

        def show(done: int, planned: int, numbers: Mapping[str, float]) -> None:
            report.show_step(count_step(recipe.name, done, planned, numbers))

        return show

    return watch
