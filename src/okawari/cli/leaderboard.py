"""The command `okawari leaderboard`: the candidates of a training. Heavy imports are inside the functions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.cli.document import AsJson, divert_text, print_document
from okawari.cli.predict import CaseName
from okawari.errors import OkawariError

if TYPE_CHECKING:
    from okawari.loop.leaderboards import Leaderboard, Standing


def leaderboard(
    case: CaseName,
    version: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Version whose training is shown; the newest, if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the candidates of the newest training with their scores on the held-out rows, best first.

    The gain is how much lower a loss is than the baseline's, over all steps of a forecast; its p value is corrected for
    the number of candidates. Coverage is the share of true values inside the intervals.

    Example: okawari leaderboard aapl
    """
    from okawari.cases.loader import load_case
    from okawari.loop.leaderboards import load_board
    from okawari.registry.client import limit_waiting, require_server

    with divert_text(as_json):
        load_case(case)
        limit_waiting()
        require_server()
        board, serving = load_board(case, version), _find_serving(case)
    if as_json:
        print_document({**vars(board), "serving": serving})
    else:
        _show(board, serving)


def _find_serving(case: str) -> str | None:
    """The version that the service serves; None if it does not answer."""
    from okawari.clients.prediction_service import load_serving

    with suppress(OkawariError):  # the leaderboard is useful without the service, too
        served = load_serving(case)
        return None if served is None else served.version
    return None


def _show(board: Leaderboard, serving: str | None) -> None:
    from okawari.cli.output import show_members, show_table

    made = "no version" if board.version is None else f"version {board.version}"
    rows = [_describe(each, serving) for each in board.candidates]
    for name in ("coverage", "interval score"):
        if all(row[name] is None for row in rows):
            rows = [{key: value for key, value in row.items() if key != name} for row in rows]
    show_table(rows, f"{board.case}: the training of {made}")
    show_members({each.candidate: each.scores.get("members") for each in board.candidates})
    if all(each.champion_version is None for each in board.candidates) and board.champion is not None:
        typer.echo(f"The champion, version {board.champion}, is of another training (--version {board.champion}).")


def _describe(each: Standing, serving: str | None) -> dict[str, Any]:
    from okawari.formats import format_share

    state = ""
    if each.champion_version is not None:
        state = "serves" if each.champion_version == serving else "champion"
    return {
        "candidate": each.candidate,
        each.loss_name: each.loss,
        "gain": format_share(each.gain_share, 1),
        "p value": each.p_value,
        "coverage": None if each.coverage_share is None else format_share(each.coverage_share),
        "interval score": each.interval_score,
        "fit s": each.fit_s,
        "": state,
    }
