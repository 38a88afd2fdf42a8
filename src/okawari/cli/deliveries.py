"""The commands about deliveries: list them, accept a held one, discard it. Heavy imports are inside the functions.

No server is needed. If Prefect runs, its flows are told by an event; if not, `reconcile` finds the new snapshot later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.cli.predict import CaseName
from okawari.errors import DeliveryHeld, ServerUnreachable

if TYPE_CHECKING:
    from okawari.case import Case
    from okawari.storage.delivery_log import Delivery

DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of a delivery, such as d-0007.")]
_SHOWN = 20


def deliveries(
    case: CaseName,
    as_json: Annotated[bool, typer.Option("--json", help="Print the deliveries as JSON.")] = False,
) -> None:
    """List the newest deliveries of a case: what arrived at once, its verdict, and whether it is held or waits.

    Example: okawari deliveries aapl
    """
    import json

    from okawari.cases.loader import load_case
    from okawari.cli.output import show_table
    from okawari.storage.delivery_log import load_deliveries

    found = load_deliveries(load_case(case).name, _SHOWN)
    if as_json:
        print(json.dumps([each.describe() for each in found]))
    elif not found:
        typer.echo(f"Case {case} has no deliveries yet; run: okawari run {case}.")
    else:
        show_table([_describe(each) for each in found], f"{case}: deliveries, newest first")


def accept(case: CaseName, delivery: DeliveryId) -> None:
    """Store the rows of a held delivery. Its level, shares and revisions are usual from then on.

    Deliveries that wait behind it are judged next. A discarded delivery can be accepted too.

    Example: okawari accept aapl d-0007
    """
    from okawari.loop.deliveries import accept_delivery

    done = _decide(case, delivery, accept_delivery)
    typer.echo(
        f"{case}: delivery {done.id} is stored ({done.rows} rows); the contract has learned what is usual in it."
    )
    _show_rest(case)


def discard(case: CaseName, delivery: DeliveryId) -> None:
    """Leave out the rows of a held delivery, also where a later read of the source brings the same rows again.

    Deliveries that wait behind it are judged next.

    Example: okawari discard aapl d-0007
    """
    from okawari.loop.deliveries import discard_delivery

    done = _decide(case, delivery, discard_delivery)
    typer.echo(f"{case}: delivery {done.id} is discarded; its {done.rows} rows are left out of later reads as well.")
    _show_rest(case)


def require_settled(case_name: str) -> None:
    """Check that no delivery of a case is held.

    Raises:
        DeliveryHeld: one is.
    """
    from okawari.storage.delivery_log import advise, find_held

    held = find_held(case_name)
    if held is not None:
        raise DeliveryHeld(f"Delivery {held.id} is held: {held.reason}. {advise(case_name, held.id)}")


def _decide(case: str, delivery: str, decide: Any) -> Delivery:
    from datetime import UTC, datetime

    from okawari.cases.loader import load_case
    from okawari.cli.versions import name_person

    load_case(case)
    done: Delivery = decide(case, delivery, name_person(), datetime.now(UTC), _emit)
    return done


def _emit(name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
    """Send the event; without a server, `reconcile` finds what has changed."""
    from okawari.clients.event_sender import send_event

    try:
        send_event(name, case, payload, trace=trace)
    except ServerUnreachable:
        typer.echo(f"{case.name}: Prefect does not answer, so monitoring starts when it runs again.")


def _show_rest(case: str) -> None:
    """The deliveries that are open after the decision."""
    from okawari.storage.delivery_log import OPEN, advise, load_deliveries

    for each in reversed(load_deliveries(case, _SHOWN, OPEN)):
        advice = f" {advise(case, each.id)}" if each.state == OPEN[0] else ""
        typer.echo(f"{case}: delivery {each.id} is {each.state}: {each.reason}.{advice}")


def _describe(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery": delivery.id,
        "arrived": f"{delivery.at:%Y-%m-%d %H:%M} UTC",
        "rows": str(delivery.rows),
        "source": delivery.source,
        "state": str(delivery.state),
        "reason": delivery.reason,
    }
