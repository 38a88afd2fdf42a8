"""Batch scoring: each row gets the answer that it would get alone, whatever the format, the chunks, or the kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case, Change, Column, Forecast
from okawari.data.files import TableFile
from okawari.dataset.windows import last_window
from okawari.errors import InvalidInput, NotYet, OkawariError
from okawari.graph.build import build_graph
from okawari.graph.inference import Answer, Graph
from okawari.models.cores import AffineCore, ConstantCore, Interval
from okawari.models.random_walk import RandomWalk
from okawari.progress import Step
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.scoring import checkpoint, job
from okawari.scoring.job import score_file
from okawari.scoring.model import Model, load_model
from tests.tables import draw_counts

ROOT = Path(__file__).parents[2]
TrainVersion = Callable[..., Version]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 50 rows and batches of 16 windows, so that some hundred rows cross many borders."""
    monkeypatch.setattr(job, "CHUNK_ROWS", 50)
    monkeypatch.setattr(job, "BATCH", 16)


def _make_model(case: Case, *, version: str = "3", interval: bool = True, seed: int = 3) -> Model:
    """A graph whose every answer depends on each reading of its window."""
    weights = np.random.default_rng(seed).normal(0, 0.2, (case.task.horizon, case.task.history))
    core = AffineCore(weights, np.full(case.task.horizon, 0.01))
    bounds = Interval(0.9, np.full(case.task.horizon, 0.05)) if interval else None
    return Model(version, Graph.load(build_graph(core, case, bounds)))


@pytest.fixture(scope="session")
def model(small_case: Case) -> Model:
    return _make_model(small_case)


def _write(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, row_group_size=70)
    return path


TIMES = ["time_1", "time_2", "time_3"]


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, parse_dates=["as_of"], dtype={"model_version": str})


def _answer_one_by_one(readings: pd.DataFrame, case: Case, model: Model) -> pd.DataFrame:
    rows = []
    for end in range(case.task.history, len(readings) + 1):
        window = readings.iloc[:end].tail(case.task.history)
        answer = model.graph.answer(last_window(window, case))
        row = {"as_of": window[case.time].iloc[-1], "level": window[case.task.target].iloc[-1]}
        for name, values_BH in (("mean", answer.mean_BH), ("lower", answer.lower_BH), ("upper", answer.upper_BH)):
            if values_BH is not None:
                row |= {f"{name}_{step}": value for step, value in enumerate(values_BH[0], start=1)}
        if case.calendar is not None:
            ahead = case.calendar.steps_after(row["as_of"], case.horizon).astype("datetime64[D]").astype(str)
            row |= {f"time_{step}": day for step, day in enumerate(ahead, start=1)}
        rows.append({**row, "model_version": model.version, "graph_sha256": model.graph.sha256})
    return pd.DataFrame(rows)


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["in.csv", "in.parquet"])
@pytest.mark.parametrize("target", ["out.csv", "out.parquet"])
def test_every_row_gets_the_answer_of_its_own_window(
    source: str, target: str, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    scored = score_file(small_case, model, _write(readings, tmp_path / source), tmp_path / target)
    n, early = len(readings), small_case.task.history - 1
    assert (scored.rows, scored.answered, scored.refused, scored.early) == (n, n - early, 0, early)
    expected = _answer_one_by_one(readings, small_case, model)
    pd.testing.assert_frame_equal(_read(tmp_path / target), expected, rtol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source, target])


def test_days_without_any_are_answered_and_no_answer_is_below_none(tmp_path: Path) -> None:
    counted = Case(
        name="counted", title="Units a day", source=TableFile(tmp_path / "in.csv", time="day"), time="day",
        columns=(Column(name="units", minimum=0),), features=(Change(name="units_change", column="units"),),
        task=Forecast(target="units", history=12, horizon=3, learns="difference"), candidates=(RandomWalk(),),
    )  # fmt: skip
    readings = draw_counts(200)[["day", "units"]]
    readings.loc[150, "units"] = -2
    model = _make_model(counted)
    scored = score_file(counted, model, _write(readings, tmp_path / "in.csv"), tmp_path / "out.csv")
    assert (scored.answered, scored.refused) == (200 - 1 - 11, 1)
    answers = _read(tmp_path / "out.csv")
    good = readings.drop(index=150).assign(day=pd.to_datetime(readings["day"]), units=readings["units"].astype(float))
    expected = _answer_one_by_one(good, counted, model)
    pd.testing.assert_frame_equal(answers.astype({"level": float}), expected, rtol=1e-6)
    said = answers.filter(regex="^(mean|lower|upper)_")
    assert (said >= 0).all(axis=None) and (said == 0).any(axis=None)
    assert pd.read_csv(tmp_path / "out.refused.csv")["reason"].tolist() == ["units must be at least 0, came -2.0"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_with_the_names_of_the_cases_own_table_is_answered_alike(
    ending: str, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    own = TableFile(tmp_path / "own.csv", rename=(("Last Price", "close"), ("Day", "date")))
    case = replace(small_case, source=own)
    readings.loc[readings.index[-50], "close"] = -1.0
    plain = _write(readings.tail(120), tmp_path / f"plain.{ending}")
    renamed = readings.tail(120).rename(columns={"close": "Last Price", "date": "Day"})
    told = _write(renamed, tmp_path / f"told.{ending}")
    for name, source in (("plain", plain), ("told", told)):
        score_file(case, model, source, tmp_path / f"{name}_out.csv")
    for name in ("out.csv", "out.refused.csv"):
        assert (tmp_path / f"told_{name}").read_bytes() == (tmp_path / f"plain_{name}").read_bytes()


@pytest.mark.parametrize("size", [1, 11, 12, 13, 459, 1000])
def test_the_size_of_a_chunk_changes_nothing(
    size: int, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _write(readings.tail(40 if size == 1 else 120), tmp_path / "in.parquet")
    score_file(small_case, model, source, tmp_path / "usual.parquet")
    monkeypatch.setattr(job, "CHUNK_ROWS", size)
    score_file(small_case, model, source, tmp_path / "other.parquet")
    usual, other = _read(tmp_path / "usual.parquet"), _read(tmp_path / "other.parquet")
    pd.testing.assert_frame_equal(other, usual, rtol=1e-6)


def test_a_model_without_interval_has_no_columns_for_bounds(
    small_case: Case, readings: pd.DataFrame, tmp_path: Path
) -> None:
    bare = _make_model(small_case, interval=False)
    score_file(small_case, bare, _write(readings, tmp_path / "in.csv"), tmp_path / "out.parquet")
    names = ["as_of", "level", "mean_1", "mean_2", "mean_3", *TIMES, "model_version", "graph_sha256"]
    assert list(_read(tmp_path / "out.parquet").columns) == names


def test_a_parquet_output_says_what_it_is(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    from pyarrow import parquet

    score_file(small_case, model, _write(readings, tmp_path / "in.csv"), tmp_path / "out.parquet")
    told = parquet.read_schema(tmp_path / "out.parquet").metadata
    assert told[b"okawari.unit"] == b"USD"
    assert float(told[b"okawari.coverage_share"]) == 0.9


class _Watched:
    """A graph that remembers the sizes of its batches."""

    def __init__(self, graph: Graph) -> None:
        self._graph, self.sizes = graph, list[int]()
        self.sha256, self.labels = graph.sha256, graph.labels

    def answer(self, x_BTF: np.ndarray) -> Answer:
        self.sizes.append(len(x_BTF))
        return self._graph.answer(x_BTF)


def test_every_window_is_asked_once_in_batches_of_bounded_size(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    watched = _Watched(model.graph)
    source = _write(readings, tmp_path / "in.parquet")
    score_file(small_case, Model("3", watched), source, tmp_path / "out.parquet")  # type: ignore[arg-type]
    assert max(watched.sizes) == 16
    assert sum(watched.sizes) == len(readings) - small_case.task.history + 1


def test_progress_counts_the_rows_of_the_file(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    steps: list[Step] = []
    score_file(small_case, model, _write(readings, tmp_path / "in.csv"), tmp_path / "out.csv", watch=steps.append)
    done = [int(step.text.split()[0]) for step in steps]
    assert done == [min(at, 460) for at in range(50, 501, 50)]
    assert [step.share for step in steps] == [rows / 460 for rows in done]


# --- refused rows -------------------------------------------------------------------------------------------------


def _damage(readings: pd.DataFrame) -> pd.DataFrame:
    """Rows 40 (no number), 51 (a repeat, just behind a border), 100 (late) and 101 (missing) are damaged."""
    damaged = readings.astype(object)
    damaged.loc[39, "close"] = "?"
    damaged.loc[50, "date"] = damaged.loc[49, "date"]
    damaged.loc[99, "date"] = damaged.loc[9, "date"]
    damaged.loc[100, "volume"] = None
    return damaged


def test_damaged_rows_are_refused_with_their_reason_and_the_others_answered_as_if_they_were_not_there(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    small_case = replace(small_case, frequency=None, holidays="")
    source = _write(_damage(readings), tmp_path / "in.csv")
    scored = score_file(small_case, model, source, tmp_path / "out.parquet")
    refused = pd.read_csv(tmp_path / "out.refused.csv")
    assert refused["row"].tolist() == [40, 51, 100, 101]
    assert refused["close"][0] == "?"
    told = ["close is '?', not a number", "date appears more than once", "date is not later than", "volume is miss"]
    assert all(reason.startswith(start) for reason, start in zip(refused["reason"], told, strict=True))
    assert scored.refused == 4
    assert scored.first_reason == "row 40: close is '?', not a number"
    assert scored.rows == scored.answered + scored.refused + scored.early
    good = readings.drop(index=[39, 50, 99, 100])
    expected = _answer_one_by_one(good, small_case, model)
    pd.testing.assert_frame_equal(_read(tmp_path / "out.parquet"), expected, rtol=1e-6)


def test_a_row_whose_answer_is_no_number_is_refused(small_case: Case, readings: pd.DataFrame, tmp_path: Path) -> None:
    steep = Model("1", Graph.load(build_graph(ConstantCore(np.full(3, 800.0)), small_case, None)))  # exp(800) > float64
    source = _write(readings, tmp_path / "in.csv")
    with pytest.raises(InvalidInput, match="row 12: the model's answer is not a finite number"):
        score_file(small_case, steep, source, tmp_path / "out.csv")


# --- what is not begun --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("n", [0, 1, 11])
def test_too_few_rows_for_one_window_are_an_error_that_leaves_nothing(
    n: int, ending: str, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    source = _write(readings[:n], tmp_path / f"in{ending}")
    told = f"has {n} valid rows of {n}; case aapl needs 12 in a row for an answer. Nothing was written"
    with pytest.raises(InvalidInput, match=told):
        score_file(small_case, model, source, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_missing_column_is_named_before_anything_is_written(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    source = _write(readings.drop(columns=["volume"]), tmp_path / "in.parquet")
    with pytest.raises(InvalidInput, match=r"The table lacks \['volume'\]; case aapl needs"):
        score_file(small_case, model, source, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["in.parquet"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("out.xlsx", "ends in '.xlsx'; Okawari reads and writes .csv and .parquet"),
        ("in.csv", "is the input and the output; give the output another name"),
        ("gone/out.csv", "Write to an existing folder"),
        ("there.csv", "exists already; nothing was written. Choose another name, or use --overwrite"),
        ("told.csv", "told.refused.csv exists already; nothing was written"),
        ("folder.csv", "is a folder; the output is a file"),
        ("foreign.csv", "holds 'letter.txt', which is not a file of a scoring job"),
    ],
)
def test_an_output_that_cannot_be_is_refused_and_nothing_is_lost(
    target: str, told: str, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    source = _write(readings, tmp_path / "in.csv")
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "told.refused.csv").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "foreign.csv.parts").mkdir()
    (tmp_path / "foreign.csv.parts" / "letter.txt").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(InvalidInput) as refused:
        score_file(small_case, model, source, tmp_path / target)
    assert told in str(refused.value)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_overwriting_replaces_the_output_and_takes_a_stale_list_of_refused_rows_away(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path
) -> None:
    target = tmp_path / "out.parquet"
    score_file(small_case, model, _write(_damage(readings), tmp_path / "bad.csv"), target)
    score_file(small_case, model, _write(readings, tmp_path / "in.csv"), target, overwrite=True)
    assert len(_read(target)) == len(readings) - small_case.task.history + 1
    assert not (tmp_path / "out.refused.csv").exists()


# --- broken off and gone on ---------------------------------------------------------------------------------------


class _Killed(BaseException):
    """Ends the work at once, as a kill does, without the clean-up of an error."""


def _break_off(monkeypatch: pytest.MonkeyPatch, at: int, run: Callable[[], object]) -> int:
    """Run, and break off where the n-th file is brought to disk; returns the number of files that were."""
    synced = 0

    def sync(_: int) -> None:
        nonlocal synced
        synced += 1
        if synced == at:
            raise _Killed

    with monkeypatch.context() as patched, suppress(_Killed):
        patched.setattr(os, "fsync", sync)
        run()
    return synced


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.slow
def test_broken_off_at_any_write_the_next_call_ends_with_the_very_same_bytes(
    ending: str, small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _write(_damage(readings)[:230].astype({"date": str, "close": str}), tmp_path / f"in{ending}")
    whole = tmp_path / f"whole{ending}"
    n_writes = _break_off(monkeypatch, 0, lambda: score_file(small_case, model, source, whole))
    assert n_writes == 1 + 5 * 3 + 3  # the record, five parts of three files, and joining: record, refused, answers
    for at in range(1, n_writes + 1):
        target = tmp_path / f"out{at}{ending}"
        run = partial(score_file, small_case, model, source, target)
        assert _break_off(monkeypatch, at, run) == at
        run()
        assert target.read_bytes() == whole.read_bytes()
        assert target.with_suffix(".refused.csv").read_bytes() == (tmp_path / "whole.refused.csv").read_bytes()
        assert not checkpoint.Place(target).folder.exists()


@pytest.fixture
def broken_off(
    small_case: Case, model: Model, readings: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """Input and output of a job that ended after its second part."""
    source, target = _write(readings, tmp_path / "in.parquet"), tmp_path / "out.parquet"
    _break_off(monkeypatch, 8, lambda: score_file(small_case, model, source, target))
    return source, target


def test_a_second_call_does_not_answer_again_what_is_answered(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    steps: list[Step] = []
    score_file(small_case, model, *broken_off, watch=steps.append)
    assert steps[0].what == "score" and steps[0].text.startswith("150 of 460, 139 answered")
    assert steps[-1].share == 1 and [step.share for step in steps] == sorted(step.share for step in steps)


def test_another_version_does_not_go_on_with_the_parts_but_says_what_to_do(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    other = _make_model(small_case, version="4", seed=5)
    told = r"unfinished output of another job: version 3 instead of 4.*--version sets the version.*--overwrite"
    with pytest.raises(InvalidInput, match=told):
        score_file(small_case, other, *broken_off)
    assert score_file(small_case, model, *broken_off).answered == 449


@pytest.mark.parametrize("change", ["longer", "touched"])
def test_another_input_does_not_go_on_with_the_parts(
    change: str, small_case: Case, model: Model, readings: pd.DataFrame, broken_off: tuple[Path, Path]
) -> None:
    source, target = broken_off
    if change == "longer":
        _write(readings[:-1], source)
    else:
        os.utime(source, (1, 1))
    with pytest.raises(InvalidInput, match="unfinished output of another job: input "):
        score_file(small_case, model, source, target)


def test_a_case_that_calls_other_rows_data_does_not_go_on_with_the_parts(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    with pytest.raises(InvalidInput, match="unfinished output of another job: schema_sha256"):
        score_file(replace(small_case, rules=()), model, *broken_off)


def test_overwriting_begins_anew_where_the_parts_are_of_another_job(
    small_case: Case, broken_off: tuple[Path, Path]
) -> None:
    other = _make_model(small_case, version="4", seed=5)
    assert score_file(small_case, other, *broken_off, overwrite=True).answered == 449
    assert set(_read(broken_off[1])["model_version"]) == {"4"}


def test_an_output_that_appears_while_the_job_rests_is_not_lost(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    broken_off[1].write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        score_file(small_case, model, *broken_off)
    assert broken_off[1].read_text() == "mine"
    assert score_file(small_case, model, *broken_off, overwrite=True).answered == 449


def test_a_part_that_is_gone_is_missed_and_not_passed_over(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    (checkpoint.Place(broken_off[1]).folder / "answers-000001.parquet").unlink()
    with pytest.raises(InvalidInput, match=r"answers-000001.parquet cannot be read.*Start again with --overwrite"):
        score_file(small_case, model, *broken_off)
    assert not broken_off[1].exists()


def test_two_processes_do_not_work_on_one_output(small_case: Case, model: Model, broken_off: tuple[Path, Path]) -> None:
    with (
        checkpoint._hold_lock(checkpoint.Place(broken_off[1]).folder),
        pytest.raises(InvalidInput, match=r"Another process is writing to .*out.parquet.parts, and only one may"),
    ):
        score_file(small_case, model, *broken_off)


def test_a_disk_that_refuses_is_told_and_the_next_call_goes_on(
    small_case: Case, model: Model, broken_off: tuple[Path, Path]
) -> None:
    blocked = checkpoint.Place(broken_off[1]).folder / "answers-000002.parquet.tmp"
    blocked.unlink()
    blocked.mkdir()
    with pytest.raises(OkawariError, match=r"cannot be written: .*Nothing was lost; free disk space and run the same"):
        score_file(small_case, model, *broken_off)
    blocked.rmdir()
    assert score_file(small_case, model, *broken_off).answered == 449


SCRIPT = """
import sys, time
from pathlib import Path
from okawari.scoring import checkpoint, job
from okawari.scoring.model import Model
from okawari.cases.loader import load_case
from okawari.graph.inference import Graph

folder = Path(sys.argv[1])
job.CHUNK_ROWS = 100
model = Model("1", Graph.load((folder / "graph.onnx").read_bytes()))
print(job.score_file(load_case("aapl"), model, folder / "in.csv", Path(sys.argv[2]), watch=print), flush=True)
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_a_process_that_is_killed_loses_and_repeats_nothing_and_needs_no_torch(tmp_path: Path) -> None:
    from okawari.cases.loader import load_case

    case = load_case("aapl")
    core = AffineCore(np.random.default_rng(1).normal(0, 0.1, (5, 60)), np.zeros(5))
    (tmp_path / "graph.onnx").write_bytes(build_graph(core, case, Interval(0.9, np.full(5, 0.05))))
    _write(_damage(case.source.read()), tmp_path / "in.csv")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", "PYTHONUNBUFFERED": "1"}

    def start(target: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(target)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    with start(whole) as process:
        process.communicate()
    assert process.returncode == 0
    n_parts = 0
    for parts_before_kill in (3, 9):
        with start(killed) as process:
            assert process.stdout is not None
            for _ in range(parts_before_kill):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        state = json.loads((checkpoint.Place(killed).folder / "job.json").read_text())
        assert n_parts < state["n_parts"] < 33
        n_parts = state["n_parts"]
        assert not killed.exists()
    with start(killed) as process:
        told, _ = process.communicate()
    assert process.returncode == 0
    assert f"{100 * (n_parts + 1)} of 3270" in told.splitlines()[0]
    assert killed.read_bytes() == whole.read_bytes()
    assert (tmp_path / "killed.refused.csv").read_bytes() == (tmp_path / "whole.refused.csv").read_bytes()
    assert not checkpoint.Place(killed).folder.exists()


# --- the version --------------------------------------------------------------------------------------------------


def test_the_champion_answers_unless_another_version_is_named(train_version: TrainVersion, small_case: Case) -> None:
    first, second = train_version(growth=0.01), train_version(growth=0.02)
    versions.set_champion("aapl", second.version)
    assert load_model(small_case).graph.sha256 == second.graph_sha256
    assert load_model(small_case, first.version).graph.sha256 == first.graph_sha256


def test_a_case_without_champion_says_how_to_make_one(mlflow_database: Path, small_case: Case) -> None:
    with pytest.raises(NotYet, match="has no champion to score with; train one with: okawari run aapl"):
        load_model(small_case)


def test_a_graph_that_is_not_the_registered_one_does_not_answer(train_version: TrainVersion, small_case: Case) -> None:
    versions.set_champion("aapl", train_version().version)
    (stored,) = Path.cwd().glob("**/variants/fp32.onnx")
    stored.write_bytes(b"something else")
    with pytest.raises(InvalidInput, match=r"was registered with sha256 .* what is stored has"):
        load_model(small_case)
