"""Which windows each fit learns from and which judge it: no truth crosses a border; repeated records are shared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.case import ARRIVED, Case, Classify, Column, Forecast, Gate
from okawari.data.datasets import BundledDiabetes
from okawari.dataset import folds as folds_module
from okawari.dataset.folds import plan_folds
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.constant import Constant
from okawari.models.windows import WindowSet
from okawari.schema.record_order import deal, spread

PASSENGERS = Case(
    name="passengers",
    title="Who survived",
    source=BundledDiabetes(),  # never read here
    time=ARRIVED,
    columns=(Column(name="sex", labels=("woman", "man")), Column(name="age", missing="allow")),
    task=Classify(target=Column(name="survived", labels=("no", "yes"))),
    candidates=(Constant(),),
    gate=Gate(holdout=60, origins=5),
)


def _numbered(n: int, horizon: int) -> WindowSet:
    """Windows whose level is their number, and whose truth are the next numbers."""
    ahead = np.arange(n)[:, None] + np.arange(1, horizon + 1)
    return WindowSet(
        x_BTF=np.zeros((n, 2, 5)),
        z_BSK=np.zeros((n, 1, 3), dtype=np.float32),
        r_BH=ahead.astype(np.float32),
        level_B=np.arange(n, dtype=np.float64),
        at_B=np.arange(n).astype("datetime64[D]").astype("datetime64[ns]"),
        target_index=3,
    )


def _passengers(n: int, seed: int = 0) -> pd.DataFrame:
    """Few combinations that repeat often: two sexes, a tenth of the men and three quarters of the women survived."""
    rng = np.random.default_rng(seed)
    is_man = rng.random(n) < 0.65
    lived = rng.random(n) < np.where(is_man, 0.1, 0.75)
    age = np.where(rng.random(n) < 0.2, np.nan, 30.0)
    arrived = pd.date_range("2020", periods=n, freq="s")
    words = {"sex": np.where(is_man, "man", "woman"), "survived": np.where(lived, "yes", "no")}
    return pd.DataFrame({"arrived": arrived, "age": age, **words})


@settings(max_examples=50, deadline=None)
@given(
    n=st.integers(150, 500),
    horizon=st.integers(1, 12),
    holdout=st.integers(6, 40),
    calibration=st.integers(9, 40),
    origins=st.integers(1, 6),
)
def test_a_model_learns_only_what_was_known_at_its_origin(
    n: int, horizon: int, holdout: int, calibration: int, origins: int, small_case: Case
) -> None:
    gate = Gate(holdout=holdout, calibration=calibration, origins=origins)
    case = replace(small_case, gate=gate, task=Forecast(target="close", history=2, horizon=horizon))
    planned = plan_folds(_numbered(n, horizon), case)
    assert planned.n_fits == origins
    assert planned.judged.level_B.tolist() == list(range(n - holdout - calibration, n))
    for part in planned.parts:
        assert part.train.level_B[-1] + horizon < part.validation.level_B[0] + 1
        assert part.validation.level_B[-1] + horizon < part.judged.level_B[0] + 1
        assert part.train.level_B[0] == 0
    judged = np.concatenate([part.rows_J for part in planned.parts])
    assert judged.tolist() == list(range(holdout + calibration))


def test_one_origin_learns_from_what_the_single_split_learns_from_and_one_gap(small_case: Case) -> None:
    case = replace(small_case, gate=Gate(holdout=20, calibration=30, origins=1))
    windows = _numbered(200, case.horizon)
    [fold], split = plan_folds(windows, case).parts, split_windows(windows, case)
    assert fold.train.level_B.tolist()[: len(split.train)] == split.train.level_B.tolist()
    assert len(fold.train) + len(fold.validation) == len(split.train) + len(split.validation) + case.horizon


def test_every_record_is_judged_once_by_a_model_of_the_others() -> None:
    windows = cut_windows(_passengers(300), PASSENGERS)
    planned = plan_folds(windows, PASSENGERS)
    assert planned.n_fits == 5 and planned.is_dealt and len(planned.judged) == 300
    assert sorted(np.concatenate([part.rows_J for part in planned.parts]).tolist()) == list(range(300))
    for part in planned.parts:
        times = [set(each.at_B.tolist()) for each in (part.train, part.validation, part.judged)]
        assert sum(map(len, times)) == len(set.union(*times)) == 300


def test_no_combination_of_values_lies_whole_in_one_part() -> None:
    windows = cut_windows(_passengers(400), replace(PASSENGERS, gate=Gate(holdout=80, origins=1)))
    case = replace(PASSENGERS, gate=Gate(holdout=80, origins=1))
    split, [single] = split_windows(windows, case), plan_folds(windows, case).parts
    whole = _count_kinds(windows)
    for judged in (split.holdout, single.judged, *(fold.judged for fold in plan_folds(windows, PASSENGERS).parts)):
        for kind, count in _count_kinds(judged).items():
            assert abs(count - whole[kind] * len(judged) / len(windows)) < 3, kind


def _count_kinds(windows: WindowSet) -> Counter[bytes]:
    rows = np.concatenate([windows.x_BTF[:, 0], windows.r_BH], axis=1)
    rows[np.isnan(rows)] = np.nan
    return Counter(row.tobytes() for row in rows)


@settings(max_examples=40, deadline=None)
@given(kinds=st.lists(st.integers(0, 5), min_size=8, max_size=120), n_folds=st.integers(2, 6))
def test_folds_and_parts_share_labels_and_repeated_records(kinds: list[int], n_folds: int) -> None:
    values, labels = np.array(kinds, dtype=np.float32)[:, None], np.array(kinds) % 3
    fold_B, order = deal(values, labels, n_folds), spread(values, labels)
    assert sorted(order.tolist()) == list(range(len(kinds)))
    for kind in set(kinds):
        dealt = np.bincount(fold_B[np.array(kinds) == kind], minlength=n_folds)
        assert np.ptp(dealt) <= 1
    half = order[: len(order) // 2]
    for label in set(labels.tolist()):
        assert abs(np.sum(labels[half] == label) - np.sum(labels == label) / 2) <= 2


def test_the_medians_of_a_fold_are_those_of_what_it_learns_from() -> None:
    frame = _passengers(300)
    frame["age"] = np.where(frame["age"].isna(), np.nan, np.arange(300.0))
    windows = cut_windows(frame, PASSENGERS)
    for part in plan_folds(windows, PASSENGERS).parts:
        assert part.train.imputation is not None
        assert part.train.imputation.medians[1] == np.nanmedian(part.train.x_BTF[:, 0, 1])
        missing = np.isnan(part.train.x_BTF[:, 0, 1])
        assert missing.any() and set(part.train.z_BSK[missing, 0, 2].tolist()) == {part.train.imputation.medians[1]}


def test_a_big_table_is_judged_by_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds_module, "BIG_TABLE", 250)
    planned = plan_folds(cut_windows(_passengers(300), PASSENGERS), PASSENGERS)
    assert planned.n_fits == 1 and not planned.is_dealt and len(planned.judged) == 60


def test_too_few_windows_are_refused_as_by_the_single_split() -> None:
    with pytest.raises(InvalidInput, match="There are 61 windows; a split takes at least"):
        plan_folds(cut_windows(_passengers(61), PASSENGERS), PASSENGERS)
