"""The command `okawari status`. Heavy imports are inside the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.cli.document import AsJson, divert_text, print_document
from okawari.cli.each_case import Failures, do_each, end_command
from okawari.errors import ServerUnreachable

if TYPE_CHECKING:
    from okawari.clients.wire import ModelInfo


def status(
    case: Annotated[
        str | None, typer.Argument(metavar="CASE", help="Name of a case; all served ones, if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the snapshot, the champion, the served version, the last verdicts and the last decision."""
    from okawari.clients import prediction_service
    from okawari.registry.client import limit_waiting

    found: list[dict[str, Any]] = []
    with divert_text(as_json):
        limit_waiting()
        names = prediction_service.list_case_names() if case is None else ()
        act = (lambda name: found.append(describe_status(name))) if as_json else show_status
        failed = do_each(case, names, act)
    if as_json:
        print_cases(case, found, failed)
    end_command(failed)


def print_cases(case: str | None, found: list[dict[str, Any]], failed: Failures, **more: Any) -> None:
    """Print the document of one case or, if no case was asked for, of all cases and their failures."""
    print_document({"cases": found, "failed": failed, **more} if case is None else found[0])


def show_status(name: str) -> None:
    """Print the state of the loop of a case."""
    from okawari.cli.output import show_state
    from okawari.loop.status import read_state

    serving, problem = _find_serving(name)
    show_state(read_state(name), serving, problem)


def describe_status(name: str) -> dict[str, Any]:
    """The state of the loop of a case as a document."""
    from okawari.loop.status import read_state

    serving, problem = _find_serving(name)
    return {**vars(read_state(name)), "serving": serving, "service_problem": problem}


def _find_serving(name: str) -> tuple[ModelInfo | None, str | None]:
    """The served model, and why the service could not be asked."""
    from okawari.clients import prediction_service

    try:
        return prediction_service.load_serving(name), None
    except ServerUnreachable as unreachable:
        return None, str(unreachable)
