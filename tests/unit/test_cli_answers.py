"""The command line's answers: a round of the loop, the state, a forecast, and where an answer came from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from okawari.cases import loader
from okawari.cases.loader import load_case
from okawari.cli import output, round
from okawari.clients import orchestrator
from okawari.data.datasets import BundledStock
from okawari.errors import CasesFailed
from okawari.policy.decision import Action, Decision, Kind, Verdict
from okawari.registry import versions
from okawari.registry.versions import Version
from okawari.settings import Settings, adopt_settings, load_settings
from okawari.storage import decision_log, prediction_log
from okawari.storage.journal import Journal
from tests.browser.edges import name_case

if TYPE_CHECKING:
    from tests.conftest import Said, SmallServer

Call = Callable[..., "Said"]

# --- status and explain -------------------------------------------------------------------------------------------


@pytest.fixture
def lonely(mlflow_database: Path, free_port: int) -> None:
    """A registry, but no service."""
    adopt_settings(Settings(service_port=free_port))


def test_the_status_of_an_empty_home_says_what_is_missing(call: Call, lonely: None) -> None:
    said = call("status")
    assert said.code == 0
    for line in (
        "aapl  Apple closing price",
        "nothing ingested yet",
        "no champion yet",
        "served version unknown",
        "No prediction service answers at",
    ):
        assert line in said.out


def test_the_status_names_snapshot_champion_and_decisions(
    call: Call, lonely: None, train_version: Callable[..., Version]
) -> None:
    version = train_version()
    versions.set_champion("aapl", version.version)
    said = call("status", "aapl")
    assert "snapshot 0: 300 rows, 2000-03-01 to" in said.out
    assert "champion version 1: constant (fp32), RMSE 0.5, 2.0% lower than the baseline's" in said.out
    assert "decision: new champion promoted (" in said.out
    assert "it is better" in said.out


def test_the_status_without_a_registry_still_tells_what_it_knows(call: Call, free_port: int) -> None:
    adopt_settings(Settings(mlflow_port=free_port, service_port=free_port))
    said = call("status")
    assert said.code == 0
    assert "nothing ingested yet" in said.out
    assert "champion unknown" in said.out and "no champion yet" not in said.out
    assert f"No MLflow server answers at http://127.0.0.1:{free_port}" in said.out


def _serve(version: Version) -> str:
    answer = {
        "id": decision_log.new_id(),
        "index": 0,
        "case": "aapl",
        "at": "2002-01-02T10:00:00+00:00",
        "level": 1.5,
        "mean": [1.625],
        "version": version.version,
        "graph_sha256": version.graph_sha256,
    }
    Journal(prediction_log.journal_dir("aapl"), "predictions").append([answer, {**answer, "index": 1, "mean": [1.875]}])
    return str(answer["id"])


def test_an_answer_is_explained_down_to_its_snapshot(call: Call, train_version: Callable[..., Version]) -> None:
    version = train_version()
    answered = _serve(version)
    said = call("explain", answered)
    assert said.code == 0
    assert f"prediction {answered}" in said.out
    assert "1.625 one step ahead" in said.out
    assert f"model aapl version 1: constant (fp32), sha256 {version.graph_sha256[:12]}, digest holds" in said.out
    assert f"sha256 {version.snapshot_digest[:12]}, digest holds" in said.out
    assert "promotion: new champion promoted (" in said.out
    assert "1.875 one step ahead" in call("explain", f"{answered}:1").out


def test_a_chain_that_does_not_hold_is_one_sentence(call: Call, train_version: Callable[..., Version]) -> None:
    answered = _serve(train_version())
    (stored,) = Path.cwd().glob("**/variants/fp32.onnx")
    stored.write_bytes(b"something else")
    said = call("explain", answered)
    assert said.code == 1
    assert said.err.startswith("okawari: The graph was recorded with sha256 ")


# --- predict ------------------------------------------------------------------------------------------------------

ANSWER = {
    "id": "ab" * 16,
    "model": {
        "case": "aapl",
        "version": "7",
        "candidate": "lstm",
        "variant": "fp32",
        "graph_sha256": "ab" * 32,
        "run_id": "c" * 32,
        "snapshot_version": 0,
        "trained_until": "2008-01-02",
    },
    "predictions": [
        {
            "as_of": "2008-01-02",
            "unit": "USD",
            "level": 27.0,
            "mean": [27.125, 27.25],
            "interval": {"coverage_share": 0.9, "measured_share": None, "lower": [26.0, 25.0], "upper": [28.0, 29.0]},
            "note": None,
            "times": ["2008-01-03", "2008-01-04"],
            "times_note": None,
        }
    ],
    "source": "ingested",
    "stale": None,
}


@pytest.fixture
def service(home: Path, small_server: SmallServer) -> SmallServer:
    """A service that gives one answer to all questions."""
    adopt_settings(Settings(service_port=small_server.port, prefect_port=small_server.port))
    small_server.tell("POST /aapl/forecast", ANSWER)
    small_server.tell("POST /aapl/predict", ANSWER)
    small_server.tell("GET /cases", {"cases": [name_case("aapl", "7")]})
    return small_server


def test_a_forecast_is_shown_with_its_interval_and_how_to_explain_it(call: Call, service: SmallServer) -> None:
    said = call("predict", "aapl")
    assert said.code == 0
    assert "lstm version 7, after 2008-01-02" in said.out
    assert [line.split() for line in said.out.splitlines() if "27." in line] == [
        ["1", "2008-01-03", "27.125", "26", "28"],
        ["2", "2008-01-04", "27.25", "25", "29"],
    ]
    assert "The interval is meant to contain 90% of the true values." in said.out
    assert f"okawari explain {'ab' * 16}" in said.out


def test_an_answer_without_interval_says_so(call: Call, service: SmallServer) -> None:
    bare = {**ANSWER["predictions"][0], "interval": None, "note": "This model has no calibrated interval."}  # type: ignore[dict-item]
    service.answers["POST /aapl/forecast"] = [(200, {**ANSWER, "predictions": [bare]})]
    assert "This model has no calibrated interval." in call("predict", "aapl").out


def test_the_answer_can_be_had_as_json(call: Call, service: SmallServer) -> None:
    assert json.loads(call("predict", "aapl", "--json").out) == {
        **ANSWER,
        "model": {**ANSWER["model"], "interval_version": None},  # type: ignore[dict-item]
    }


def test_a_files_newest_good_readings_are_asked_from_and_damage_is_told(
    call: Call, service: SmallServer, readings: pd.DataFrame, tmp_path: Path
) -> None:
    damaged = readings.astype(object)
    damaged.loc[459, "close"] = "?"
    damaged.to_csv(tmp_path / "new.csv", index=False)
    said = call("predict", "aapl", "--file", "new.csv")
    assert said.code == 0
    assert said.err == "new.csv: 1 of 460 rows refused; first: close is '?', not a number\n"
    (asked,) = service.asked["POST /aapl/predict"]
    (window,) = asked["instances"]
    assert len(window) == 60
    assert window[-1]["date"] == f"{readings['date'][458]:%Y-%m-%d}"
    assert window[-1]["close"] == readings["close"][458]


def test_a_broken_line_of_a_file_is_told_as_any_refused_row(
    call: Call, service: SmallServer, readings: pd.DataFrame, tmp_path: Path
) -> None:
    lines = readings.to_csv(index=False).splitlines()
    lines[-2] += ",extra"
    (tmp_path / "new.csv").write_text("\n".join(lines) + "\n")
    said = call("predict", "aapl", "--file", "new.csv")
    assert said.code == 0
    assert said.err.startswith("new.csv: 1 of 460 rows refused; first: ")


def test_a_file_without_a_valid_row_is_an_error(call: Call, service: SmallServer, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("x,y\na,b\n")
    said = call("predict", "blobs", "--file", "new.csv")
    assert said.code == 1
    assert "okawari: new.csv has no valid row, and a prediction needs one; correct its rows.\n" in said.err
    assert "POST /blobs/predict" not in service.asked


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_many_records_are_asked_in_several_requests_and_all_answers_are_printed(
    as_json: tuple[str, ...], call: Call, service: SmallServer, tmp_path: Path
) -> None:
    size = load_case("blobs").serving.max_instances
    record = {"label": "north_east", "probabilities": {"north_east": 1.0}}
    answers = [{**ANSWER, "id": f"{n:032x}", "predictions": [record] * n} for n in (size, size, 3)]
    service.answers["POST /blobs/predict"] = [(200, answer) for answer in answers]
    points = pd.DataFrame({"x": np.linspace(-1.0, 1.0, 2 * size + 3), "y": 1.0})
    points.to_csv(tmp_path / "new.csv", index=False)
    said = call("predict", "blobs", "--file", "new.csv", *as_json)
    assert (said.code, said.err) == (0, "")
    asked = [body["instances"] for body in service.asked["POST /blobs/predict"]]
    assert [len(instances) for instances in asked] == [size, size, 3]
    assert [record["x"] for instances in asked for record in instances] == points["x"].tolist()
    if as_json:
        shown = [json.loads(line) for line in said.out.splitlines()]
        assert [answer["id"] for answer in shown] == [answer["id"] for answer in answers]


def test_more_records_than_anybody_reads_are_left_to_score(call: Call, service: SmallServer, tmp_path: Path) -> None:
    n = 20 * load_case("blobs").serving.max_instances + 1
    pd.DataFrame({"x": np.linspace(-1.0, 1.0, n), "y": 1.0}).to_csv(tmp_path / "new.csv", index=False)
    said = call("predict", "blobs", "--file", "new.csv")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "okawari score blobs new.csv answers.parquet" in said.err
    assert "POST /blobs/predict" not in service.asked


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (503, "aapl has no model yet; run: okawari run aapl"),
        (422, "instances[0] has 3 records; it takes 60"),
        (404, "There is no case 'aapl'"),
    ],
)
def test_what_the_service_refuses_is_told_in_its_words(
    status: int, told: str, call: Call, service: SmallServer
) -> None:
    service.answers["POST /aapl/forecast"] = [(status, {"error": told})]
    said = call("predict", "aapl")
    assert (said.code, said.err) == (1, f"okawari: {told}\n")


def test_the_status_is_that_of_all_cases_the_service_answers_for(
    call: Call, service: SmallServer, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OKAWARI_CASES")  # as in a fresh shell
    load_settings.cache_clear()
    service.answers["GET /cases"] = [(200, {"cases": [name_case("aapl", "7"), name_case("cpi", "3")]})] * 3
    said = call("status")
    assert "aapl  Apple closing price" in said.out and "cpi  " in said.out
    assert "serving version 7" in said.out and "serving version 3" in said.out


def test_the_named_cases_come_before_those_of_the_service(
    call: Call, service: SmallServer, mlflow_database: Path
) -> None:
    adopt_settings(Settings(service_port=service.port, cases="cpi"))
    said = call("status")
    assert "cpi  " in said.out and "aapl  " not in said.out


def test_long_names_in_tables_are_never_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.console, "width", 60)
    names = ["random_forest_100", "random_forest_200"]
    output.show_table([{"candidate": name, **{f"interval_score_{n}": 0.123 for n in range(3)}} for name in names])
    out = capsys.readouterr().out
    assert "…" not in out
    assert [out.count(name) for name in names] == [1, 1]
    assert out.replace("\n", "").replace(" ", "").count("interval") == 3


@pytest.mark.parametrize("width", [40, 60, 80, 100, 130])
def test_a_number_in_a_table_stands_in_one_line(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.console, "width", width)
    numbers = {"rmse": 12.345, "skill_share": 0.012345, "graph_bytes": 123456, "fit_seconds": 98.76, "p_value": 1e-05}
    output.show_table([{"candidate": "random_forest_100", **numbers, "coverage_share_of_90": 0.9123}])
    baseline = dict.fromkeys(numbers)  # a baseline has no p-value; that makes no column one of words
    output.show_table([{"candidate": "random_walk", **baseline}, {"candidate": "random_forest_200", **numbers}])
    row, below_baseline = [line for line in capsys.readouterr().out.splitlines() if "random_forest" in line]
    assert [float(word) for word in below_baseline.split()[1:]] == pytest.approx([*numbers.values()], rel=1e-3)
    shown = [float(word) for word in row.split()[1:]]
    assert shown == pytest.approx([*numbers.values(), 0.9123], rel=1e-3)


# --- score ----------------------------------------------------------------------------------------------------------


SHORT = """
from dataclasses import replace
from okawari.case import Forecast
from okawari.cases.aapl import CASE as AAPL

CASE = replace(AAPL, task=Forecast(target="close", history=12, horizon=3))
"""


@pytest.fixture
def short_windows(home: Path) -> Iterator[None]:
    """A case file of the user's own, with the windows of the small case, in the place of the bundled one."""
    Path("cases").mkdir()
    Path("cases/aapl.py").write_text(SHORT)
    loader.load_case.cache_clear()
    yield
    loader.load_case.cache_clear()


def test_a_file_is_scored_with_the_champion_and_the_refused_rows_are_told(
    call: Call, train_version: Callable[..., Version], readings: pd.DataFrame, short_windows: None
) -> None:
    versions.set_champion("aapl", train_version().version)
    damaged = readings.astype(object)
    damaged.loc[459, "close"] = "?"
    damaged.to_csv("new.csv", index=False)
    said = call("score", "aapl", "new.csv", "answers.parquet")
    assert (said.code, said.err) == (0, "")
    told = "448 of 460 rows answered, 11 too early for a window, 1 refused; first: row 460: close is '?', not a number"
    assert f"answers.parquet: {told} (version 1)" in said.out
    assert "answers.refused.csv: the refused rows with their reasons" in said.out
    answers = pd.read_parquet("answers.parquet")
    assert answers["as_of"].tolist() == readings["date"][11:459].tolist()
    assert set(answers["model_version"]) == {"1"}
    again = call("score", "aapl", "new.csv", "answers.parquet")
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert again.err.startswith("okawari: answers.parquet exists already; nothing was written.")
    recorded = call("score", "aapl", "new.csv", "answers.parquet", "--overwrite", "--journal", "--json")
    assert (recorded.code, json.loads(recorded.out)) == (0, {
        "case": "aapl", "version": "1", "target": "answers.parquet", "refused_file": "answers.refused.csv", "rows": 460,
        "answered": 448, "refused": 1, "early": 11, "journal": True,
        "first_reason": "row 460: close is '?', not a number", "new_words": {}, "first_new_words": {},
    })  # fmt: skip
    assert len(prediction_log.load_predictions("aapl")) == 448


def test_an_output_that_is_there_is_refused_before_the_registry_is_asked(
    call: Call, readings: pd.DataFrame, free_port: int
) -> None:
    adopt_settings(Settings(mlflow_port=free_port))  # where nothing answers
    readings.to_csv("new.csv", index=False)
    Path("answers.csv").write_text("mine")
    said = call("score", "aapl", "new.csv", "answers.csv")
    assert (said.code, Path("answers.csv").read_text()) == (1, "mine")
    assert said.err.startswith("okawari: answers.csv exists already; nothing was written.")


def test_a_file_cannot_be_scored_before_there_is_a_champion(call: Call, mlflow_database: Path) -> None:
    BundledStock("AAPL").read().tail(100).to_csv("new.csv", index=False)
    said = call("score", "aapl", "new.csv", "answers.csv")
    assert said.code == 1
    assert said.err == "okawari: Case aapl has no champion to score with; train one with: okawari run aapl.\n"


def test_a_source_that_is_not_there_is_named_before_the_registry_is_asked(call: Call) -> None:
    said = call("score", "aapl", "missing.csv", "answers.csv")  # no registry runs here
    assert (said.code, said.err) == (
        1,
        "okawari: There is no file missing.csv; give the path of a .csv or .parquet file.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("aapl", "--file", "missing.csv"), "There is no file missing.csv; give the path of a .csv or .parquet file."),
        (
            ("diabetes", "--live"),
            "Case diabetes has no live source; leave out --live, or add a live source to the case.",
        ),
        (
            ("aapl", "--file", "."),
            "The folder . holds no table; Okawari reads .csv, .tsv, .txt, .jsonl",
        ),
        (("digits", "--file", "."), "{here} has no subfolders; each label needs one with its pictures"),
        (("aapl", "--file", "notes.md"), "notes.md ends in '.md'; Okawari reads .csv, .tsv, .txt, .jsonl"),
        (("tsla",), "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits."),
    ],
)
def test_a_typing_error_is_told_before_anything_is_started(call: Call, arguments: tuple[str, ...], told: str) -> None:
    Path("notes.md").touch()
    said = call("run", *arguments)  # no Prefect server runs here
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith(f"okawari: {told.replace('{here}', str(Path.cwd()))}")
    for name in ("aapl", "diabetes", "digits"):
        assert decision_log.load_decisions(name) == [], "a typing error is no verdict on the data"


def test_two_sources_are_a_usage_error(call: Call) -> None:
    said = call("run", "aapl", "--file", "new.csv", "--live")
    assert said.code == 2
    assert "Both --file and --live are given" in said.err


# --- run ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def flows(service: SmallServer, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> SmallServer:
    """Beside the service: deployed flows whose runs succeed at once."""
    monkeypatch.setattr(orchestrator, "_LOG_DELAY_S", 0.0)
    for flow in ("ingest", "train", "reconcile"):
        service.tell(f"GET /api/deployments/name/{flow}/{flow}", {"id": flow})
        service.tell(f"POST /api/deployments/{flow}/create_flow_run", {"id": flow, "name": flow})
        _end(service, flow, "COMPLETED")
    service.tell("POST /api/flow_runs/filter", [])
    service.tell("POST /api/logs/filter", [])
    service.tell("POST /api/artifacts/filter", [])
    return service


def _end(server: SmallServer, flow: str, state: str, message: str = "") -> None:
    run = {"id": flow, "name": f"{flow} aapl", "parameters": {"case": "aapl"}}
    server.answers[f"GET /api/flow_runs/{flow}"] = [(200, {**run, "state": {"type": state, "message": message}})]


def _list_started(server: SmallServer) -> dict[str, Any]:
    """The flows that were started, in order, with their parameters."""
    return {
        route.split("/")[3]: asked[0]["parameters"]
        for route, asked in server.asked.items()
        if route.endswith("create_flow_run")
    }


def test_a_first_round_ingests_trains_and_reconciles_and_ends_with_the_status(call: Call, flows: SmallServer) -> None:
    said = call("run", "aapl")
    assert said.code == 0
    assert list(_list_started(flows)) == ["ingest", "train", "reconcile"]
    [request] = decision_log.load_decisions("aapl", kind=Kind.REQUEST)
    assert _list_started(flows)["train"] == {
        "case": "aapl",
        "cause": "missing",
        "reason": "the first round",
        "cause_id": request["id"],
    }
    assert "serving version 7" in said.out


def test_a_round_can_end_with_one_document(call: Call, flows: SmallServer) -> None:
    said = call("run", "aapl", "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert found["case"] == "aapl" and found["serving"]["version"] == "7" and found["leaderboard"] is None
    assert list(_list_started(flows)) == ["ingest", "train", "reconcile"]


def test_a_case_with_a_champion_is_not_trained_for_nothing(
    call: Call, flows: SmallServer, train_version: Callable[..., Version]
) -> None:
    versions.set_champion("aapl", train_version().version)
    _watch()
    call("run", "aapl")
    assert list(_list_started(flows)) == ["ingest", "reconcile"]


def _watch(verdict: Verdict = Verdict.STABLE) -> str:
    """What `monitor` leaves behind when it has looked at the newest snapshot; returns the drift verdict's id."""
    facts: dict[str, Any] = {"snapshot_version": 0, "model_version": "1"}
    drift = decision_log.record_decision("aapl", Decision(Kind.DRIFT, verdict, "looked at"), **facts)
    decision_log.record_decision("aapl", Decision(Kind.PERFORMANCE, Verdict.NOT_ENOUGH_DATA, "no outcomes"), **facts)
    return drift


def test_a_training_that_an_event_starts_is_followed_to_its_end(
    call: Call, flows: SmallServer, train_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.set_champion("aapl", train_version().version)
    drift = _watch(Verdict.DRIFTED)
    trained = {"id": "caused", "name": "train aapl", "parameters": {"case": "aapl"}, "state": {"type": "COMPLETED"}}
    flows.tell("GET /api/flow_runs/caused", trained)

    def list_active(flow: str, case_name: str) -> list[orchestrator.Run]:
        """The event starts the training at the second look; then it is over, with a decision."""
        looks.append(flow)
        if flow != "train" or len(looks) < 4 or "GET /api/flow_runs/caused" in flows.asked:
            return []
        decision_log.record_decision("aapl", Decision(Kind.PROMOTION, Action.KEEP, "not better"), cause=drift)
        return [orchestrator.load_run("caused")]

    looks: list[str] = []
    monkeypatch.setattr(orchestrator, "list_active_runs", list_active)
    call("run", "aapl")
    assert "decision: champion kept" in call("status", "aapl").out
    assert list(_list_started(flows)) == ["ingest", "reconcile"]  # no second training


def test_what_no_event_starts_is_asked_for_once(
    call: Call, flows: SmallServer, train_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.set_champion("aapl", train_version().version)
    monkeypatch.setattr(round, "GRACE_S", 0.1)
    said = call("run", "aapl")
    asked = [body["parameters"] for body in flows.asked["POST /api/deployments/reconcile/create_flow_run"]]
    assert asked == [{"case": "aapl", "grace_s": 0}, {"case": "aapl", "asked": True}]
    assert "aapl: some work is still open" in said.out


def test_a_failed_training_of_an_event_ends_the_round_with_its_reason(
    call: Call, flows: SmallServer, train_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.set_champion("aapl", train_version().version)
    failed = {"id": "caused", "name": "train aapl", "state": {"type": "FAILED", "message": "the disk is full"}}
    flows.tell("GET /api/flow_runs/caused", failed)
    monkeypatch.setattr(orchestrator, "list_active_runs", lambda *_: [orchestrator.load_run("caused")])
    said = call("run", "aapl")
    assert (said.code, said.err) == (1, "okawari: train aapl failed: the disk is full\n")


def test_a_person_can_insist_on_a_training(
    call: Call, flows: SmallServer, train_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.set_champion("aapl", train_version().version)
    _watch()
    monkeypatch.setattr(round, "GRACE_S", 0.1)  # the small server's training answers no request
    call("run", "aapl", "--retrain")
    assert _list_started(flows)["train"]["cause"] == "asked"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], {}),
        (["--until", "2008-06-30"], {"until": "2008-06-30"}),
        (["--live"], {"live": True}),
        (["--file", "new.csv"], {"file": "new.csv"}),
    ],
)
def test_what_is_to_be_ingested_is_handed_to_the_flow(
    options: list[str], told: dict[str, Any], call: Call, flows: SmallServer, tmp_path: Path
) -> None:
    (tmp_path / "new.csv").touch()
    call("run", "aapl", *options)
    if "file" in told:
        told = {"file": str(tmp_path / told["file"])}  # the flow runs in another folder
    assert _list_started(flows)["ingest"] == {"case": "aapl", **told}


def test_a_flow_that_fails_ends_the_round_with_its_reason(call: Call, flows: SmallServer) -> None:
    _end(flows, "ingest", "FAILED", "None of the 3 rows for case aapl is valid")
    said = call("run", "aapl")
    assert said.code == 1
    assert said.err == "okawari: ingest aapl failed: None of the 3 rows for case aapl is valid\n"
    assert list(_list_started(flows)) == ["ingest"]


def test_brackets_in_names_and_reasons_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    with output.report_progress() as report:
        report("aapl: 2 of 3 features moved: [bmi], [/bp]")
    output.show_table([{"candidate [a]": "lstm [b]", "loss": 1.5}], "the training [of] version 1")
    shown = capsys.readouterr().out
    for text in ("moved: [bmi], [/bp]", "candidate [a]", "lstm [b]", "training [of] version"):
        assert text in shown


def test_a_leaderboard_shows_a_forecasts_last_step_in_a_table_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    from okawari.cli.output import show_leaderboard

    show_leaderboard([{"candidate": "lstm", "rmse": 1.25, "rmse_step_5": 3.5, "graph_bytes": 7}], "the training")
    title, names, numbers, later, names_later, numbers_later = (
        line.split() for line in capsys.readouterr().out.strip().splitlines()
    )
    assert (title, names, numbers) == (
        ["the", "training"],
        ["candidate", "rmse", "graph", "bytes"],
        ["lstm", "1.25", "7"],
    )
    assert (later, names_later, numbers_later) == (["5", "steps", "ahead"], ["candidate", "rmse"], ["lstm", "3.5"])


def test_a_case_that_fails_keeps_no_other_from_being_served(
    flows: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from okawari.cli.main import _take_rounds

    def take_round(name: str, report: object) -> None:
        done.append(name)
        if name != "cpi":
            raise orchestrator.RunFailed(f"train {name} failed: the disk is full")

    done: list[str] = []
    monkeypatch.setattr(round, "take_round", take_round)
    failed = _take_rounds(["aapl", "blobs", "cpi"], None)
    assert list(failed) == ["aapl", "blobs"]
    assert done == ["aapl", "blobs", "cpi"]


def test_up_ends_if_every_case_fails_and_nothing_serves(
    home: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from okawari.cli.main import _take_rounds

    def take_round(name: str, report: object) -> None:
        raise orchestrator.RunFailed(f"train {name} failed: the disk is full")

    adopt_settings(Settings(home=home, service_port=free_port))
    monkeypatch.setattr(round, "take_round", take_round)
    with pytest.raises(CasesFailed, match="aapl: train aapl failed"):
        _take_rounds(["aapl"], None)
