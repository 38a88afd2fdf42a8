"""The commands by which a person decides about versions. Heavy imports are inside the functions.

Each command records its decision first, then moves the alias, packages the version in this process and waits until the
service serves it. MLflow has to run; Prefect need not.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from okawari.cli.predict import CaseName
from okawari.errors import OkawariError, ServerUnreachable
from okawari.formats import format_number
from okawari.policy.overrides import NO_REASON, Order, VersionFacts
from okawari.polling import poll

if TYPE_CHECKING:
    from okawari.policy.decision import Decision
    from okawari.registry.versions import Listed

Number = Annotated[str, typer.Argument(metavar="VERSION", help="Number of a registered version.")]
MaybeNumber = Annotated[
    str | None, typer.Argument(metavar="VERSION", help="The version that waits; may be left out.", show_default=False)
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is recorded and shown.", show_default=False)]

_SERVE_TIMEOUT_S = 60.0
_POLL_S = 0.5


class NotServed(OkawariError, RuntimeError):
    """The decision is recorded and the version is packaged, but the service does not serve it yet."""


def versions(case: CaseName) -> None:
    """List the registered versions of a case, and which one serves, waits, is pinned or is barred.

    The loss of each version was measured on the held-out rows of its own training.

    States: serving; champion (the service serves another one, or does not answer); before (a rollback returns to it);
    served (earlier); waiting (for approval); held (passed the gate while another one was pinned); pinned; barred.

    Example: okawari versions aapl
    """
    from okawari.cases.loader import load_case
    from okawari.cli.output import show_table
    from okawari.loop.standings import gather_version_facts
    from okawari.registry import client, versions

    load_case(case)
    client.require_server()
    facts, listed = gather_version_facts(case), versions.list_versions(case)
    if not listed:
        typer.echo(f"Case {case} has no versions yet; run: okawari run {case}.")
        return
    serving = None
    with suppress(ServerUnreachable):  # the list is useful without the service, too
        serving = _find_serving(case)
    show_table(list_rows(facts, listed, serving), f"{case}: versions, newest first")


def rollback(case: CaseName, reason: Reason = NO_REASON) -> None:
    """Serve the version that served before the champion again, and bar the champion.

    A barred version, and an equal one that is trained again, is not promoted until a person lifts the bar with
    `okawari unbar`, or promotes or pins that version. Barred versions are skipped.

    Example: okawari rollback aapl --reason "wrong since Monday"
    """
    from okawari.policy.overrides import decide_rollback

    _rule(case, reason, decide_rollback)


def promote(case: CaseName, version: Number, reason: Reason = NO_REASON) -> None:
    """Make a registered version the champion and serve it. If it is barred, this lifts the bar.

    Example: okawari promote aapl 3 --reason "reviewed by hand"
    """
    from okawari.policy.overrides import decide_promote

    _rule(case, reason, lambda facts, order: decide_promote(facts, order, version))


def pin(case: CaseName, version: Number, reason: Reason = NO_REASON) -> None:
    """Make a version the champion and keep it, whatever later trainings find, until `okawari unpin`.

    Trainings still run and record what they would have promoted.

    Example: okawari pin aapl 2 --reason "audit until Friday"
    """
    from okawari.policy.overrides import decide_pin

    _rule(case, reason, lambda facts, order: decide_pin(facts, order, version))


def unpin(case: CaseName, reason: Reason = NO_REASON) -> None:
    """Remove the pin of a case, so that trainings promote again. The champion stays until a better one is trained.

    Example: okawari unpin aapl
    """
    from okawari.policy.overrides import decide_unpin

    _rule(case, reason, decide_unpin)


def approve(case: CaseName, version: MaybeNumber = None, reason: Reason = NO_REASON) -> None:
    """Serve the challenger that waits for approval. A case asks for approvals with Gate(approval=True).

    Example: okawari approve aapl
    """
    from okawari.policy.overrides import decide_approve

    _rule(case, reason, lambda facts, order: decide_approve(facts, order, version))


def reject(case: CaseName, version: MaybeNumber = None, reason: Reason = NO_REASON) -> None:
    """Reject the challenger that waits for approval, and bar it. The champion stays.

    Example: okawari reject aapl --reason "too few outcomes"
    """
    from okawari.policy.overrides import decide_reject

    _rule(case, reason, lambda facts, order: decide_reject(facts, order, version))


def unbar(case: CaseName, version: Number, reason: Reason = NO_REASON) -> None:
    """Lift the bar of a version without promoting it, so that an equal one may be promoted.

    Example: okawari unbar aapl 3
    """
    from okawari.policy.overrides import decide_unbar

    _rule(case, reason, lambda facts, order: decide_unbar(facts, order, version))


def _rule(name: str, reason: str, decide: Callable[[VersionFacts, Order], Decision]) -> None:
    """Take a person's decision: record it, carry it out, and wait until the service serves the version."""
    from okawari.cases.loader import load_case
    from okawari.loop.standings import gather_version_facts
    from okawari.policy.decision import describe_outcome
    from okawari.registry import client
    from okawari.training.champion import carry_out, changes_champion, settle_alias
    from okawari.training.host import PrintHost

    case, host = load_case(name), PrintHost(typer.echo)
    client.require_server()
    settle_alias(case, host)
    decision = decide(gather_version_facts(name), Order(by=name_person(), reason=reason))
    carry_out(case, decision, host)
    typer.echo(f"{name}: {describe_outcome(decision.kind, decision.action)}: {decision.reason}")
    if changes_champion(decision):
        _await_serving(name, str(decision.facts["version"]))


def name_person() -> str:
    """The user of this process and the host, such as `ada@laptop`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user without a name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def _await_serving(case: str, version: str) -> None:
    """Wait until the service serves a version.

    Raises:
        NotServed: the service does not answer, or does not serve the version in time.
    """
    done = f"Version {version} of case {case} is the champion and is packaged"
    try:
        served = poll(lambda: _find_serving(case) == version, every_s=_POLL_S, timeout_s=_SERVE_TIMEOUT_S)
        refused = None if served else _find_refusal(case)
    except ServerUnreachable as unreachable:
        raise NotServed(f"{done}, but it does not serve yet. {unreachable}") from unreachable
    if not served:
        why = refused or f"It was not loaded within {_SERVE_TIMEOUT_S:.0f} s; see okawari status {case}."
        raise NotServed(f"{done}, but the service serves another one. {why}")
    typer.echo(f"{case}: version {version} serves")


def _find_serving(case: str) -> str | None:
    from okawari.clients import prediction_service

    serving = prediction_service.load_serving(case)
    return None if serving is None else serving.version


def _find_refusal(case: str) -> str | None:
    from okawari.clients.prediction_service import Client

    with Client() as client:
        return next((each.refused for each in client.cases() if each.name == case), None)


def list_rows(facts: VersionFacts, listed: Sequence[Listed], serving: str | None) -> list[dict[str, Any]]:
    """A row for each version, newest first."""
    return [_describe(each, ", ".join(_list_states(facts, each.version, serving))) for each in reversed(listed)]


def _describe(listed: Listed, state: str) -> dict[str, Any]:
    known = listed.known
    return {
        "version": listed.version,
        "candidate": "not trained by okawari" if known is None else f"{known.candidate} ({known.variant})",
        "loss": None if known is None else f"{known.loss_name} {format_number(known.loss, 4)}",
        "snapshot": None if known is None else str(known.snapshot_version),
        "registered": f"{listed.registered_at:%Y-%m-%d %H:%M} UTC",
        "state": state or None,
    }


def _list_states(facts: VersionFacts, version: str, serving: str | None) -> list[str]:
    from okawari.policy.overrides import find_previous

    standing = facts.standing
    is_waiting = standing.waiting is not None and standing.waiting.version == version
    is_past = version in standing.served and version not in (facts.champion, serving)
    states = {
        "serving": version == serving,
        "champion": version == facts.champion and version != serving,
        "before": is_past and version == find_previous(facts),
        "served": is_past and version != find_previous(facts),
        "waiting": is_waiting,
        "held": version in standing.held and version not in standing.served,
        "pinned": standing.pin is not None and standing.pin.version == version,
        "barred": standing.is_barred(version),
    }
    return [name for name, holds in states.items() if holds]
