"""The state of the loop as cards, and the record of its recent decisions as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from okawari.case import Anticipate, Case, Classify, Forecast, Regress
from okawari.formats import format_number, start_sentence
from okawari.loop.status import LoopState
from okawari.policy.decision import describe_outcome
from okawari.schema.layout import DataLayout
from ui.markup import render
from ui.pages.formats import (
    NONE,
    format_amount,
    format_count,
    format_day,
    format_moment,
    format_p,
    format_share,
    format_words,
)
from ui.pages.person import explain_person_state, has_person_card, list_person_rows, name_person_state
from ui.pages.wording import name_rows
from ui.view_model import Facts

Row = tuple[str, str]  # label and value

SHOWN_FEATURES = 4
_TONES = {
    "good": {"accepted", "good", "stable", "promote", "train", "deployed"},
    "alert": {
        "accepted_in_part",
        "held",
        "waits",
        "drifted",
        "degraded",
        "refused",
        "roll_back",
        "put_back",
        "await_approval",
    },
}


def write_cards(facts: Facts) -> str:
    """Snapshot, quality, champion, drift, performance, the last decision, and what persons have decided."""
    state = facts.state
    if state is None:
        return render("empty", text="The state of the loop could not be read; see the notice above.")
    unit = _find_unit(facts.case.task, facts.case)
    cards: tuple[Card, ...] = (
        _snapshot_card(state, facts.case.layout),
        _champion_card(state, unit, facts.case.baseline.name),
        _decision_card(state),
        _verdict_card("Data quality", state.quality, [("Quarantined", format_count(state.quarantined, "row"))]),
        _verdict_card("Data drift", state.drift, [*_drift_rows(state.drift), *_version_rows(state, state.drift)]),
        _verdict_card(
            "Performance",
            state.performance,
            [*_performance_rows(state.performance, unit), *_version_rows(state, state.performance)],
        ),
    )
    if has_person_card(state, facts.case):
        cards = (*cards, _person_card(state))
    return render("cards", cards=cards)


@singledispatch
def _find_unit(task: object, case: Case) -> str:
    """Unit of the error of a single number."""
    raise NotImplementedError(f"No unit is defined for {type(task).__name__}; register it here.")


@_find_unit.register(Forecast)
@_find_unit.register(Regress)
@_find_unit.register(Classify)
def _(task: object, case: Case) -> str:
    return case.target.unit


@_find_unit.register
def _(task: Anticipate, case: Case) -> str:
    """The unit of the first target's growth."""
    return task.heads[0].unit


def write_decisions(facts: Facts) -> str:
    """The newest verdicts and decisions, newest first."""
    if not facts.decisions:
        return render("empty", text="Nothing has been decided yet.")
    return render("decisions", rows=[_describe_decision(row) for row in facts.decisions])


def _describe_decision(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "when": format_moment(row.get("at")),
        "about": format_words(row.get("kind")),
        "outcome": _pill(row.get("action"), describe_outcome(str(row.get("kind")), str(row.get("action") or ""))),
        "reason": str(row.get("reason") or NONE),
    }


@dataclass(frozen=True, kw_only=True)
class Card:
    """One fact of the loop: its name, its value, an explanation, and rows of details."""

    label: str
    head: str
    rows: Sequence[Row]
    note: str


def _snapshot_card(state: LoopState, layout: DataLayout) -> Card:
    snapshot = state.snapshot
    if snapshot is None:
        return _card("Snapshot", NONE, [], "Nothing has been ingested.")
    rows = [
        (name_rows(layout).capitalize(), format_count(snapshot.rows)),
        (layout.newest, format_day(snapshot.last_at)),
        ("Digest", render("digest", digest=snapshot.digest)),
    ]
    return _card("Snapshot", f"Version {snapshot.version}", rows)


def _champion_card(state: LoopState, unit: str, baseline: str) -> Card:
    champion = state.champion
    if champion is None and state.problem is not None:
        return _card("Champion", NONE, [], "The model registry could not be read; see the notice above.")
    if champion is None:
        return _card("Champion", NONE, [], "No model has been promoted.")
    skill = champion.get("skill_share")
    rows = [
        ("Version", f"{champion['version']}, {champion['variant']}"),
        _loss_row(champion, unit),
        (f"Gain on {format_words(baseline)}", NONE if skill is None else format_share(skill, signed=True)),
    ]
    return _card("Champion", str(champion["candidate"]), rows)


def _loss_row(champion: Mapping[str, Any], unit: str) -> Row:
    name = str(champion["loss_name"])
    loss = format_amount(champion["loss"], unit) if name == "RMSE" else format_number(champion["loss"], 4)
    return start_sentence(name), loss


def _decision_card(state: LoopState) -> Card:
    decision = state.decision
    if decision is None:
        return _card("Last decision", NONE, [], "Nothing has been decided.")
    rows, note = [("When", format_moment(decision["at"]))], str(decision["reason"])
    if state.request is not None:
        rows.append(("Since then", _name_decision(state.request)))
        note = f"{note.rstrip('.')}. Since then: {state.request['reason']}"
    return _card("Last decision", _name_decision(decision), rows, note)


def _person_card(state: LoopState) -> Card:
    return _card("A person's decisions", name_person_state(state), list_person_rows(state), explain_person_state(state))


def _name_decision(decision: Mapping[str, Any]) -> str:
    return start_sentence(describe_outcome(decision["kind"], decision["action"]))


def _version_rows(state: LoopState, verdict: Mapping[str, Any] | None) -> list[Row]:
    """The version that a verdict was on, if another version is the champion now."""
    return [("Version", f"{verdict['model_version']}, a past champion")] if verdict and state.is_past(verdict) else []


def _verdict_card(label: str, verdict: Mapping[str, Any] | None, rows: Sequence[Row]) -> Card:
    if verdict is None:
        return _card(label, NONE, rows, "Not checked yet.")
    rows = [*rows, ("When", format_moment(verdict["at"]))]
    return _card(label, _pill(verdict["verdict"], verdict["verdict"]), rows, str(verdict["reason"]))


def _drift_rows(verdict: Mapping[str, Any] | None) -> list[Row]:
    """The features with the smallest p-values; drifted ones are highlighted."""
    columns = (verdict or {}).get("facts", {}).get("columns", ())
    worst = sorted(columns, key=lambda column: (not column["drifted"], column["p_value"]))[:SHOWN_FEATURES]
    return [
        (format_words(column["column"]), _highlight(format_p(column["p_value"]), column["drifted"])) for column in worst
    ]


def _performance_rows(verdict: Mapping[str, Any] | None, unit: str) -> list[Row]:
    """Error and coverage on the outcomes that have arrived; empty if there were too few."""
    facts = (verdict or {}).get("facts", {})
    rows: list[Row] = []
    if facts.get("rmse") is not None:
        rows.append(("RMSE", f"{format_amount(facts['rmse'], unit)} on {format_count(facts['n'], 'outcome')}"))
    if facts.get("coverage_share") is not None:
        held, promised = (format_share(facts[name], digits=0) for name in ("coverage_share", "promised_share"))
        rows.append(("Coverage", f"{held}, promised {promised}"))
    return rows


def _highlight(text: str, moved: bool) -> str:
    return render("moved", text=text) if moved else text


def _card(label: str, head: str, rows: Sequence[Row], note: str = "") -> Card:
    return Card(label=label, head=head, rows=rows, note=note)


def _pill(action: Any, text: str) -> str:
    """A verdict or an outcome on a coloured background; the recorded action sets the colour."""
    tone = next((tone for tone, actions in _TONES.items() if str(action).lower().replace(" ", "_") in actions), "plain")
    return render("pill", tone=tone, text=format_words(text))
