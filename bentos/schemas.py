"""Types of requests and answers, built from a case's columns. They validate requests and document the API."""

from __future__ import annotations

from functools import partial, singledispatch
from typing import Annotated, Any, Literal, NotRequired, Union

from pydantic import BeforeValidator, ConfigDict, FailFast, Field, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from bentos.own_keys import build_key_type
from bentos.picture_schema import describe_picture, read_picture
from okawari.case import Anticipate, Case, Classify, Column, Forecast, Regress
from okawari.clients.wire import ColumnInfo, Estimate, Label, Outlook, Prediction, TargetInfo, Truth, Word
from okawari.schema.columns import MAX_WORD_CHARS
from okawari.schema.heads import Head, LabelHead, NumberHead
from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from okawari.schema.tasks.task import Task
from okawari.security.answer_ids import PATTERN

MAX_OUTCOMES = 10_000
_MOST_EXAMPLES = 20
_DATE_EXAMPLE = "2013-03-01"


def build_reading_type(case: Case) -> Any:
    """The type of one record: a dict with the case's columns and, optionally, a series' time or a record's own key."""
    fields = {column.name: _build_input(column) for column in case.columns}
    time = Annotated[str, Field(strict=True, description="Time of the reading, ISO 8601.", examples=[_DATE_EXAMPLE])]
    own_key = NotRequired[build_key_type("Your own key of the record, by which its outcome may be sent.")]
    keys = dict.fromkeys(_list_key_fields(case.layout, case.key), own_key)
    optional = {**dict.fromkeys(case.time_columns, NotRequired[time]), **keys}
    return _build_object("Reading", {**optional, **fields})


def _build_input(column: Column) -> Any:
    """The type of a column's value in a question; null where the column allows a missing value."""
    value = _build_date(column) if column.date else _build_value(column.head, column)
    return Union[value, None] if column.allows_missing else value  # noqa: UP007  (known when a case is loaded)


def _build_date(column: Column) -> Any:
    """The type of a date; `DateColumns` reads its text."""
    return Annotated[str, Field(strict=True, description=_describe_value(column), examples=[_DATE_EXAMPLE])]


@singledispatch
def _list_key_fields(layout: DataLayout, key: str) -> list[str]:
    """The field of a record's own key; a reading of a series has none, because a key belongs to a whole instance."""
    return []


@_list_key_fields.register
def _list_record_key(layout: RecordLayout, key: str) -> list[str]:
    return [key] if key else []


def _build_object(name: str, fields: dict[str, Any]) -> Any:
    """A JSON object with exactly these fields. A dict, because a column may share its name with a pydantic method."""
    make: Any = TypedDict  # a type checker requires literal names; these are known when a case is loaded
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


@singledispatch
def _build_value(head: Head, column: Column) -> Any:
    """The type of a column's value in JSON."""
    raise NotImplementedError(f"No JSON type is defined for {type(head).__name__}; register it here.")


@_build_value.register
def _build_label(head: LabelHead, column: Column) -> Any:
    described = Field(description=_describe_value(column))
    if column.boolean:
        return Annotated[bool, Field(strict=True), described]
    if not column.takes_new_words:
        return Annotated[Literal[head.words], described]
    text = StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=MAX_WORD_CHARS)
    return Annotated[str, text, described, Field(examples=list(head.words[:_MOST_EXAMPLES]))]


@_build_value.register
def _build_number(head: NumberHead, column: Column) -> Any:
    return Annotated[
        float,
        Field(
            strict=True,
            allow_inf_nan=False,
            gt=column.above,
            ge=column.minimum,
            le=column.maximum,
            multiple_of=1 if column.integer else None,
            description=_describe_value(column),
        ),
    ]


def _describe_value(column: Column) -> str:
    return f"{column.description} ({column.unit})" if column.unit else column.description


def build_predict_type(case: Case) -> TypeAdapter[Any]:
    """The validator of a predict request. It stops at the first bad record, so a huge bad request costs little."""
    reading: Any = build_reading_type(case)
    if case.picture is not None:
        reading = Annotated[reading, BeforeValidator(partial(read_picture, case)), describe_picture(case, reading)]
    instance: Any = _build_instance(case.layout, reading, case)
    instances = Annotated[list[instance], Field(min_length=1, max_length=case.serving.max_instances), FailFast()]
    known = Field(description="Values known in advance, by step. No case accepts them yet: leave it out.")
    future = Annotated[None, BeforeValidator(_refuse_future), known]
    key: Any = build_key_type("Your own key of an instance; null for none.")
    keys = {"keys": NotRequired[Annotated[list[key], FailFast()]]} if case.key else {}
    return TypeAdapter(_build_object("PredictRequest", {"instances": instances, "future": NotRequired[future], **keys}))


def _refuse_future(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("future_unknown", "left out, because no case accepts future values yet")


@singledispatch
def _build_instance(layout: DataLayout, reading: Any, case: Case) -> Any:
    """The type of one instance: a window of readings, or one record."""
    raise NotImplementedError(f"No instance type is defined for {type(layout).__name__}; register it here.")


@_build_instance.register
def _build_window(layout: SeriesLayout, reading: Any, case: Case) -> Any:
    if case.calendar is None:
        return Annotated[list[reading], Field(min_length=case.history), FailFast()]
    # With times, fewer readings may cover the steps of a window; `Reader` counts them.
    covered = f"Readings, oldest first, that cover at least {case.history} steps."
    return Annotated[list[reading], Field(min_length=1, description=covered), FailFast()]


@_build_instance.register
def _build_record(layout: RecordLayout, reading: Any, case: Case) -> Any:
    return reading


def build_outcomes_type(case: Case) -> TypeAdapter[Any]:
    """The validator of an outcomes request."""
    fields = {
        "id": Annotated[str, Field(pattern=PATTERN, description="The answer's id.")],
        "index": Annotated[
            int, Field(strict=True, ge=0, lt=case.serving.max_instances, description="Index of the instance.")
        ],
    }
    outcome: Any = build_outcome(case.task, case, _add_keys(case, fields))
    outcomes = Annotated[list[outcome], Field(min_length=1, max_length=MAX_OUTCOMES), FailFast()]
    return TypeAdapter(_build_object("OutcomesRequest", {"outcomes": outcomes}))


def _add_keys(case: Case, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields by which an outcome names its prediction; with keys, `Reader` checks that it uses one of them."""
    if not case.key:
        return fields
    key = build_key_type(
        "Your own key, instead of id and index. The outcome applies to the newest prediction of this key before it; "
        "where there is none, `okawari status` shows it as refused."
    )
    return {name: NotRequired[kind] for name, kind in {**fields, "key": key, case.key: key}.items()}


@singledispatch
def build_outcome(task: Task, case: Case, fields: dict[str, Any]) -> Any:
    """The type of one outcome: the true value for an answer."""
    return _build_object("Outcome", {**fields, "value": _build_value(case.target.head, case.target)})


@build_outcome.register
def _build_step(task: Forecast, case: Case, fields: dict[str, Any]) -> Any:
    """The outcome of a forecast has its step."""
    step = Annotated[int, Field(strict=True, ge=1, le=task.horizon, description="Number of steps ahead.")]
    value = _build_value(case.target.head, case.target)
    return _build_object("Outcome", {**fields, "step": step, "value": value})


@build_outcome.register
def _build_target(task: Anticipate, case: Case, fields: dict[str, Any]) -> Any:
    """The outcome of a case with several targets has its target's name."""
    each = [
        _build_object(
            f"Outcome_{target.name}",
            {**fields, "target": Literal[target.name], "value": _build_value(target.head, target)},
        )
        for target in task.named_targets
    ]
    if len(each) == 1:
        return each[0]
    any_of: Any = Union[tuple(each)]  # noqa: UP007  (the members are known when a case is loaded)
    return Annotated[any_of, Field(discriminator="target")]


@singledispatch
def name_prediction(task: Task) -> type[Prediction | Outlook | Estimate | Label]:
    """The type of an answer to the task."""
    raise NotImplementedError(f"No answer type is defined for {type(task).__name__}; register it here.")


name_prediction.register(Forecast, lambda task: Prediction)
name_prediction.register(Anticipate, lambda task: Outlook)
name_prediction.register(Regress, lambda task: Estimate)
name_prediction.register(Classify, lambda task: Truth if task.target.boolean else Word)


def show_predict_body(case: Case) -> dict[str, Any]:
    """A valid predict request, as the example on the API page."""
    reading = {column.name: _show_input(column) for column in case.columns}
    return {"instances": [_show_instance(case.layout, reading, case.history)]}


@singledispatch
def _show_instance(layout: DataLayout, reading: dict[str, Any], history: int) -> Any:
    """An example instance: a window of equal readings, or one record."""
    raise NotImplementedError(f"No instance type is defined for {type(layout).__name__}; register it here.")


_show_instance.register(SeriesLayout, lambda layout, reading, history: [reading] * history)
_show_instance.register(RecordLayout, lambda layout, reading, history: reading)


def _show_input(column: Column) -> Any:
    """An example value of a column in a question."""
    return _DATE_EXAMPLE if column.date else _show_value(column.head, column)


@singledispatch
def _show_value(head: Head, column: Column) -> Any:
    """An example value that the column allows."""
    raise NotImplementedError(f"No JSON type is defined for {type(head).__name__}; register it here.")


@_show_value.register
def _show_label(head: LabelHead, column: Column) -> str | bool:
    shown: str | bool = column.write_json(head.words[0])
    return shown


@_show_value.register
def _show_number(head: NumberHead, column: Column) -> float:
    if column.above is not None:
        step = 1.0 if column.maximum is None else min(1.0, (column.maximum - column.above) / 2)
        return column.above + step
    if column.minimum is not None:
        return column.minimum
    return 0.0 if column.maximum is None else min(0.0, column.maximum)


def describe_body(adapter: TypeAdapter[Any], example: dict[str, Any] | None = None) -> dict[str, Any]:
    """The `requestBody` of an OpenAPI operation, with all definitions inlined."""
    schema = adapter.json_schema()
    definitions = schema.pop("$defs", {})
    media = {"schema": _inline(schema, definitions)} | ({"example": example} if example else {})
    return {"required": True, "content": {"application/json": media}}


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    # A discriminator refers to members by definition name, and the definitions are inlined.
    return {key: _inline(value, definitions) for key, value in node.items() if key != "discriminator"}


def describe_case(case: Case) -> dict[str, Any]:
    """The constant part of a case's description, for `GET /cases`."""
    return {
        "columns": [_describe_column(column) for column in case.columns],
        "key": case.key,
        "history": case.history,
        "horizon": case.task.n_steps,
        "unit": case.target.unit,
        "labels": case.target.json_labels,
        "targets": [
            TargetInfo.model_validate(target, from_attributes=True).model_dump(mode="json")
            for target in case.task.named_targets
        ],
    }


def _describe_column(column: Column) -> dict[str, Any]:
    described = ColumnInfo.model_validate(column, from_attributes=True).model_dump(mode="json")
    return {**described, "labels": column.json_labels}
