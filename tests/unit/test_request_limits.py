"""Limits of a case's bodies, and messages that stay short whatever a request holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bentos.body_limits import MAX_BODY_BYTES, SMALL_BYTES, find_body_limits
from bentos.errors import Refused
from bentos.requests import Reader
from bentos.schemas import MAX_OUTCOMES, show_predict_body
from okawari.cases.loader import list_bundled, load_case

CASES = list_bundled()


@pytest.mark.parametrize("name", CASES)
def test_the_largest_valid_requests_fit_even_if_they_are_indented(name: str) -> None:
    case = load_case(name)
    limits = find_body_limits(case)
    (instance,) = show_predict_body(case)["instances"]
    records = instance if isinstance(instance, list) else [instance]
    for record in records:
        record.update({column.name: -1.2345678901234567e-100 for column in case.columns if not column.labels})
        record.update(dict.fromkeys(case.time_columns, "2013-03-01T00:00:00.000000+00:00"))
    body = json.dumps({"instances": [instance] * case.serving.max_instances}, indent=1)
    assert len(body) <= limits.predict <= MAX_BODY_BYTES
    outcome = {"id": "a" * 40, "index": 255, "step": 12, "target": "acceleration", "value": -1.2345678901234567e-100}
    assert len(json.dumps({"outcomes": [outcome] * MAX_OUTCOMES})) <= limits.outcomes


def test_a_case_of_small_requests_takes_no_large_body() -> None:
    assert find_body_limits(load_case("blobs")).predict < 2 * SMALL_BYTES
    assert find_body_limits(load_case("aapl")).predict == MAX_BODY_BYTES


def refuse(case_name: str, body: object) -> Refused:
    with pytest.raises(Refused) as refused:
        Reader(load_case(case_name)).read_question(json.dumps(body).encode())
    return refused.value


@pytest.mark.fault
def test_very_many_faults_are_counted_and_not_listed() -> None:
    refused = refuse("blobs", {"instances": [{f"k{number}": 1 for number in range(5000)}]})
    assert str(refused) == (
        "The body has 5002 faults, most of them fields that are not known; a record has x, y. Leave the others out."
    )
    assert len(refused.detail) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    "record",
    [
        {"x": "1" * 100_000, "y": 1},
        {"x": [[1] * 1000] * 100, "y": 1},
        {"k" * 100_000: 1, "x": 1, "y": 1},
        {"x": 1, "y": {"k" * 100_000: 1}},
    ],
)
def test_a_message_repeats_little_of_what_came(record: dict[str, Any]) -> None:
    refused = refuse("blobs", {"instances": [record]})
    assert len(str(refused)) < 300
    assert len(json.dumps(refused.detail)) < 600


def test_a_wrong_pixel_of_a_picture_is_shown() -> None:
    picture: list[list[Any]] = [[0] * 8 for _ in range(8)]
    picture[2][5] = "dark"
    assert str(refuse("digits", {"instances": [picture]})).startswith('instances[0].pixel_25 is "dark"; pixel_25 is')


@pytest.mark.fault
def test_rows_of_many_widths_make_no_long_message() -> None:
    refused = refuse("digits", {"instances": [[[0] * width for width in range(500)]]})
    assert "is a list of 500 rows of 0, 1, 2, 3, 4 pixels" in str(refused)
