"""True values from a table: which rows are recorded, and why the others are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from okawari.case import Case, Column, Regress
from okawari.cases import loader
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput
from okawari.scoring import outcomes_file
from okawari.scoring.outcomes_file import record_file
from okawari.storage import keyed_outcomes, prediction_log

if TYPE_CHECKING:
    from tests.conftest import Said

ONE, TWO = "a" * 40, "b" * 40


def _answer(case: Case, answer_id: str, *keys: str | None, at: str = "2024-05-01T12:00:00+00:00") -> None:
    row = {"id": answer_id, "case": case.name, "at": at, "mean": [1.0], "version": "1", "source": "predict"}
    prediction_log.record_predictions(
        case.name, [{**row, "index": place, "key": key} for place, key in enumerate(keys)]
    )


def _write(path: Path, **columns: list[Any]) -> Path:
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame.to_csv(path, index=False)
    return path


def _load(case: Case) -> list[tuple[Any, ...]]:
    rows = prediction_log.load_outcomes(case.name)
    return sorted(zip(rows["id"], rows["index"], rows["step"], rows["value"], strict=True))


@pytest.fixture
def patients(home: Path) -> Case:
    """Records with a number, and a key."""
    case = replace(load_case("diabetes"), name="patients", key="patient_id")
    _answer(case, ONE, "A-17", None, "007")
    return case


def test_rows_are_recorded_by_id_and_by_key_and_the_others_have_a_reason(patients: Case, tmp_path: Path) -> None:
    source = _write(
        tmp_path / "truth.csv",
        patient_id=["A-17", "B-1", "7", None, "A-17", None, None, None],
        id=[None, None, None, ONE, None, TWO, ONE, None],
        index=[None, None, None, "1", None, "0", "3", None],
        value=["100", "100", "100", "120.5", "?", "1", "1", "1"],
    )
    done = record_file(patients, source)
    assert (done.rows, done.accepted, done.refused) == (8, 2, 6)
    assert done.reasons == {
        2: keyed_outcomes.explain_unknown_key("patients", "B-1"),
        3: keyed_outcomes.explain_unknown_key("patients", "7"),  # 007 is another key
        5: f"value is '?'; {patients.target.allowed}",
        6: f"id is {TWO}; no answer of patients on record has it",
        7: f"index is 3; the answer {ONE} has no such instance",
        8: "id and patient_id missing; a row names its prediction",
    }
    assert _load(patients) == [(ONE, 0, 1, 100.0), (ONE, 1, 1, 120.5)]
    assert keyed_outcomes.count_refused("patients") == 0  # whoever sends a file sees its refused rows at once


def test_a_table_that_is_recorded_twice_adds_nothing_and_another_value_corrects(patients: Case, tmp_path: Path) -> None:
    for values in (["100"], ["100"], ["110"], ["110"]):
        record_file(patients, _write(tmp_path / "truth.csv", patient_id=["A-17"], value=values))
    history = prediction_log.load_outcome_history("patients")
    assert history["value"].tolist() == [100.0, 110.0]
    assert _load(patients) == [(ONE, 0, 1, 110.0)]


def test_the_newest_prediction_of_a_key_takes_the_outcome(patients: Case, tmp_path: Path) -> None:
    _answer(patients, TWO, None, "A-17", at="2024-06-01T12:00:00+00:00")
    record_file(patients, _write(tmp_path / "truth.csv", patient_id=["A-17"], value=["100"]))
    assert _load(patients) == [(TWO, 1, 1, 100.0)]


def test_the_value_may_have_the_name_of_the_target(patients: Case, tmp_path: Path) -> None:
    source = _write(tmp_path / "truth.csv", patient_id=["A-17"], progression=["100"], seen_by=["Dr. No"])
    assert record_file(patients, source).accepted == 1


def test_integers_of_a_parquet_file_name_rows(patients: Case, tmp_path: Path) -> None:
    _answer(patients, TWO, "18", "19")
    frame = pd.DataFrame({"patient_id": [18, 19], "value": [1.0, float("nan")]})
    frame.to_parquet(tmp_path / "truth.parquet")
    done = record_file(patients, tmp_path / "truth.parquet")
    assert done.accepted == 1 and done.reasons == {2: f"value is missing; {patients.target.allowed}"}


def test_a_table_is_read_as_it_is_written(patients: Case, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("patient_id;value\nA-17;100,5\n007;120,25\n")
    assert record_file(patients, tmp_path / "truth.csv").accepted == 2
    assert _load(patients) == [(ONE, 0, 1, 100.5), (ONE, 2, 1, 120.25)]


def test_a_long_table_is_read_in_parts(patients: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_file, "CHUNK_ROWS", 7)
    _answer(patients, TWO, *map(str, range(100, 140)))
    keys = [str(number) for number in range(95, 140)]
    done = record_file(patients, _write(tmp_path / "truth.csv", patient_id=keys, value=["50"] * 45))
    assert (done.rows, done.accepted, sorted(done.reasons)) == (45, 40, [1, 2, 3, 4, 5])
    assert len(_load(patients)) == 40


@pytest.mark.parametrize(
    ("bounds", "value", "fits"),
    [
        ({"minimum": 0}, "-1", False),
        ({"minimum": 0}, "0", True),
        ({"above": 0}, "0", False),
        ({"maximum": 5}, "5", True),
        ({"maximum": 5}, "5.1", False),
        ({"integer": True}, "1.5", False),
        ({"integer": True}, "2", True),
        ({}, "inf", False),
        ({}, "", False),
    ],
)
def test_a_value_is_one_that_the_target_may_have(
    bounds: dict[str, Any], value: str, fits: bool, patients: Case, tmp_path: Path
) -> None:
    column = Column(name="progression", unit="points", **bounds)
    case = replace(patients, task=Regress(target=column))
    done = record_file(case, _write(tmp_path / "truth.csv", patient_id=["A-17", "007"], value=[value, "1"]))
    assert done.accepted == 1 + fits
    assert bool(done.reasons) is not fits


def test_labels_are_recorded_as_words(home: Path, tmp_path: Path) -> None:
    case = replace(load_case("blobs"), name="shop", key="order_id")
    _answer(case, ONE, "A", "B")
    done = record_file(case, _write(tmp_path / "truth.csv", order_id=["A", "B"], value=["south_east", ""]))
    assert done.accepted == 1
    assert prediction_log.load_outcomes("shop")["label"].tolist() == ["south_east"]


def test_a_label_that_the_case_does_not_have_is_refused(home: Path, tmp_path: Path) -> None:
    case = replace(load_case("blobs"), name="shop")
    _answer(case, ONE, None, None)
    done = record_file(
        case, _write(tmp_path / "truth.csv", id=[ONE, ONE], index=["0", "1"], value=["north_east", "South"])
    )
    assert (done.accepted, done.refused) == (1, 1)
    assert "value is 'South'; " in done.reasons[2]


def test_the_steps_of_a_forecast_are_counted_from_one(home: Path, tmp_path: Path) -> None:
    case = load_case("aapl")
    _answer(case, ONE, None)
    ids, steps = [ONE] * 4, ["1", "5", "6", "x"]
    done = record_file(case, _write(tmp_path / "truth.csv", id=ids, step=steps, close=["1", "2", "3", "4"]))
    assert _load(case) == [(ONE, 0, 1, 1.0), (ONE, 0, 5, 2.0)]
    assert done.reasons == {3: "step is 6; it is at least 1 and at most 5", 4: "step is 'x'; it is a whole number"}


def test_each_of_several_targets_has_its_own_values(home: Path, tmp_path: Path) -> None:
    case = load_case("cpi")
    _answer(case, ONE, None)
    source = _write(
        tmp_path / "truth.csv",
        id=[ONE] * 3,
        target=["trend", "acceleration", "inflation"],
        value=["falling", "0.5", "1"],
    )
    done = record_file(case, source)
    assert done.reasons == {3: "target is 'inflation'; it is one of acceleration, trend, regime"} or (
        done.accepted == 2 and done.reasons[3].startswith("target is 'inflation'; it is one of ")
    )


def test_a_prediction_that_the_service_still_journals_is_known(patients: Case, tmp_path: Path) -> None:
    from okawari.storage.journal import Journal

    row = {"id": TWO, "index": 0, "case": "patients", "at": "2024-05-01T12:00:00+00:00", "mean": [1.0], "key": "new"}
    writer = Journal(prediction_log.journal_dir("patients"), "predictions", segment_s=3600)
    writer.append([{**row, "version": "1", "source": "predict"}])
    source = _write(tmp_path / "truth.csv", patient_id=["new", ""], id=["", TWO], value=["100", "110"])
    assert record_file(patients, source).accepted == 2
    writer.close()
    assert _load(patients) == [(TWO, 0, 1, 110.0)]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"value": ["1"]}, "an outcome names its prediction in the column id or patient_id. Add it."),
        ({"patient_id": ["A-17"]}, r"the true value is in value \(or progression\). Add or rename it."),
    ],
)
def test_a_table_without_a_needed_column_is_refused(
    columns: dict[str, list[str]], told: str, patients: Case, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=told):
        record_file(patients, _write(tmp_path / "truth.csv", **columns))


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def patients_file(patients: Case) -> None:
    Path("cases").mkdir()
    Path("cases/patients.py").write_text(
        "from dataclasses import replace\nfrom okawari.cases.diabetes import CASE as LIKE\n"
        'CASE = replace(LIKE, name="patients", key="patient_id")\n'
    )
    loader.load_case.cache_clear()


@pytest.mark.usefixtures("patients_file")
def test_the_command_tells_counts_and_reasons_and_its_exit_code_whether_anything_was_recorded(
    call: Callable[..., Said], tmp_path: Path
) -> None:
    source = str(_write(tmp_path / "truth.csv", patient_id=["A-17", "B-1"], value=["100", "100"]))
    said = call("outcomes", "patients", source)
    assert (said.code, said.err) == (0, "")
    assert f"{source}: 1 of 2 outcomes accepted, 1 refused" in said.out
    assert "  row 2: no answer of patients before this outcome has the key 'B-1'" in said.out
    as_json = call("outcomes", "patients", source, "--json")
    assert json.loads(as_json.out) == {
        "case": "patients", "file": source, "rows": 2, "accepted": 1, "refused": 1,
        "reasons": [{"row": 2, "reason": keyed_outcomes.explain_unknown_key("patients", "B-1")}],
    }  # fmt: skip
    none = str(_write(tmp_path / "none.csv", patient_id=["B-1", "B-2"], value=["100", "100"]))
    refused = call("outcomes", "patients", none)
    assert refused.code == 4
    assert refused.err == f"okawari: {none}: all 2 rows are refused; nothing was recorded. Correct the rows.\n"
    missing = call("outcomes", "patients", "gone.csv")
    assert missing.code == 1 and missing.err.startswith("okawari: There is no file gone.csv")
