"""The user's own keys in requests and outcomes; only cases that name one (`Case.key`) take them.

A record carries its key in the field that the case names. Any instance, also a window or a picture, may have it in
`keys`, a list beside `instances`. An outcome names a key, in `key` or in the field of the case, instead of id and
index.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from bentos.errors import Refused
from okawari.case import Case
from okawari.errors import InvalidInput
from okawari.schema.keys import MAX_KEY_CHARS, read_key

Record = dict[str, Any]


def _read(value: Any) -> str | None:
    if value is None:
        return None
    try:
        key = read_key(value)
    except InvalidInput:
        key = None
    if key is None:
        raise PydanticCustomError("own_key", f"a text of 1 to {MAX_KEY_CHARS} characters, not blank, or an integer")
    return key


def build_key_type(description: str) -> Any:
    """The type of a key in JSON: a text, an integer, or null for none."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS}
    schema = {"anyOf": [text, {"type": "integer"}, {"type": "null"}], "description": description}
    return Annotated[str | None, BeforeValidator(_read), WithJsonSchema(schema)]


def take_keys(case: Case, request: Record) -> list[str | None]:
    """The key of each instance of a parsed predict request, None where there is none; removes them from the records.

    Raises:
        Refused: `keys` has another length than `instances`, or names another key than a record.
    """
    instances = request["instances"]
    listed = request.get("keys")
    if listed is None:
        listed = [None] * len(instances)
    if len(listed) != len(instances):
        raise Refused(
            f"keys has {len(listed)} entries, and instances has {len(instances)}; there is one key for each instance, "
            "null where it has none. Correct the list, or leave it out.",
            ("keys",),
        )
    own = [each.pop(case.key, None) if isinstance(each, dict) else None for each in instances]
    for place, (one, other) in enumerate(zip(own, listed, strict=True)):
        if one is not None and other is not None and one != other:
            raise Refused(
                f"instances[{place}].{case.key} is {one[:40]!r}, and keys[{place}] is {other[:40]!r}; an instance has "
                "one key. Leave one of them out.",
                ("keys", place),
            )
    return [one if one is not None else other for one, other in zip(own, listed, strict=True)]


def name_prediction(case: Case, outcome: Record, place: int) -> Record:
    """The outcome with either id and index, or `key`.

    Raises:
        Refused: it names its prediction twice, or not at all.
    """
    key, own = outcome.pop("key", None), outcome.pop(case.key, None)
    named = [text for text in (outcome.get("id"), key, own) if text is not None]
    fields = f"an outcome names its prediction by id and index, or by key (or {case.key})"
    if len(named) != 1:
        came = "names no prediction" if not named else "names its prediction twice"
        raise Refused(f"outcomes[{place}] {came}; {fields}. Give one of them.", ("outcomes", place))
    has_index = outcome.get("index") is not None
    if has_index is not (outcome.get("id") is not None):
        came = "has an index beside a key" if has_index else "has an id without its index"
        raise Refused(f"outcomes[{place}] {came}; {fields}. Correct it.", ("outcomes", place, "index"))
    return outcome if has_index else {**outcome, "key": named[0]}
