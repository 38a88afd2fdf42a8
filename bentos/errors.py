"""Error messages of the service: what came, what is allowed, what to do, and the location in the request."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import chain
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from okawari.case import Case, Column
from okawari.errors import InvalidInput, OkawariError

Location = tuple[str | int, ...]
_MOST_DETAILS = 10
_MOST_FAULTS = 100
"""Above so many faults besides those of the case's columns, the validator's list of them is not built: it takes 2 us
each, and a body of 8 MB can have 600,000."""
_MOST_WIDTHS = 5
_MOST_CHARS = 80
"""Characters of a name in a message."""


class Refused(InvalidInput):
    """A request that fails validation. `detail` lists each fault with its location."""

    def __init__(self, message: str, location: Location = (), detail: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.detail = detail if detail is not None else [{"loc": list(location), "msg": message}]


class TooLarge(OkawariError):
    """A body over the size limit."""


class TooSlow(OkawariError):
    """A body that did not arrive in time."""


class Overloaded(OkawariError):
    """Too many requests are waiting."""


class Disconnected(OkawariError):
    """The client ended the connection before its request was complete."""


class UnknownCase(OkawariError):
    """A case that this service does not serve."""


def explain(error: ValidationError, case: Case, body: bytes | bytearray) -> Refused:
    """Convert a validator's errors for a body to sentences; the first one is the message."""
    if error.error_count() > _MOST_FAULTS + len(case.columns):
        return Refused(
            f"The body has {error.error_count()} faults, most of them fields that are not known; a record has "
            f"{_list_fields(case)}. Leave the others out."
        )
    listed = error.errors(include_url=False, include_input=False)[:_MOST_DETAILS]
    found = _add_inputs([_name_target(dict(each), case) for each in listed], body, case)
    messages = [_explain_one(each, case) for each in found]
    detail = [{"loc": _shorten(each["loc"]), "msg": message} for each, message in zip(found, messages, strict=True)]
    return Refused(messages[0], detail=detail)


def _add_inputs(faults: list[dict[str, Any]], body: bytes | bytearray, case: Case) -> list[dict[str, Any]]:
    """Add the value at each fault's location. The validator's list would copy a record once for each fault in it."""
    if not any(_needs_input(fault) for fault in faults):
        return faults
    content = from_json(body)
    return [{**fault, "input": _find(content, fault["loc"], case)} for fault in faults]


def _needs_input(fault: dict[str, Any]) -> bool:
    formatter = _FORMATTERS.get(fault["type"], _format_wrong_value)
    return formatter in (_format_wrong_value, _format_wrong_shape, _format_future)


def _find(content: Any, location: Location, case: Case) -> Any:
    """The value at a location. Where a record is given as a picture, a column's name finds its pixel."""
    for step in location:
        if isinstance(content, list) and isinstance(step, str):
            content = dict(zip(case.column_names, chain.from_iterable(content), strict=False))
        try:
            content = content[step]
        except (LookupError, TypeError):
            return None
    return content


def _shorten(location: Location) -> list[str | int]:
    return [cut_text(part) if isinstance(part, str) else part for part in location]


def cut_text(text: str) -> str:
    """A text from a request, cut to what a message may repeat.

    >>> cut_text("x" * 100)[-5:]
    'xx...'
    """
    return text if len(text) <= _MOST_CHARS else text[: _MOST_CHARS - 3] + "..."


def _name_target(fault: dict[str, Any], case: Case) -> dict[str, Any]:
    """Add the target's name to a fault in its outcome. With several targets, the validator has it in the location."""
    location = fault["loc"]
    if fault["type"].startswith("union_tag_"):
        return {**fault, "loc": (*location, "target")}
    targets = case.task.named_targets
    if not targets or len(location) < 3 or location[0] != "outcomes":
        return fault
    if len(targets) == 1:
        return {**fault, "target": targets[0].name}
    return {**fault, "loc": (*location[:2], *location[3:]), "target": location[2]}


def _explain_one(fault: dict[str, Any], case: Case) -> str:
    format_fault = _FORMATTERS.get(fault["type"], _format_wrong_value)
    return format_fault(fault, case)


def _format_not_json(fault: dict[str, Any], _: Case) -> str:
    return f"The body is not valid JSON ({fault['ctx']['error']}). Send a JSON object; the API page shows one."


def _format_missing(fault: dict[str, Any], case: Case) -> str:
    location = fault["loc"]
    is_identity = location[0] == "outcomes" and len(location) > 2 and location[-1] != "value"
    allowed = f"an outcome has {_list_outcome_fields(case)}" if is_identity else _allowed(fault, case)
    return f"{_locate(fault)} is missing; {allowed}. Add it."


def _format_unknown_field(fault: dict[str, Any], case: Case) -> str:
    known = f"a record has {_list_fields(case)}"
    if fault["loc"][0] == "outcomes":
        known = f"an outcome has {_list_outcome_fields(case)}"
    allowed = known if len(fault["loc"]) > 2 else "it is not part of this request"
    return f"{_locate(fault)} is not known; {allowed}. Leave it out."


def _list_fields(case: Case) -> str:
    optional = (*case.time_columns, *filter(None, (case.key,)))
    return ", ".join(case.column_names) + "".join(f" and optionally {name}" for name in optional)


def _format_too_short(fault: dict[str, Any], _: Case) -> str:
    counts = fault["ctx"]
    kind = "records" if len(fault["loc"]) == 2 else "entries"
    remedy = "Send more, oldest first" if kind == "records" else "Send at least one"
    came = f"{_locate(fault)} has {counts['actual_length']} {kind}"
    return f"{came}; it takes at least {counts['min_length']}. {remedy}."


def _format_too_long(fault: dict[str, Any], _: Case) -> str:
    counts = fault["ctx"]
    return f"{_locate(fault)} has more than {counts['max_length']} entries. Send them in several requests."


def _format_wrong_value(fault: dict[str, Any], case: Case) -> str:
    return f"{_locate(fault)} is {_show(fault['input'])}; {_allowed(fault, case)}. Correct it."


def _format_wrong_shape(fault: dict[str, Any], _: Case) -> str:
    came, expected = fault["input"], fault["ctx"]
    n_rows = len(came)
    widths = sorted({len(row) if isinstance(row, list) else 0 for row in came})[:_MOST_WIDTHS]
    return (
        f"{_locate(fault)} is a list of {n_rows} rows of {', '.join(map(str, widths)) or 'no'} pixels; a picture "
        f"has {expected['height']} rows of {expected['width']}. Resize it, or send a record by column names."
    )


def _format_future(fault: dict[str, Any], _: Case) -> str:
    return f"{_locate(fault)} is {_show(fault['input'])}; no case accepts future values yet. Leave it out."


def _format_wrong_target(fault: dict[str, Any], case: Case) -> str:
    names = ", ".join(head.name for head in case.task.heads)
    allowed = f"it must be one of the targets {names}"
    if fault["type"] == "union_tag_not_found":
        return f"{_locate(fault)} is missing; {allowed}. Add it."
    return f"{_locate(fault)} is {_show(fault['ctx']['tag'])}; {allowed}. Correct it."


_FORMATTERS: dict[str, Callable[[dict[str, Any], Case], str]] = {
    "json_invalid": _format_not_json,
    "missing": _format_missing,
    "extra_forbidden": _format_unknown_field,
    "picture_shape": _format_wrong_shape,
    "future_unknown": _format_future,
    "union_tag_invalid": _format_wrong_target,
    "union_tag_not_found": _format_wrong_target,
    "too_short": _format_too_short,
    "too_long": _format_too_long,
}


def _locate(fault: dict[str, Any]) -> str:
    return format_location(fault["loc"]) or "The body"


def format_location(location: Location) -> str:
    """Format a location for a person.

    >>> format_location(("instances", 0, 3, "close"))
    'instances[0][3].close'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{cut_text(part)}" for part in location).lstrip(".")


def _allowed(fault: dict[str, Any], case: Case) -> str:
    name = fault["loc"][-1] if fault["loc"] else None
    if name in case.column_names:
        return case.column(str(name)).allowed
    if name == "value":
        return _find_target(fault, case).allowed
    if name == "id":
        return "it is the id of an answer, 40 digits from 0 to f"
    if name == "instances":
        return f"it is a list of {'instances, each a list of records, oldest first' if case.history > 1 else 'records'}"
    if name == "outcomes":
        return f"it is a list of objects with {_list_outcome_fields(case)}"
    return f"it is {_expected(fault)}"


def _list_outcome_fields(case: Case) -> str:
    which = ["step"] * (case.task.n_steps is not None) + ["target"] * bool(case.task.named_targets)
    names = ", ".join(["id", "index", *which]) + " and value"
    return f"{names} (or key or {case.key} instead of id and index)" if case.key else names


def _find_target(fault: dict[str, Any], case: Case) -> Column:
    return next((each for each in case.task.named_targets if each.name == fault.get("target")), case.target)


def _expected(fault: dict[str, Any]) -> str:
    """The expected value, from the validator's message ("Input should be a valid array")."""
    words = str(fault["msg"]).removeprefix("Input should be ").removeprefix("String should ")
    return words.replace("a valid array", "a list").replace("an object", "a JSON object")


def _show(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite (" + ("NaN" if math.isnan(value) else f"{value:+}") + ")"
    text = value.decode(errors="replace") if isinstance(value, bytes) else json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
