"""The command `okawari quantize`: what 8 bits bring. Registered in `okawari.cli`; heavy imports wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.settings import load_settings

if TYPE_CHECKING:
    from okawari.comparison import Watch
    from okawari.models.recipe import Progress, Recipe


def quantize(
    case: Annotated[str, typer.Argument(help="Name of a case, such as diabetes.")],
    candidate: Annotated[list[str] | None, typer.Option(help="Only this candidate; may be given again.")] = None,
) -> None:
    """Compare 32 with 8 bits for each candidate: size, speed, loss and changed answers on held-out data.

    Fits the candidates here, on the newest snapshot or, before the first ingest, on the case's source; needs no server
    and changes nothing. A training records the same table for its challenger.
    Example: okawari quantize diabetes
    """
    from okawari.cases import load_case
    from okawari.comparison import compare_candidates, find_candidates
    from okawari.contest import choose_candidates
    from okawari.terminal import report_progress, show_variants

    problem, settings = load_case(case), load_settings()
    chosen = choose_candidates(problem, settings.candidate_names)
    recipes = find_candidates(problem, candidate) if candidate else chosen
    with report_progress() as report:
        watch, device = _tell_steps(case, report), settings.device
        compared = [*compare_candidates(problem, recipes, watch, device=device, threads=settings.threads)]
    for each in compared:
        show_variants(each)


def _tell_steps(case: str, report: Any) -> Watch:
    """Progress as the lines that the terminal turns into a bar."""

    def watch(recipe: Recipe) -> Progress:
        report.pause_text(f"{case}: {recipe.name}")

        def show(done: int, planned: int, numbers: Mapping[str, float]) -> None:
            values = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
            report(f"{case}: {recipe.name}: step {done} of {planned}, {values}")

        return show

    return watch
