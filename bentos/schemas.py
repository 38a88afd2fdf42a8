"""Types of requests and answers, made from a case's columns: they validate, and they are what the API page shows."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal, NotRequired, Union

from pydantic import BeforeValidator, ConfigDict, FailFast, Field, TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from okawari.case import Anticipate, Case, Column, Forecast, Growth
from okawari.clients.wire import ColumnInfo, Estimate, Label, Outlook, Prediction, TargetInfo

MAX_OUTCOMES = 10_000


def build_reading_type(case: Case) -> Any:
    """The type of one record: a dict with the case's columns, and of a series optionally its time."""
    fields = {column.name: _build_value(column) for column in case.columns}
    if not case.is_series:
        return _build_object("Record", fields)
    time = Annotated[str, Field(strict=True, description="Time of the reading, ISO 8601.", examples=["2013-03-01"])]
    return _build_object("Reading", {case.time: NotRequired[time], **fields})


def _build_object(name: str, fields: dict[str, Any]) -> Any:
    """A JSON object of these fields and no others. A dict, because a column may be called like a model's method."""
    make: Any = TypedDict  # a type checker wants literal names; these are known when a case is loaded
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _build_value(column: Column) -> Any:
    described = f"{column.description} ({column.unit})" if column.unit else column.description
    if column.labels:
        return Annotated[Literal[column.labels], Field(description=described)]
    return Annotated[
        float,
        Field(
            strict=True,
            allow_inf_nan=False,
            gt=column.above,
            ge=column.minimum,
            le=column.maximum,
            multiple_of=1 if column.integer else None,
            description=described,
        ),
    ]


def build_predict_type(case: Case) -> TypeAdapter[Any]:
    """The validator of a predict request. It stops at the first bad record, so a huge bad request costs little."""
    reading: Any = build_reading_type(case)
    if case.picture is not None:
        reading = Annotated[reading, BeforeValidator(partial(_read_picture, case)), _describe_picture(case, reading)]
    window: Any = Annotated[list[reading], Field(min_length=case.history), FailFast()]
    instance: Any = window if case.is_series else reading
    instances = Annotated[list[instance], Field(min_length=1, max_length=case.serving.max_instances), FailFast()]
    known = Field(description="What is known ahead, by step. No case takes it yet: leave it out.")
    future = Annotated[None, BeforeValidator(_refuse_future), known]
    return TypeAdapter(_build_object("PredictRequest", {"instances": instances, "future": NotRequired[future]}))


def _refuse_future(value: Any) -> None:
    if value is not None:
        raise PydanticCustomError("future_unknown", "left out, because no case takes values that are known ahead")


def _read_picture(case: Case, value: Any) -> Any:
    """A picture as the record of its pixels; anything that is no list is left to the record's own checks."""
    assert case.picture is not None
    if not isinstance(value, list):
        return value
    height, width = case.picture
    if len(value) != height or any(not isinstance(row, list) or len(row) != width for row in value):
        raise PydanticCustomError("picture_shape", "a list of {height} rows of {width} numbers", {
            "height": height, "width": width,
        })  # fmt: skip
    return dict(zip(case.column_names, (pixel for row in value for pixel in row), strict=True))


def _describe_picture(case: Case, reading: Any) -> WithJsonSchema:
    assert case.picture is not None
    height, width = case.picture
    row = {"type": "array", "items": {"type": "number"}, "minItems": width, "maxItems": width}
    picture = {"type": "array", "items": row, "minItems": height, "maxItems": height, "description": "Rows of pixels."}
    return WithJsonSchema({"anyOf": [picture, TypeAdapter(reading).json_schema()]})


def build_outcomes_type(case: Case) -> TypeAdapter[Any]:
    """The validator of an outcomes request."""
    fields = {
        "id": Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="The answer's id.")],
        "index": Annotated[int, Field(strict=True, ge=0, lt=case.serving.max_instances, description="Which instance.")],
    }
    outcome: Any = _build_outcome(case, fields)
    outcomes = Annotated[list[outcome], Field(min_length=1, max_length=MAX_OUTCOMES), FailFast()]
    return TypeAdapter(_build_object("OutcomesRequest", {"outcomes": outcomes}))


def _build_outcome(case: Case, fields: dict[str, Any]) -> Any:
    """One outcome: of a forecast with its step, of several targets with the name of the one that it is about."""
    task = case.task
    if isinstance(task, Forecast):
        step = Annotated[int, Field(strict=True, ge=1, le=task.horizon, description="Which step ahead.")]
        return _build_object("Outcome", {**fields, "step": step, "value": _build_value(case.target)})
    if not isinstance(task, Anticipate):
        return _build_object("Outcome", {**fields, "value": _build_value(case.target)})
    each = [
        _build_object(f"Outcome_{target.name}", {**fields, "target": Literal[target.name], "value": value})
        for target, value in ((target, _build_value(target.column)) for target in task.targets)
    ]
    if len(each) == 1:
        return each[0]
    any_of: Any = Union[tuple(each)]  # noqa: UP007  (the members are known when a case is loaded)
    return Annotated[any_of, Field(discriminator="target")]


def name_prediction(case: Case) -> type[Prediction | Outlook | Estimate | Label]:
    """What the case answers with."""
    if case.is_series:
        return Prediction if case.is_forecast else Outlook
    return Label if case.target.labels else Estimate


def describe_body(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """The `requestBody` of an OpenAPI operation, with every definition in place."""
    schema = adapter.json_schema()
    definitions = schema.pop("$defs", {})
    return {"required": True, "content": {"application/json": {"schema": _inline(schema, definitions)}}}


def _inline(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inline(each, definitions) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inline(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    # A discriminator tells members by their names among the definitions, which are gone.
    return {key: _inline(value, definitions) for key, value in node.items() if key != "discriminator"}


def describe_case(case: Case) -> dict[str, Any]:
    """What does not change about a case, for `GET /cases`."""
    return {
        "columns": [
            ColumnInfo.model_validate(column, from_attributes=True).model_dump(mode="json") for column in case.columns
        ],
        "history": case.history,
        "horizon": case.task.horizon if isinstance(case.task, Forecast) else None,
        "unit": case.target.unit,
        "labels": list(case.target.labels),
        "targets": [_describe_target(target) for target in case.task.targets]
        if isinstance(case.task, Anticipate)
        else [],
    }


def _describe_target(target: Growth) -> dict[str, Any]:
    return TargetInfo.model_validate(target.column, from_attributes=True).model_dump(mode="json")
