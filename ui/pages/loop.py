"""The state of the loop as cards, and the record of its recent decisions as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from okawari.case import Anticipate
from okawari.loop.status import LoopState
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
from ui.view_model import Facts

Row = tuple[str, str]  # label and value, both ready HTML

SHOWN_FEATURES = 4
_TONES = {
    "good": {"accepted", "good", "stable", "promote", "train", "deployed"},
    "alert": {"accepted_in_part", "drifted", "degraded", "refused", "rolled_back"},
}


def write_cards(facts: Facts) -> str:
    """Snapshot, quality, champion, drift, performance and the last decision."""
    state = facts.state
    if state is None:
        return '<div class="ok-empty"><p>The state of the loop could not be read; see the notice above.</p></div>'
    heads = facts.case.task.heads
    # One target of a series has a unit of its own, that of its growth.
    unit = heads[0].unit if isinstance(facts.case.task, Anticipate) else facts.case.target.unit
    cards = (
        _snapshot_card(state),
        _champion_card(state, unit, facts.case.baseline.name),
        _decision_card(state),
        _verdict_card("Data quality", state.quality, [("Quarantined", format_count(state.quarantined, "row"))]),
        _verdict_card("Data drift", state.drift, _drift_rows(state.drift)),
        _verdict_card("Performance", state.performance, _performance_rows(state.performance, unit)),
    )
    return f'<section class="ok-cards" data-testid="cards" aria-label="State of the loop">{"".join(cards)}</section>'


def write_decisions(facts: Facts) -> str:
    """The newest verdicts and decisions, newest first."""
    if not facts.decisions:
        return '<div class="ok-empty"><p>Nothing has been decided yet.</p></div>'
    rows = "".join(
        f'<tr><td class="ok-when">{format_moment(row.get("at"))}</td><td>{format_words(row.get("kind"))}</td>'
        f"<td>{_pill(row.get('action'))}</td><td>{escape(str(row.get('reason') or NONE))}</td></tr>"
        for row in facts.decisions
    )
    return (
        '<div class="ok-table" data-testid="decisions"><table><caption>Verdicts and decisions, newest first</caption>'
        "<thead><tr><th>When</th><th>About</th><th>Outcome</th><th>Reason</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _snapshot_card(state: LoopState) -> str:
    snapshot = state.snapshot
    if snapshot is None:
        return _card("Snapshot", NONE, [], "Nothing has been ingested.")
    rows = [
        ("Readings", format_count(snapshot.rows)),
        ("Newest", format_day(snapshot.last_at)),
        ("Digest", f'<code title="{escape(snapshot.digest, quote=True)}">{escape(snapshot.digest[:10])}</code>'),
    ]
    return _card("Snapshot", f"Version {snapshot.version}", rows)


def _champion_card(state: LoopState, unit: str, baseline: str) -> str:
    champion = state.champion
    if champion is None:
        return _card("Champion", NONE, [], "No model has been promoted.")
    skill = champion.get("skill_share")
    rows = [
        ("Version", f"{escape(str(champion['version']))}, {escape(str(champion['variant']))}"),
        _loss_row(champion, unit),
        (f"Gain on {format_words(baseline)}", NONE if skill is None else format_share(skill, signed=True)),
    ]
    return _card("Champion", escape(str(champion["candidate"])), rows)


def _loss_row(champion: Mapping[str, Any], unit: str) -> Row:
    name = str(champion["loss_name"])
    return escape(name), format_amount(champion["loss"], unit) if name == "RMSE" else f"{champion['loss']:.4g}"


def _decision_card(state: LoopState) -> str:
    decision = state.decision
    if decision is None:
        return _card("Last decision", NONE, [], "Nothing has been decided.")
    head = f"{format_words(decision['kind']).capitalize()}: {format_words(decision['action'])}"
    return _card("Last decision", head, [("When", format_moment(decision["at"]))], escape(str(decision["reason"])))


def _verdict_card(label: str, verdict: Mapping[str, Any] | None, rows: Sequence[Row]) -> str:
    if verdict is None:
        return _card(label, NONE, rows, "Not looked at yet.")
    rows = [*rows, ("When", format_moment(verdict["at"]))]
    return _card(label, _pill(verdict["verdict"]), rows, escape(str(verdict["reason"])))


def _drift_rows(verdict: Mapping[str, Any] | None) -> list[Row]:
    """The features with the smallest p-values; those that moved stand out."""
    columns = (verdict or {}).get("facts", {}).get("columns", ())
    worst = sorted(columns, key=lambda column: (not column["drifted"], column["p_value"]))[:SHOWN_FEATURES]
    return [
        (format_words(column["column"]), _highlight(format_p(column["p_value"]), column["drifted"])) for column in worst
    ]


def _performance_rows(verdict: Mapping[str, Any] | None, unit: str) -> list[Row]:
    """Error and coverage on the outcomes that have arrived; nothing where there were too few."""
    facts = (verdict or {}).get("facts", {})
    rows: list[Row] = []
    if facts.get("rmse") is not None:
        rows.append(("RMSE", f"{format_amount(facts['rmse'], unit)} on {format_count(facts['n'], 'outcome')}"))
    if facts.get("coverage_share") is not None:
        held, promised = (format_share(facts[name], digits=0) for name in ("coverage_share", "promised_share"))
        rows.append(("Coverage", f"{held}, promised {promised}"))
    return rows


def _highlight(text: str, moved: bool) -> str:
    return f'<span class="ok-moved">{text}, moved</span>' if moved else text


def _card(label: str, head: str, rows: Sequence[Row], note: str = "") -> str:
    lines = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows)
    text = f'<p class="ok-note">{note}</p>' if note else ""
    return (
        f'<article class="ok-card"><h3 class="ok-label">{label}</h3><div class="ok-value">{head}</div>'
        f"{text}{f'<dl>{lines}</dl>' if lines else ''}</article>"
    )


def _pill(word: Any) -> str:
    tone = next((tone for tone, words in _TONES.items() if str(word).lower().replace(" ", "_") in words), "plain")
    return f'<span class="ok-pill ok-{tone}">{format_words(word)}</span>'
