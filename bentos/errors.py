"""Error messages of the service: what came, what is allowed, what to do, and the place in the request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from okawari.case import Case, Column
from okawari.errors import InvalidInput, OkawariError

Place = tuple[str | int, ...]
_MOST_DETAILS = 10


class Refused(InvalidInput):
    """A request that does not fit. `detail` lists every complaint with its place."""

    def __init__(self, message: str, place: Place = (), detail: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.detail = detail if detail is not None else [{"loc": list(place), "msg": message}]


class TooLarge(OkawariError):
    """A body beyond the limit."""


class UnknownCase(OkawariError):
    """A case that this service does not answer for."""


def explain(error: ValidationError, case: Case) -> Refused:
    """A validator's complaints as sentences; the first one is the message."""
    found = [_name_target(dict(each), case) for each in error.errors(include_url=False)[:_MOST_DETAILS]]
    said = [_explain_one(each, case) for each in found]
    detail = [{"loc": list(each["loc"]), "msg": message} for each, message in zip(found, said, strict=True)]
    return Refused(said[0], detail=detail)


def _name_target(complaint: dict[str, Any], case: Case) -> dict[str, Any]:
    """A complaint about the outcome of a target, by its name; of several, the validator has put that into the place."""
    place = complaint["loc"]
    if complaint["type"].startswith("union_tag_"):
        return {**complaint, "loc": (*place, "target")}
    targets = case.task.named_targets
    if not targets or len(place) < 3 or place[0] != "outcomes":
        return complaint
    if len(targets) == 1:
        return {**complaint, "target": targets[0].name}
    return {**complaint, "loc": (*place[:2], *place[3:]), "target": place[2]}


def _explain_one(complaint: dict[str, Any], case: Case) -> str:
    say = _SENTENCES.get(complaint["type"], _say_wrong)
    return say(complaint, case)


def _say_not_json(complaint: dict[str, Any], _: Case) -> str:
    return f"The body is not valid JSON ({complaint['ctx']['error']}). Send a JSON object; the API page shows one."


def _say_missing(complaint: dict[str, Any], case: Case) -> str:
    place = complaint["loc"]
    is_told = place[0] == "outcomes" and len(place) > 2 and place[-1] != "value"
    allowed = f"an outcome has {_list_outcome(case)}" if is_told else _allowed(complaint, case)
    return f"{_where(complaint)} is missing; {allowed}. Add it."


def _say_unknown(complaint: dict[str, Any], case: Case) -> str:
    time = "".join(f" and optionally {name}" for name in case.time_columns)
    known = f"a record has {', '.join(case.column_names)}{time}"
    if complaint["loc"][0] == "outcomes":
        known = f"an outcome has {_list_outcome(case)}"
    allowed = known if len(complaint["loc"]) > 2 else "it is not part of this request"
    return f"{_where(complaint)} is not known; {allowed}. Leave it out."


def _say_too_short(complaint: dict[str, Any], _: Case) -> str:
    counts = complaint["ctx"]
    kind = "records" if len(complaint["loc"]) == 2 else "entries"
    todo = "Send more, oldest first" if kind == "records" else "Send at least one"
    came = f"{_where(complaint)} has {counts['actual_length']} {kind}"
    return f"{came}; it takes at least {counts['min_length']}. {todo}."


def _say_too_long(complaint: dict[str, Any], _: Case) -> str:
    counts = complaint["ctx"]
    return f"{_where(complaint)} has more than {counts['max_length']} entries. Send them in several requests."


def _say_wrong(complaint: dict[str, Any], case: Case) -> str:
    return f"{_where(complaint)} is {_show(complaint['input'])}; {_allowed(complaint, case)}. Correct it."


def _say_no_picture(complaint: dict[str, Any], _: Case) -> str:
    came, asked = complaint["input"], complaint["ctx"]
    n_rows = len(came)
    widths = sorted({len(row) if isinstance(row, list) else 0 for row in came})
    return (
        f"{_where(complaint)} is a list of {n_rows} rows of {', '.join(map(str, widths)) or 'no'} pixels; a picture "
        f"has {asked['height']} rows of {asked['width']}. Resize it, or send a record by column names."
    )


def _say_future(complaint: dict[str, Any], _: Case) -> str:
    return (
        f"{_where(complaint)} is {_show(complaint['input'])}; no case takes values that are known ahead. Leave it out."
    )


def _say_no_target(complaint: dict[str, Any], case: Case) -> str:
    names = ", ".join(head.name for head in case.task.heads)
    came = "is missing" if complaint["type"] == "union_tag_not_found" else f"is {_show(complaint['ctx']['tag'])}"
    return f"{_where(complaint)} {came}; it names what the outcome is of, one of {names}. Correct it."


_SENTENCES: dict[str, Callable[[dict[str, Any], Case], str]] = {
    "json_invalid": _say_not_json,
    "missing": _say_missing,
    "extra_forbidden": _say_unknown,
    "picture_shape": _say_no_picture,
    "future_unknown": _say_future,
    "union_tag_invalid": _say_no_target,
    "union_tag_not_found": _say_no_target,
    "too_short": _say_too_short,
    "too_long": _say_too_long,
}


def _where(complaint: dict[str, Any]) -> str:
    return write_place(complaint["loc"]) or "The body"


def write_place(place: Place) -> str:
    """A place as a person writes it.

    >>> write_place(("instances", 0, 3, "close"))
    'instances[0][3].close'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _allowed(complaint: dict[str, Any], case: Case) -> str:
    name = complaint["loc"][-1] if complaint["loc"] else None
    if name in case.column_names:
        return case.column(str(name)).allowed
    if name == "value":
        return _find_target(complaint, case).allowed
    if name == "instances":
        return f"it is a list of {'instances, each a list of records, oldest first' if case.history > 1 else 'records'}"
    if name == "outcomes":
        return f"it is a list of objects with {_list_outcome(case)}"
    return f"it is {_expected(complaint)}"


def _list_outcome(case: Case) -> str:
    which = ["step"] * (case.task.n_steps is not None) + ["target"] * bool(case.task.named_targets)
    return " ".join(["id, index,", *which, "and value"])


def _find_target(complaint: dict[str, Any], case: Case) -> Column:
    return next((each for each in case.task.named_targets if each.name == complaint.get("target")), case.target)


def _expected(complaint: dict[str, Any]) -> str:
    """What the validator wanted, from its own words ("Input should be a valid array")."""
    words = str(complaint["msg"]).removeprefix("Input should be ").removeprefix("String should ")
    return words.replace("a valid array", "a list").replace("an object", "a JSON object")


def _show(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite (" + ("NaN" if math.isnan(value) else f"{value:+}") + ")"
    text = value.decode(errors="replace") if isinstance(value, bytes) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
