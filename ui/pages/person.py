"""What persons have decided about the versions of a case: rows and note of a card."""

from __future__ import annotations

from okawari.case import Case
from okawari.formats import start_sentence
from okawari.loop.status import LoopState
from okawari.policy.decision import describe_outcome
from okawari.policy.standing import Ruling
from ui.pages.formats import format_moment

Row = tuple[str, str]  # label and value


def has_person_card(state: LoopState, case: Case) -> bool:
    """Whether a person has decided, or has to decide, about the versions of the case."""
    standing = state.standing
    return case.gate.approval or (standing.person, standing.waiting, state.put_back) != (None, None, None)


def name_person_state(state: LoopState) -> str:
    """What applies now, in a few words."""
    standing = state.standing
    if standing.waiting is not None:
        return f"Version {standing.waiting.version} waits for approval"
    if standing.pin is not None:
        return f"Version {standing.pin.version} is pinned"
    if standing.person is not None:
        return start_sentence(describe_outcome(standing.person.kind, standing.person.action))
    return "Champion alias put back" if state.put_back is not None else "Nothing waits"


def list_person_rows(state: LoopState) -> list[Row]:
    """Pin, bars, and who decided last, and when."""
    standing = state.standing
    rows = [("Pinned", _sign(standing.pin))] if standing.pin is not None else []
    rows += [(f"Barred: version {bar.identity.version}", _sign(bar.ruling)) for bar in standing.bars]
    if standing.person is not None:
        outcome = start_sentence(describe_outcome(standing.person.kind, standing.person.action))
        rows.append(("Last decision", f"{outcome}, {_sign(standing.person)}"))
    return rows


def explain_person_state(state: LoopState) -> str:
    """The reason of the challenger's wait, the last decision's reason, and why an alias was put back."""
    standing = state.standing
    texts = [each.reason for each in (standing.waiting, standing.person) if each is not None]
    if state.put_back is not None:
        texts.append(start_sentence(str(state.put_back["reason"])))
    return " ".join(f"{start_sentence(text).rstrip('.')}." for text in texts)


def _sign(ruling: Ruling) -> str:
    return f"by {ruling.by}, {format_moment(ruling.at)}"
