"""Several targets over a file: exactly the documented columns, whatever the format, the chunks or the damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Anticipate, Case
from okawari.cases.loader import load_case
from okawari.dataset.windows import last_window
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore, Interval
from okawari.scoring import job
from okawari.scoring.job import score_file
from okawari.scoring.model import Model

CPI = load_case("cpi")
assert isinstance(CPI.task, Anticipate)
TREND = replace(CPI.task.targets[0], labels=("falling", "very stable", "rising"))
CASE = replace(CPI, task=replace(CPI.task, targets=(TREND, CPI.task.targets[1])))
KNOWN, LINEAGE = ["as_of", "level"], ["time_1", "model_version", "graph_sha256"]
LABEL = ["trend", "trend_falling", "trend_very stable", "trend_rising"]
NUMBER = ["acceleration", "acceleration_lower", "acceleration_upper"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 20 rows and batches of 8 windows, so that some hundred rows cross many borders."""
    monkeypatch.setattr(job, "CHUNK_ROWS", 20)
    monkeypatch.setattr(job, "BATCH", 8)


@pytest.fixture(scope="module")
def readings() -> pd.DataFrame:
    return CASE.source.read()


def _make_model(case: Case = CASE, *, interval: bool = True) -> Model:
    """A graph whose every answer depends on each step of its window."""
    n_inputs = 8 * 3
    weights = np.random.default_rng(3).normal(0, 0.5, (case.task.width, n_inputs))
    bounds = Interval(0.9, np.array([0.0, 0, 0, 1.5])[-case.task.width :]) if interval else None
    return Model("3", Graph.load(build_graph(AffineCore(weights, np.zeros(case.task.width), reads="z"), case, bounds)))


def _write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, parse_dates=["as_of"], dtype={"model_version": str})


@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "out.parquet"])
def test_every_row_gets_the_answer_of_its_own_window_under_the_documented_names(
    readings: pd.DataFrame, tmp_path: Path, source: str, target: str
) -> None:
    model = _make_model()
    scored = score_file(CASE, model, _write(readings, tmp_path / source), tmp_path / target)
    answers = _read(tmp_path / target)
    assert (scored.answered, scored.early) == (195, 8) and len(answers) == 195
    assert list(answers) == [*KNOWN, *LABEL, *NUMBER, *LINEAGE]
    for place in (0, 11, 12, 100, 194):
        one = model.graph.answer(last_window(readings.iloc[: place + 9], CASE))
        row = answers.iloc[place]
        assert (row["as_of"], row["level"]) == tuple(readings[["date", "cpi"]].iloc[place + 8])
        np.testing.assert_allclose(row[LABEL[1:]].astype(float), one.mean_BH[0, :3], rtol=1e-5)
        assert row["trend"] == TREND.labels[one.mean_BH[0, :3].argmax()]
        assert one.lower_BH is not None and one.upper_BH is not None
        expected = [one.mean_BH[0, 3], one.lower_BH[0, 3], one.upper_BH[0, 3]]
        np.testing.assert_allclose(row[NUMBER].astype(float), expected, rtol=1e-5)
    assert set(answers["model_version"]) == {"3"} and set(answers["graph_sha256"]) == {model.graph.sha256}


def test_a_model_without_interval_has_no_columns_for_bounds(readings: pd.DataFrame, tmp_path: Path) -> None:
    score_file(CASE, _make_model(interval=False), _write(readings, tmp_path / "in.csv"), tmp_path / "out.csv")
    assert list(_read(tmp_path / "out.csv")) == [*KNOWN, *LABEL, "acceleration", *LINEAGE]


def test_numbers_alone_and_labels_alone_have_their_own_columns_only(readings: pd.DataFrame, tmp_path: Path) -> None:
    source = _write(readings, tmp_path / "in.csv")
    for targets, columns in (((TREND,), LABEL), ((CPI.task.targets[1],), NUMBER)):  # type: ignore[union-attr]
        case = replace(CASE, task=replace(CASE.task, targets=targets))
        model = _make_model(case, interval=columns is NUMBER)
        score_file(case, model, source, tmp_path / f"{columns[0]}.parquet")
        assert list(_read(tmp_path / f"{columns[0]}.parquet")) == [*KNOWN, *columns, *LINEAGE]


def test_a_chunk_of_damaged_rows_answers_nothing_and_the_others_go_on(readings: pd.DataFrame, tmp_path: Path) -> None:
    damaged = readings.astype(object)
    damaged.loc[20:39, "cpi"] = "?"
    model, case = _make_model(), replace(CASE, frequency=None)  # the rows follow each other
    scored = score_file(case, model, _write(damaged, tmp_path / "in.csv"), tmp_path / "out.parquet")
    assert (scored.answered, scored.refused, scored.early) == (175, 20, 8)
    assert scored.first_reason == "row 21: cpi is '?', not a number"
    good = readings.drop(index=range(20, 40))
    score_file(case, model, _write(good, tmp_path / "good.csv"), tmp_path / "expected.parquet")
    pd.testing.assert_frame_equal(_read(tmp_path / "out.parquet"), _read(tmp_path / "expected.parquet"))


def test_too_few_rows_are_an_error_that_leaves_nothing(readings: pd.DataFrame, tmp_path: Path) -> None:
    source = _write(readings.head(8), tmp_path / "in.csv")
    with pytest.raises(InvalidInput, match="8 valid rows of 8; case cpi needs 9 in a row"):
        score_file(CASE, _make_model(), source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_a_model_of_older_targets_does_not_answer(readings: pd.DataFrame, tmp_path: Path) -> None:
    source = _write(readings, tmp_path / "in.csv")
    with pytest.raises(InvalidInput, match="The graph answers with 4 numbers; case cpi needs 7 numbers"):
        score_file(CPI, _make_model(), source, tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]
