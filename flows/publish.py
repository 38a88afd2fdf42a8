"""Tells the world: events, tables and links on the Prefect page. Every flow speaks through here.

An event is a courtesy that makes the loop fast, and a page's table a courtesy to people; when either cannot be
delivered, the work goes on and `reconcile` makes up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.events import emit_event

from okawari.case import Case
from okawari.events import resource_id


def emit(name: str, case: Case, payload: Mapping[str, Any], *, trace: str, told: bool = False) -> None:
    """Emit one of `okawari.events` about a case.

    Args:
        name: the event.
        case: what it is about.
        payload: numbers and words of the event.
        trace: id of the decision that it tells of.
        told: another event has already asked for what this one would ask for; automations can leave it alone.
    """
    emit_event(name, resource=build_resource(case, trace, told), payload=dict(payload))


def build_resource(case: Case, trace: str, told: bool = False) -> dict[str, str]:
    """Labels of an event; automations match and pass on these."""
    return {
        "prefect.resource.id": resource_id(case.name),
        "prefect.resource.name": case.name,
        "okawari.trace": trace,
        "okawari.told": "yes" if told else "no",
    }


def show_table(case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
    """A table on the page of the run, kept by key so that its versions can be compared."""
    create_table_artifact(
        table=[{name: _short(value) for name, value in row.items()} for row in rows],
        key=_key(case, what),
        description=caption,
    )


def show_link(case: Case, what: str, url: str, text: str) -> None:
    """A link on the page of the run."""
    create_link_artifact(link=url, link_text=text, key=_key(case, what), description=text)


def _key(case: Case, what: str) -> str:
    return f"{case.name}-{what}".replace("_", "-")


def _short(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value
