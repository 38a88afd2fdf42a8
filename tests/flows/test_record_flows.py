"""The loop over records: a table of patients goes round with the real engines; drift and outcomes find their way."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.loading import Engine
from flows.ingest import ingest
from flows.monitor import monitor
from flows.score import score
from flows.train import train
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.registry import runs, versions
from okawari.scoring.outcomes_file import record_file
from okawari.settings import load_settings
from okawari.storage import decision_log, prediction_log
from tests.flows.conftest import Heard

PATIENTS = '''
"""Diabetes with a small gate and a network that fits in a second."""
from dataclasses import replace

from okawari.case import Gate
from okawari.cases.diabetes import CASE as DIABETES
from okawari.models.constant import Constant
from okawari.models.dense import Mlp
from okawari.models.linear import Linear

CASE = replace(
    DIABETES,
    name="patients",
    gate=Gate(holdout=60, calibration=60),
    candidates=(Constant(), Linear(), Mlp(hidden=(8,), epochs=3)),
)
'''


@pytest.fixture
def patients(fresh: Case, heard: Heard) -> Case:
    """The case, ingested and trained; its events start nothing."""
    (load_settings().cases_dir / "patients.py").write_text(PATIENTS)
    load_case.cache_clear()
    assert ingest("patients")["new"] == 442
    assert train("patients", cause="missing", reason="the tests begin")["action"] == "promote"
    return load_case("patients")


def test_records_go_round_the_loop(patients: Case, tmp_path: Path) -> None:
    champion = versions.load_champion("patients")
    assert champion is not None
    assert champion.candidate == "linear" and champion.loss_name == "RMSE" and champion.skill_share > 0.2
    board = runs.load_leaderboard(champion.run_id)
    assert board[0]["candidate"] == "linear" and {"rmse", "r2", "skill_share"} <= set(board[0])
    paths = {each.path for each in MlflowClient(load_settings().mlflow_base).list_artifacts(champion.run_id)}
    assert {"leaderboard.json", "variants.json", "case.json"} <= paths

    assert ingest("patients")["new"] == 0, "the same table brings nothing new"
    assert monitor("patients")["drift"] == "not enough data"

    rows = patients.source.read().sample(60, random_state=1)
    rows.drop(columns="progression").assign(bmi=[-1.0, *rows["bmi"].iloc[1:]]).to_csv(tmp_path / "in.csv", index=False)
    scored = score("patients", tmp_path / "in.csv", tmp_path / "out.csv")
    assert (scored["answered"], scored["refused"]) == (59, 1)
    answers = pd.read_csv(tmp_path / "out.csv")
    assert answers["row"].tolist() == list(range(2, 61)) and answers["model_version"].eq(1).all()
    assert np.corrcoef(answers["mean"], rows["progression"].iloc[1:])[0, 1] > 0.5


def test_heavier_patients_are_drift(patients: Case, tmp_path: Path) -> None:
    rows = patients.source.read().sample(60, random_state=2)
    rows.assign(bmi=rows["bmi"] + 8).to_csv(tmp_path / "heavier.csv", index=False)
    assert ingest("patients", file=tmp_path / "heavier.csv")["new"] == 60
    assert monitor("patients")["drift"] == "drifted"
    verdict = decision_log.load_decisions("patients", kind="drift")[0]
    moved = [column["column"] for column in verdict["facts"]["columns"] if column["drifted"]]
    assert moved == ["bmi"]
    assert (load_settings().reports_dir / "patients" / "drift.html").is_file()


def test_outcomes_that_are_sent_judge_the_champion(patients: Case, shelf: None) -> None:
    with ThreadPoolExecutor(1) as worker:
        runner = Runner(patients, Engine("cpu", 1), worker)
        runner.check_store()
        service = CaseService(patients, runner, load_settings().state_dir / "journal")
        rows = patients.source.read().head(80)
        asked = [{**row, "sex": str(row["sex"])} for row in rows.drop(columns="progression").to_dict("records")]
        said = asyncio.run(service.predict(json.dumps({"instances": asked}).encode()))
        told = [
            {"id": said["id"], "index": place, "value": float(value)} for place, value in enumerate(rows["progression"])
        ]
        assert asyncio.run(service.record_outcomes(json.dumps({"outcomes": told}).encode())) == 80
        service.close()
    assert {"value", "interval", "unit", "note"} == set(said["predictions"][0])
    assert monitor("patients")["performance"] == "good"
    verdict = decision_log.load_decisions("patients", kind="performance")[0]
    assert "against the mean's" in verdict["reason"]


def test_outcomes_of_a_table_judge_the_scored_rows_by_their_keys(patients: Case, tmp_path: Path) -> None:
    path = load_settings().cases_dir / "patients.py"
    path.write_text(PATIENTS.replace('name="patients",', 'name="patients", key="patient_id",'))
    load_case.cache_clear()
    keyed = load_case("patients")
    rows = patients.source.read().sample(80, random_state=3).assign(patient_id=[f"P-{n}" for n in range(80)])
    rows.drop(columns="progression").to_csv(tmp_path / "in.csv", index=False)
    assert score("patients", tmp_path / "in.csv", tmp_path / "out.csv", journal=True)["answered"] == 80
    assert monitor("patients")["performance"] == "not enough data"

    wrong = rows.assign(progression=rows["progression"].sample(frac=1, random_state=4).to_numpy())
    unknown = pd.DataFrame({"patient_id": ["Q-1"], "progression": [100]})
    pd.concat([wrong, unknown])[["patient_id", "progression"]].to_csv(tmp_path / "truth.csv", index=False)
    done = record_file(keyed, tmp_path / "truth.csv")
    assert (done.accepted, done.refused) == (80, 1) and "Q-1" in done.reasons[81]
    assert monitor("patients")["performance"] == "degraded"
    assert len(prediction_log.load_predictions("patients")) == len(prediction_log.load_outcomes("patients")) == 80
