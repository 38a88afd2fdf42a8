"""A picture in a request: rows of pixels instead of a record of them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, WithJsonSchema
from pydantic_core import PydanticCustomError

from okawari.case import Case


def read_picture(case: Case, value: Any) -> Any:
    """Convert a picture to the record of its pixels. Values other than lists pass to the record's own checks."""
    assert case.picture is not None
    if not isinstance(value, list):
        return value
    height, width = case.picture
    if len(value) != height or any(not isinstance(row, list) or len(row) != width for row in value):
        raise PydanticCustomError("picture_shape", "a list of {height} rows of {width} numbers", {
            "height": height, "width": width,
        })  # fmt: skip
    return dict(zip(case.column_names, (pixel for row in value for pixel in row), strict=True))


def describe_picture(case: Case, reading: Any) -> WithJsonSchema:
    """The JSON schema of a reading that may be rows of pixels instead."""
    assert case.picture is not None
    height, width = case.picture
    row = {"type": "array", "items": {"type": "number"}, "minItems": width, "maxItems": width}
    picture = {"type": "array", "items": row, "minItems": height, "maxItems": height, "description": "Rows of pixels."}
    return WithJsonSchema({"anyOf": [picture, TypeAdapter(reading).json_schema()]})
