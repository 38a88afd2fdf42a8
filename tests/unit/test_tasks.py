"""Records: what a case may say of them, how they are kept, split, scored and judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.drift import measure_drift
from monitoring.performance import measure_hits
from okawari.case import ARRIVED, Case, Classify, Column, Drift, Gate, LogRatio, Regress
from okawari.cases.loader import load_case
from okawari.data.datasets import Blobs
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.ground_truth import match_records
from okawari.evaluation.metrics import accuracy, balanced_accuracy, log_loss, r_squared
from okawari.evaluation.scores import score_answer
from okawari.evaluation.significance import find_holm_levels
from okawari.graph.feature_graph import compute_features
from okawari.graph.inference import Answer
from okawari.models.constant import Constant
from okawari.models.windows import WindowSet
from okawari.schema.heads import LabelHead
from okawari.storage import snapshots

NOW = datetime(2024, 5, 1, tzinfo=UTC)
CASE = Case(
    name="fruit", title="Fruit", source=Blobs(), time=ARRIVED,
    columns=(Column(name="grams", above=0), Column(name="colour", labels=("red", "green"))),
    task=Classify(target=Column(name="fruit", labels=("apple", "pear", "3"))),
    candidates=(Constant(),), gate=Gate(holdout=20),
)  # fmt: skip
RAW = pd.DataFrame(
    {"grams": [100, 120.5, 80, 100], "colour": ["red", "green", "red", "red"], "fruit": ["apple", "pear", 3, "apple"]}
)


# --- what a case may say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Column(name="a", labels=("x",)), "has one label"),
        (lambda: Column(name="a", labels=("x", "y", "x")), r"names the labels \['x'\] twice"),
        (lambda: Column(name="a", labels=("x", "y"), minimum=0), "labels and bounds"),
        (lambda: Classify(target=Column(name="a")), "has no labels; use Regress"),
        (lambda: Regress(target=Column(name="a", labels=("x", "y"))), "has labels; use Classify"),
        (lambda: replace(CASE, columns=(*CASE.columns, Column(name="fruit"))), "lists its target fruit as a column"),
        (lambda: replace(CASE, time=CASE.column_names[0]), "write time=ARRIVED"),
        (
            lambda: replace(CASE, features=(LogRatio(name="f", numerator="grams", denominator="grams"),)),
            "columns of records are their features",
        ),
        (lambda: replace(load_case("aapl"), features=()), "has no features"),
        (lambda: replace(load_case("digits"), picture=(8, 9)), "picture of 72 pixels and 64 columns"),
    ],
)
def test_a_case_that_makes_no_sense_is_refused(build, told: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=told):
        build()


# --- how records are checked and kept -----------------------------------------------------------------------------


def test_labels_are_words_whatever_type_a_file_gave_them() -> None:
    checked = check_readings(RAW, CASE, NOW)
    assert checked.refused.empty and checked.new_words == {}
    assert checked.good["colour"].tolist() == ["red", "green", "red", "red"]
    assert checked.good["fruit"].tolist() == ["apple", "pear", "3", "apple"]


def test_a_word_that_is_no_label_is_refused_where_the_labels_are_closed() -> None:
    closed = replace(CASE, columns=(CASE.columns[0], replace(CASE.columns[1], new_share=0)))
    checked = check_readings(RAW.assign(colour=["red", "blue", None, "red"]), closed, NOW)
    assert len(checked.good) == 2
    assert checked.refused["reason"].tolist() == ["colour is 'blue', not one of red, green", "colour is missing"]


def test_a_question_needs_no_target() -> None:
    assert len(check_readings(RAW.drop(columns="fruit"), CASE, NOW, with_target=False).good) == 4
    with pytest.raises(InvalidInput, match=r"lacks \['fruit'\]"):
        check_readings(RAW.drop(columns="fruit"), CASE, NOW)


def test_records_are_known_by_their_values_and_each_of_two_equal_ones_counts(home: Path) -> None:
    checked = check_readings(RAW, CASE, NOW)
    first = snapshots.record_readings(CASE, checked.good, checked.refused, NOW)
    assert (first.new_rows, first.snapshot.rows) == (4, 4)
    again = snapshots.record_readings(CASE, checked.good.iloc[::-1], checked.refused, NOW)
    assert (again.new_rows, again.revised_rows, again.snapshot) == (0, 0, first.snapshot)
    more = snapshots.record_readings(CASE, pd.concat([checked.good, checked.good.iloc[[1]]]), checked.refused, NOW)
    assert (more.new_rows, more.snapshot.rows) == (1, 5)
    kept = snapshots.load_readings(CASE)
    assert kept[ARRIVED].is_monotonic_increasing and kept[ARRIVED].is_unique
    assert kept["grams"].tolist() == [100, 120.5, 80, 100, 120.5]


def test_a_snapshots_digest_says_nothing_of_when_records_arrived(home: Path) -> None:
    checked = check_readings(RAW, CASE, NOW)
    one = snapshots.record_readings(CASE, checked.good, checked.refused, NOW).snapshot
    later = datetime(2025, 1, 1, tzinfo=UTC)
    other = snapshots.record_readings(replace(CASE, name="other"), checked.good, checked.refused, later).snapshot
    assert one.digest == other.digest and one.last_at != other.last_at


# --- how they are cut, split and read by a graph ------------------------------------------------------------------


FRUIT = ("apple", "pear", "3")


def _windows(values: list[float]) -> WindowSet:
    frame = pd.DataFrame(
        {"grams": values, "colour": "red", "fruit": [FRUIT[place % 3] for place in range(len(values))]}
    )
    return cut_windows(frame.assign(arrived=pd.date_range("2020", periods=len(values), freq="s")), CASE)


def test_a_record_is_a_window_of_one_whose_words_are_columns() -> None:
    windows = _windows([100.0, 50.0])
    assert windows.x_BTF.tolist() == [[[100, 0]], [[50, 0]]]
    assert windows.z_BSK.tolist() == [[[100, 1, 0]], [[50, 1, 0]]]
    assert windows.r_BH.tolist() == [[1, 0, 0], [0, 1, 0]]
    x_B1F = np.array([[[3.0, 1.0]]])
    assert compute_features(CASE, x_B1F).tolist() == [[[3, 0, 1]]]


def test_too_few_records_say_how_many_it_takes() -> None:
    with pytest.raises(InvalidInput, match="There are 25 windows; a split takes at least 26: 6 to learn from, 0"):
        split_windows(_windows(list(range(1, 26))), CASE)


# --- how they are scored ------------------------------------------------------------------------------------------


def test_scores_of_labels_equal_their_naive_versions() -> None:
    p_BC = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.0, 1.0, 0.0]])
    true_B = np.array([0, 1, 0])
    assert log_loss(true_B, p_BC) == pytest.approx(-(np.log(0.7) + np.log(0.3) + np.log(1e-6)) / 3)
    assert accuracy(true_B, p_BC) == pytest.approx(1 / 3)
    assert balanced_accuracy(true_B, p_BC) == pytest.approx((1 / 2 + 0) / 2)
    with pytest.raises(InvalidInput):
        accuracy(true_B[:2], p_BC)


def test_the_explained_share_is_one_of_the_truth_and_zero_of_its_mean() -> None:
    assert r_squared([1, 2, 3], [1, 2, 3]) == 1 and r_squared([1, 2, 3], [2, 2, 2]) == 0
    assert r_squared([2, 2], [1, 3]) is None


def test_the_loss_is_the_mean_of_the_rows_losses() -> None:
    windows = _windows([1.0, 2.0, 3.0])
    scores = score_answer(Answer(np.array([[0.5, 0.25, 0.25]] * 3)), windows, CASE)
    assert scores.loss_name == "log loss" and scores.loss == pytest.approx(scores.losses_BK.mean())
    assert scores.numbers["accuracy"] == pytest.approx(1 / 3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_levels_equal_the_textbook(p_values: list[float]) -> None:
    for alpha in (0.01, 0.05, 0.2):
        rejected, left = set(), sorted(range(len(p_values)), key=lambda place: p_values[place])
        while left and p_values[left[0]] <= alpha / len(left):
            rejected.add(left.pop(0))
        levels = find_holm_levels(p_values, alpha)
        close = {place for place, p in enumerate(p_values) if abs(p - levels[place]) < 1e-12}
        assert {place for place, p in enumerate(p_values) if p <= levels[place]} - close == rejected - close


# --- how they are watched -----------------------------------------------------------------------------------------


def test_drift_of_records_takes_no_order_for_granted() -> None:
    random, rule = np.random.default_rng(1), Drift(reference=750, current=100)
    names = [f"c{number}" for number in range(30)]
    reference = pd.DataFrame(random.normal(size=(400, 30)), columns=names)
    quiet = pd.DataFrame(random.normal(size=(100, 30)), columns=names)
    moved = quiet.assign(c7=quiet["c7"] + 1)
    assert measure_drift(reference, quiet, rule, in_order=False).verdict == "stable"
    verdict = measure_drift(reference, moved, rule, in_order=False)
    assert [column.column for column in verdict.columns if column.drifted] == ["c7"]
    assert measure_drift(reference, moved, rule).verdict == "not enough data"  # too few blocks for thirty columns


def test_answers_meet_the_truth_that_was_sent_for_them() -> None:
    answered = pd.DataFrame(
        {"id": ["a", "a", "b"], "index": [0, 1, 0], "version": "1", "mean": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
         "lower": None, "upper": None, "label": ["no", "yes", "no"]}
    )  # fmt: skip
    told = pd.DataFrame(
        {"id": ["a", "a"], "index": [0, 1], "step": 1, "target": "", "value": [None, 0.0], "label": ["no", None]}
    )
    pairs = match_records(answered, told, LabelHead(name="left", start=0, words=("no", "yes")))
    assert pairs["hit"].tolist() == [1, 0] and pairs["truth"].tolist() == [0, 0]


def test_an_answer_is_judged_by_its_word_and_not_by_its_place() -> None:
    answered = pd.DataFrame(
        {"id": ["a", "b"], "index": 0, "version": ["1", "2"], "mean": [[0.9, 0.1], [0.1, 0.2, 0.7]],
         "lower": None, "upper": None, "label": ["plus", "plus"]}
    )  # fmt: skip
    told = pd.DataFrame({"id": ["a", "b"], "index": 0, "step": 1, "target": "", "value": None, "label": "plus"})
    head = LabelHead(name="plan", start=0, words=("basic", "mini", "plus"))
    assert match_records(answered, told, head)["hit"].tolist() == [1, 1]


@pytest.mark.parametrize(("right", "verdict"), [(39, "not enough data"), (30, "degraded"), (90, "good")])
def test_labels_are_judged_against_the_most_common_one(right: int, verdict: str) -> None:
    n = 39 if verdict == "not enough data" else 100
    hits = pd.Series([1.0] * right + [0.0] * (n - right))
    assert measure_hits(hits, baseline_share=0.5).verdict == verdict


def test_blobs_are_written_as_csv_once_and_their_best_answer_is_the_quadrant(home: Path) -> None:
    source = Blobs(n=20_000, distance=1.0, seed=9)
    frame = source.read()
    assert (home / "sources").is_dir() and source.read().equals(frame)
    x, y = (frame[name].astype(float) for name in ("x", "y"))
    best = np.where(y > 0, "north_", "south_") + np.where(x > 0, "east", "west").astype(object)
    assert np.mean(best == frame["blob"]) == pytest.approx(source.bayes_accuracy, abs=0.01)
