"""A column that came later: older rows are filled in once, whatever arrives first."""

import numpy as np
import pandas as pd
import pytest

from okawari.schema.added_columns import count_filled, find_older
from okawari.schema.layout import RecordLayout

NOW = pd.Timestamp("2026-01-01")
NAMES = ("age", "region")


def store(held: pd.DataFrame | None, arrived: pd.DataFrame, day: int) -> tuple[pd.DataFrame, int, int]:
    """The stored records after a delivery, and how many were new and how many filled in."""
    now = NOW + pd.Timedelta(days=day)
    new, filled = RecordLayout().find_changes(arrived, held, "at", NAMES, now)
    after = pd.concat([*([] if held is None else [held]), new, filled]).drop_duplicates("at", keep="last")
    return after.sort_values("at").reset_index(drop=True), len(new), len(filled)


def make_people(n: int, region: str | None) -> pd.DataFrame:
    return pd.DataFrame({"age": np.arange(n, dtype=float) // 2, "region": pd.Series([region] * n, dtype=object)})


def test_a_small_delivery_with_the_column_first_stores_no_older_record_twice():
    held, *_ = store(None, make_people(40, None), 0)
    held, n_new, n_filled = store(held, pd.DataFrame({"age": [99.0, 98.0], "region": ["north", None]}), 1)
    assert (n_new, n_filled) == (2, 0)
    held, n_new, n_filled = store(held, make_people(44, "south"), 2)
    assert (n_new, n_filled) == (4, 40)
    assert len(held) == 46 and held["region"].isna().sum() == 1
    assert store(held, make_people(44, "south"), 3)[1:] == (0, 0)


def test_a_record_whose_value_was_missing_since_the_column_came_is_another_one():
    held, *_ = store(None, pd.DataFrame({"age": [1.0, 2.0], "region": [None, "north"]}), 0)
    assert store(held, pd.DataFrame({"age": [1.0], "region": ["south"]}), 1)[1:] == (1, 0)


@pytest.mark.parametrize(("change", "n"), [({}, 3), ({"age": [1.0, 2.0, 4.0]}, 2)])
def test_only_rows_that_agree_elsewhere_count_as_filled(change: dict[str, list[float]], n: int):
    at = pd.date_range("2026-01-01", periods=3)
    held = pd.DataFrame({"at": at, "age": [1.0, 2.0, 3.0], "region": pd.Series([None] * 3, dtype=object)})
    assert count_filled(held.assign(region="north", **change), held, "at", NAMES) == n


def test_rows_are_older_than_a_column_up_to_its_first_delivery():
    at = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02 00:00:00.000001"], format="ISO8601")
    held = pd.DataFrame({"at": at, "region": [None, None, "north"]})
    assert find_older(held, "at", "region").tolist() == [True, False, False]
