"""Profiles: each column is taken for what the checks can read of it, and gets a name that a case may use."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from okawari.scaffold.column_profiles import MAX_WORDS, Profile, name_columns, profile_table
from okawari.schema.columns import NAME


def _profile(*values: Any) -> Profile:
    return profile_table(pd.DataFrame({"x": pd.Series(values, dtype=object)}))[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", "-3e2"], "numbers"),
        ([1, 2.5, Decimal("3.25")], "numbers"),
        (["2024-01-31", "2024-02-01T10:30"], "times"),
        ([dt.date(2024, 1, 31), dt.datetime(2024, 2, 1)], "times"),
        (["red", "green", "red"], "words"),
        ([True, False, True], "words"),
        (["True", "False"], "words"),
        (["1", "2", "many"], "mixed"),
        (["red", 3, None], "mixed"),
        (["red", dt.date(2024, 1, 31)], "mixed"),
        ([[1, 2], [3]], "other"),
        ([None, np.nan, " "], "nothing"),
    ],
)
def test_a_column_is_what_can_be_read_of_it(values: list[Any], kind: str) -> None:
    assert _profile(*values).kind == kind


def test_a_few_damaged_values_do_not_change_what_a_column_is() -> None:
    found = _profile(*map(str, range(98)), "n.a.", None)
    assert (found.kind, found.n_damaged, found.n_missing, found.example) == ("numbers", 2, 1, "n.a.")
    assert _profile(*map(str, range(90)), *["n.a."] * 10).kind == "mixed"


@pytest.mark.parametrize(
    ("values", "kind", "is_codes"),
    [
        (["00501", "90210", "02134"], "words", True),
        (["01", "02", "10"], "words", True),
        (["7", "8", "10"], "numbers", False),
        (["0", "0.5", "10"], "numbers", False),
        (["12A", "305", "B7"], "words", True),
        (["7kg", "8", "10"], "mixed", False),
        (["1,234.5", "8", "10"], "mixed", False),
    ],
)
def test_digits_with_leading_zeros_or_letters_are_codes(values: list[str], kind: str, is_codes: bool) -> None:
    found = _profile(*values)
    assert (found.kind, found.is_codes) == (kind, is_codes)


def test_markers_of_missing_values_are_such_among_numbers_and_words_among_words() -> None:
    numbers = _profile(*map(str, range(80)), *["NA"] * 19, "")
    assert (numbers.kind, numbers.n_missing, numbers.missing_words) == ("numbers", 20, ("NA",))
    words = _profile("NA", "ZA", "None", "")
    assert (words.words, words.n_missing, words.missing_words) == (("NA", "None", "ZA"), 1, ())


def test_identifiers_are_told_by_their_differences_and_their_names() -> None:
    frame = pd.DataFrame({"id": range(100, 300, 2), "yen": range(100, 300, 2), "who": [f"a{n}" for n in range(100)]})
    assert [each.is_identifier for each in profile_table(frame.astype(str))] == [True, False, True]


def test_amounts_and_skewed_numbers_are_told_by_their_quantiles() -> None:
    random = np.random.default_rng(1)
    drawn = {
        "lognormal": np.exp(random.normal(5, 1, 500)), "normal": random.normal(50, 3, 500),
        "uniform": random.uniform(0, 9, 500), "signed": random.normal(0, 1, 500),
    }  # fmt: skip
    found = {each.name: (each.is_amount, each.is_skewed) for each in profile_table(pd.DataFrame(drawn))}
    assert found == {
        "lognormal": (True, True), "normal": (False, False), "uniform": (True, False), "signed": (False, False),
    }  # fmt: skip


def test_numbers_are_told_by_their_range() -> None:
    found = _profile("3", "0", "-2", "3")
    assert (found.low, found.high, found.n_different, found.n_not_positive, found.is_whole) == (-2, 3, 3, 2, True)
    assert not _profile("0.5", "1").is_whole


def test_words_are_listed_sorted_and_only_while_they_are_few() -> None:
    assert _profile("red", "green ", "red").words == ("green", "red")
    assert _profile("10", "9", "-1", 9.0).words == ("-1", "9", "10")
    assert len(_profile(*(f"name {number}" for number in range(100))).words) == MAX_WORDS + 1


@pytest.mark.parametrize(
    ("values", "counts"),
    [(["3", "1", "2"], True), (["1", "2", "4"], False), (["1", "2", "2"], False), (["1.5", "2.5", "3.5"], False)],
)
def test_a_column_that_counts_the_rows_is_recognised(values: list[str], counts: bool) -> None:
    assert _profile(*values).is_row_number is counts


@pytest.mark.parametrize(
    ("values", "format", "two_ways"),
    [
        (["31/12/2024", "01/01/2025"], "%d/%m/%Y", ()),
        (["01/02/2024", "01/03/2024"], "%d/%m/%Y", ("%d/%m/%Y", "%m/%d/%Y")),
        (["1.2.24", "2.2.24"], "%d.%m.%y", ("%d.%m.%y", "%m.%d.%y")),
        (["12/31/2024", "1/1/2025"], "%m/%d/%Y", ()),
        (["2024-01-02", "2024-01-03"], "iso", ()),
    ],
)
def test_times_have_one_format_or_read_two_ways(values: list[str], format: str, two_ways: tuple[str, ...]) -> None:
    found = _profile(*values)
    assert (found.kind, found.time_format, found.two_ways) == ("times", format, two_ways)


def test_a_category_is_its_words() -> None:
    assert profile_table(pd.DataFrame({"x": pd.Categorical(["a", "b", "a"])}))[0].words == ("a", "b")


def test_names_that_a_case_may_use_stay_and_others_become_such() -> None:
    told = ["units", "Unit Price", "unit_price", "2024", "Größe", "%", "", "reason", "x" * 60, "x" * 61]
    names = name_columns(told)
    assert names[:6] == ["units", "unit_price_2", "unit_price", "column_2024", "grosse", "column_6"]
    assert len(set(names)) == len(names)
    assert all(NAME.match(name) for name in names)
    assert not {"reason", "row", "arrived"} & set(names)
