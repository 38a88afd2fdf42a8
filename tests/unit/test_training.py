"""A training as plain functions: without a Prefect server, from readings that are read once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from deltalake import DeltaTable, QueryBuilder

from okawari import events
from okawari.case import Case
from okawari.errors import NotYet
from okawari.graph.inference import Graph
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.linear import Linear
from okawari.models.lstm import Lstm
from okawari.models.protocols import Model
from okawari.models.random_walk import RandomWalk
from okawari.progress import Step
from okawari.registry import runs, versions
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import MANIFEST_FILE, load_deployable
from okawari.training.package import load_packaging, package_version
from okawari.training.quantize import Quantizing, load_quantizing, quantize_graph
from okawari.training.train import Request, train_case
from tests.conftest import enter_home, use_registry

ROOT = Path(__file__).parents[2]


@dataclass
class Notebook:
    """A host that runs the steps here and remembers all that it was given and shown."""

    given: list[Any] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)

    def run_step(self, title: str, work: Callable[..., Any], *given: Any) -> Any:
        self.titles.append(title)
        self.given += [each for each in given if each is not self]
        return work(*given)

    def log(self, line: str) -> None:
        self.lines.append(line)

    def show_progress(self, case: Case, step: Step) -> None:
        self.steps.append(step)

    def show_table(self, case: Case, what: str, rows: Sequence[Mapping[str, Any]], caption: str) -> None:
        self.tables.append(what)

    def show_link(self, case: Case, what: str, url: str, text: str) -> None:
        self.tables.append(what)

    def emit(self, name: str, case: Case, payload: Mapping[str, Any], *, trace: str) -> None:
        self.events.append((name, trace))


@pytest.fixture(scope="module")
def case(small_case: Case) -> Case:
    """Two candidates that fit at once and need no export by PyTorch, which takes seconds."""
    return replace(small_case, candidates=(RandomWalk(), Linear(penalty=1.0)))


@contextmanager
def _install(folder: Path, empty_mlflow_database: Path) -> Iterator[None]:
    """Registry and model store in a folder of their own."""
    with enter_home(folder) as home:
        use_registry(home, empty_mlflow_database)
        os.environ["BENTOML_HOME"] = str(folder / "bentoml")
        os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'src'}"
        yield


@pytest.fixture
def installation(tmp_path: Path, empty_mlflow_database: Path) -> Iterator[None]:
    """An installation of this test's own."""
    with _install(tmp_path, empty_mlflow_database):
        yield


@pytest.fixture
def ingested(installation: None, case: Case, readings: pd.DataFrame) -> pd.DataFrame:
    """The first 300 readings, ingested."""
    _ingest(case, readings[:300])
    return readings


@dataclass(frozen=True)
class First:
    """A first training in an installation that is current for the test: its result, host and records."""

    result: dict[str, Any]
    host: Notebook
    decisions: list[dict[str, Any]]
    models: Path


@pytest.fixture(scope="module")
def _trained(
    tmp_path_factory: pytest.TempPathFactory, empty_mlflow_database: Path, case: Case
) -> tuple[Path, dict[str, str], First]:
    """The folder and the environment of the installation, and the training."""
    folder = tmp_path_factory.mktemp("trained")
    with _install(folder, empty_mlflow_database):
        _ingest(case, case.source.read(until=date(2001, 12, 31))[:300])
        host = Notebook()
        result = train_case(Request(case, "missing", "the tests begin"), host)
        first = First(result, host, decision_log.load_decisions("aapl"), folder / "bentoml" / "models")
        return folder, dict(os.environ), first


@pytest.fixture
def first(_trained: tuple[Path, dict[str, str], First]) -> Iterator[First]:
    """The first training, for tests that train nothing themselves; what they record stays."""
    folder, environment, first = _trained
    with enter_home(folder):
        os.environ.update(environment)
        yield first
        assert len(decision_log.load_decisions("aapl", kind="promotion")) == 1


def _ingest(case: Case, readings: pd.DataFrame) -> None:
    snapshots.record_readings(case, readings, readings[:0].assign(reason=""), pd.Timestamp.now("UTC").to_pydatetime())


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """How the readings were read, in order: `whole` for all rows, else the query."""
    seen: list[str] = []
    load, execute = DeltaTable.to_pandas, QueryBuilder.execute
    tables: dict[int, str] = {}
    register = QueryBuilder.register

    def spy_load(table: DeltaTable, *given: Any, **named: Any) -> Any:
        if table.table_uri.rstrip("/").endswith("readings"):
            seen.append("whole")
        return load(table, *given, **named)

    def spy_register(query: QueryBuilder, name: str, table: DeltaTable) -> QueryBuilder:
        tables[id(query)] = table.table_uri.rstrip("/")
        return register(query, name, table)

    def spy_execute(query: QueryBuilder, sql: str) -> Any:
        if tables[id(query)].endswith("readings"):
            seen.append(sql)
        return execute(query, sql)

    monkeypatch.setattr(DeltaTable, "to_pandas", spy_load)
    monkeypatch.setattr(QueryBuilder, "register", spy_register)
    monkeypatch.setattr(QueryBuilder, "execute", spy_execute)
    return seen


@pytest.mark.slow
def test_each_training_reads_the_readings_once_and_counts_new_ones_by_their_times(
    ingested: pd.DataFrame, case: Case, reads: list[str]
) -> None:
    assert train_case(Request(case, "missing"), Notebook())["action"] == "promote"
    assert reads == ["whole"]
    _ingest(case, ingested[:400])
    reads.clear()
    train_case(Request(case, "drift"), Notebook())
    assert [read.partition(" FROM")[0] for read in reads] == ["SELECT count(*) AS n", "whole"]
    retrain = decision_log.load_decisions("aapl", kind="retrain")[0]
    assert (retrain["action"], retrain["facts"]["new_readings"]) == ("train", 100)


def test_a_training_without_prefect_promotes_and_packages(first: First, case: Case) -> None:
    host, champion = first.host, versions.load_champion("aapl")
    assert champion is not None
    assert (first.result["action"], first.result["version"]) == ("promote", champion.version)
    assert host.titles == [
        *(f"fit {recipe.name}" for recipe in case.candidates),
        f"refit {champion.candidate}",
        f"quantize {champion.candidate}",
        f"package version {champion.version}",
    ]
    decisions = {row["kind"]: row["id"] for row in first.decisions}
    assert host.events == [
        (events.MODEL_PROMOTED, decisions["promotion"]),
        (events.MODEL_DEPLOYED, decisions["deployment"]),
    ]
    (manifest,) = (first.models / "aapl").glob(f"*/{MANIFEST_FILE}")
    deployable = load_deployable(manifest.parent)
    assert deployable.graph == versions.load_graph(champion)
    assert deployable.recent.to_dict("records") == snapshots.load_readings(case).tail(case.history).to_dict("records")
    assert deployable.golden.matches(Graph.load(deployable.graph).answer(deployable.golden.x_BTF).mean_BH)


@pytest.mark.slow
def test_a_training_tells_one_line_for_each_decision_and_counts_its_steps_apart(
    ingested: pd.DataFrame, case: Case
) -> None:
    host, network = Notebook(), Lstm(hidden=16, layers=1, epochs=2)
    train_case(Request(replace(case, candidates=(RandomWalk(), network)), "missing"), host)
    assert [line.split(": ")[1].split()[0] for line in host.lines] == [
        "train", "random_walk", "lstm_1x16", "random_walk", "variant", "promote", "version",
    ]  # fmt: skip
    fitted = [step for step in host.steps if step.what == "lstm_1x16"]
    assert [step.share for step in fitted] == [0.5, 1.0] * case.gate.origins
    assert fitted[0].text.startswith("1 of 2, train_loss ")
    assert host.tables == ["training", "leaderboard", "variants"]


@dataclass(frozen=True)
class Failing:
    """A recipe whose library fails on this data."""

    name: str = "failing"

    def fit(self, data: TrainingData, progress: Progress) -> Model:
        raise np.linalg.LinAlgError("Schur decomposition solver error")

    def describe(self) -> dict[str, Any]:
        return {"recipe": "Failing"}


@pytest.mark.slow
def test_a_candidate_whose_fit_fails_is_left_out_and_the_others_compete(ingested: pd.DataFrame, case: Case) -> None:
    host = Notebook()
    done = train_case(
        Request(replace(case, candidates=(RandomWalk(), Failing(), Linear(penalty=1.0))), "missing"), host
    )
    assert done["action"] == "promote"
    told = "failing is left out of this contest, because its fit failed (LinAlgError: Schur decomposition solver error)"
    assert f"aapl: {told}" in host.lines
    champion = versions.load_champion("aapl")
    assert champion is not None
    assert {row["candidate"] for row in runs.load_leaderboard(champion.run_id)} == {"random_walk", "linear_1"}


@pytest.mark.slow
def test_a_baseline_whose_fit_fails_ends_the_training(ingested: pd.DataFrame, case: Case) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        train_case(Request(replace(case, candidates=(Failing(), RandomWalk())), "missing"), Notebook())
    assert decision_log.load_decisions("aapl", kind="retrain")[0]["action"] == "fail"


def test_what_a_step_is_given_can_be_sent_to_another_process(first: First, case: Case) -> None:
    host = first.host
    assert len(host.given) == 2 * len(case.candidates) + 4  # two for each fit and for the refit, and two steps of one
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere:
        assert list(elsewhere.map(type, host.given)) == [type(each) for each in host.given]


def test_without_readings_nothing_is_trained_or_recorded(installation: None, case: Case) -> None:
    host = Notebook()
    with pytest.raises(NotYet, match="Case aapl has no readings yet; run: okawari run aapl"):
        train_case(Request(case, "asked"), host)
    assert decision_log.load_decisions("aapl") == []
    assert host.lines == []


def test_a_second_request_for_a_first_champion_is_dropped_without_a_record(first: First, case: Case) -> None:
    before = decision_log.load_decisions("aapl")
    assert train_case(Request(case, "missing"), Notebook())["action"] == "skip"
    assert decision_log.load_decisions("aapl") == before


def test_quantizing_what_a_training_left_gives_what_the_training_got(first: First, case: Case) -> None:
    run_id = decision_log.load_decisions("aapl", kind="promotion")[0]["run_id"]
    (given,) = [given for given in first.host.given if isinstance(given, Quantizing)]
    again = load_quantizing(case, run_id, given.cause_id)
    assert again.graph == given.graph == runs.load_file(run_id, "variants/fp32.onnx")
    assert again.judged_graph == given.judged_graph == runs.load_file(run_id, "judged.onnx")
    assert (again.windows.x_BTF == given.windows.x_BTF).all()
    chosen = quantize_graph(again, Notebook())
    assert chosen.graph == runs.load_file(run_id, f"variants/{chosen.variant}.onnx")


@pytest.mark.slow
def test_packaging_from_the_registry_stores_what_the_training_stored(first: First, case: Case) -> None:
    done = package_version(load_packaging(case), Notebook())
    assert (done["added"], len(list((first.models / "aapl").glob(f"*/{MANIFEST_FILE}")))) == (False, 1)
