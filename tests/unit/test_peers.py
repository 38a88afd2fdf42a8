"""Nothing in the benchmark of models sees what is later than its question: neither a peer nor what Okawari serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.models import keep_result
from benchmarks.public_tables import PublicTable, load_table
from benchmarks.record_peers import RECORD_PEERS, prepare_records
from benchmarks.series_peers import SERIES_PEERS, build_lags, prepare_series
from benchmarks.served import serve_table

N_SAME = 8
"""Later rows that two versions of the Nile have in common."""


def _flood(table: PublicTable) -> PublicTable:
    """The series with other values from the ninth later row on."""
    frame = table.frame.copy()
    first = int(table.later_B[N_SAME])
    frame.loc[first:, table.target] = 5000.0
    return replace(table, frame=frame)


@pytest.mark.parametrize("name", ["seasonal naive", "ridge CV", "HistGB", "LightGBM"])
def test_a_peers_forecasts_do_not_depend_on_later_values(name: str) -> None:
    table = load_table("nile")
    one, other = (SERIES_PEERS[name](prepare_series(each)).mean_BH for each in (table, _flood(table)))
    assert one.shape == (20, 5)
    assert np.array_equal(one[: N_SAME + 1], other[: N_SAME + 1])
    assert not np.array_equal(one[N_SAME + 1 :], other[N_SAME + 1 :])


def test_what_serves_does_not_depend_on_later_values() -> None:
    table = load_table("nile")
    one, other = (serve_table(each, ["linear_cv"]) for each in (table, _flood(table)))
    assert one["rows"] == list(range(20))
    assert one["candidate"] == other["candidate"]
    assert one["mean"][: N_SAME + 1] == other["mean"][: N_SAME + 1]
    assert one["mean"][N_SAME + 1 :] != other["mean"][N_SAME + 1 :]


def test_answers_about_records_do_not_depend_on_their_targets() -> None:
    table = load_table("iris")
    swapped = table.frame.copy()
    swapped.loc[table.later_B, table.target] = "class setosa"
    other = replace(table, frame=swapped)
    for answer in RECORD_PEERS.values():
        one, same = (answer(prepare_records(each)).mean_BH for each in (table, other))
        assert np.array_equal(one, same)
        assert one.sum(axis=1) == pytest.approx(1.0)


def test_lags_are_differences_to_earlier_values() -> None:
    task = prepare_series(load_table("nile"))
    x_NF = build_lags(task)
    row = 40
    assert x_NF[row, 0] == task.value_N[row]
    assert x_NF[row, 1] == task.value_N[row] - task.value_N[row - 1]
    assert x_NF[row, 12] == task.value_N[row] - task.value_N[row - 12]


def test_missing_values_of_the_known_part_are_interpolated_and_later_ones_repeat_the_last() -> None:
    frame = pd.DataFrame(
        {"date": pd.date_range("2000-01-01", periods=6), "value": [1.0, np.nan, 3.0, 4.0, np.nan, 9.0]}
    )
    table = PublicTable(
        name="t", group="series", origin="", frame=frame, target="value", later_B=np.arange(3, 6), time="date", season=7
    )
    assert prepare_series(table).value_N.tolist() == [1.0, 2.0, 3.0, 4.0, 4.0, 9.0]


def test_words_are_categories_dates_are_years_and_names_are_no_input() -> None:
    n = 120
    frame = pd.DataFrame(
        {
            "name": [f"item {i}" for i in range(n)],
            "colour": ["red", "blue"] * (n // 2),
            "made": ["1970-01-01", "1982-01-01"] * (n // 2),
            "y": np.arange(n, dtype=float),
        }
    )
    table = PublicTable(name="t", group="numbers", origin="", frame=frame, target="y", later_B=np.arange(10))
    task = prepare_records(table)
    assert list(task.known.columns) == ["colour", "made"]
    assert set(task.known["made"]) == {1970.0, 1982.0}
    assert len(task.known) == n - 10


def test_a_kept_result_is_not_computed_again(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, Any]:
        calls.append(1)
        return {"fit_s": 0.5, "mean": [[float(len(calls))]]}

    first = keep_result(tmp_path, "nile", "ridge CV", compute)
    assert keep_result(tmp_path, "nile", "ridge CV", compute) == first
    assert len(calls) == 1
    assert keep_result(tmp_path, "nile", "ridge CV", compute, anew=True)["mean"] == [[2.0]]
    assert json.loads((tmp_path / "nile.ridge_CV.json").read_text())["table"] == "nile"
