"""A table gets a column: its records stay the same ones, and nothing of the delivery counts as a revised history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from flows.ingest import ingest
from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.storage import decision_log, snapshots
from okawari.storage.contracts import load_contract
from tests.flows.conftest import Heard
from tests.flows.test_word_story import _declare


def _draw(n: int, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "plan": random.choice(("basic", "plus"), n),
            "age": random.uniform(18, 80, n).round(2),
            "is_active": random.choice(("True", "False"), n),
            "region": random.choice(("north", "south"), n),
            "fee": random.uniform(1, 90, n).round(2),
            "outcome": random.choice(("left", "stayed"), n),
        }
    )


def _read_reason() -> str:
    return str(decision_log.load_decisions("churn", kind="quality")[0]["reason"])


def test_filled_in_columns_are_no_revision_and_hold_nothing(fresh: Case, heard: Heard, tmp_path: Path) -> None:
    wide = _draw(400)
    _declare(wide.drop(columns=["region", "fee"]), tmp_path / "first.csv")
    assert ingest("churn")["new"] == 400

    _declare(wide, tmp_path / "wide.csv", "--overwrite")
    done = ingest("churn")
    assert (done["rows"], done["new"], done["revised"], done["filled"]) == (400, 0, 0, 400)
    assert "400 stored rows got values of columns that the case has since" in _read_reason()
    stored = snapshots.load_readings(load_case("churn"))
    assert stored["region"].tolist() == wide["region"].tolist() and stored["fee"].tolist() == wide["fee"].tolist()
    contract = load_contract("churn")
    assert contract is not None and contract.usual["revised_largest"] == 0


def test_columns_that_the_case_lacks_and_digits_for_truth_are_said_once(
    fresh: Case, heard: Heard, tmp_path: Path
) -> None:
    wide = _draw(460)
    _declare(wide[:400].drop(columns="region"), tmp_path / "first.csv")
    ingest("churn")
    digits = {"is_active": wide["is_active"].map({"True": 1, "False": 0})}
    for start in (400, 430):
        wide.assign(**digits)[start : start + 30].to_csv(tmp_path / "later.csv", index=False)
        assert ingest("churn", file=tmp_path / "later.csv")["new"] == 30
        reason = _read_reason()
        assert ("the case does not use region, which the table has not had before" in reason) is (start == 400)
        assert ("is_active is written as 0 and 1, which are read as false and true" in reason) is (start == 400)
    assert set(snapshots.load_readings(load_case("churn"))["is_active"]) == {"true", "false"}
