"""A case file that changes: columns come and go, and a changed meaning is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.data.datasets import Blobs
from okawari.data.validation import check_readings
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender
from okawari.models.constant import Constant
from okawari.models.fit_context import Workbench, no_progress
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear
from okawari.models.protocols import Recipe
from okawari.storage import snapshots
from okawari.storage.contracts import check_case, know_case

NOW, LATER = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)
AGE, PLAN = Column(name="age", minimum=0, unit="years"), Column(name="plan", labels=("basic", "pro"))
REGION, FEE = Column(name="region", labels=("north", "south")), Column(name="fee", minimum=0)
OLD = Case(
    name="members", title="Members", source=Blobs(), time=ARRIVED, columns=(AGE, PLAN, FEE),
    task=Classify(target=Column(name="outcome", labels=("left", "stayed"))), candidates=(Constant(),),
)  # fmt: skip
WIDE = replace(OLD, columns=(REGION, AGE, PLAN, FEE))


def _draw(n: int, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.uniform(18, 80, n), "plan": random.choice(PLAN.labels, n), "fee": random.uniform(0, 90, n),
            "region": random.choice(REGION.labels, n), "outcome": random.choice(("left", "stayed"), n),
        }
    )  # fmt: skip


def _store(case: Case, raw: pd.DataFrame, now: datetime = NOW) -> snapshots.Ingested:
    checked = check_readings(raw, case, now)
    done = snapshots.record_readings(case, checked.good, checked.refused.assign(reason=""), now)
    assert done.snapshot == snapshots.measure_snapshot(case, done.snapshot.version)
    return done


def test_an_added_column_is_missing_in_old_rows_and_filled_in_by_the_same_records(home: Path) -> None:
    raw = _draw(60)
    first = _store(OLD, raw[:50])
    assert check_case(WIDE) == [
        "region is new: the rows that are stored already lack it, and count as rows with an empty field"
    ]
    kept = snapshots.load_readings(WIDE)
    assert kept["region"].isna().all() and kept["age"].tolist() == raw["age"][:50].tolist()
    done = _store(WIDE, raw[20:], LATER)
    assert (done.new_rows, done.revised_rows, done.snapshot.rows) == (10, 30, 60)
    found = snapshots.load_readings(WIDE).set_index("age")["region"]
    assert found.isna().sum() == 20 and found.dropna().to_dict() == raw[20:].set_index("age")["region"].to_dict()
    assert snapshots.measure_snapshot(WIDE, 0) == first.snapshot, "the first version keeps its digest"


@pytest.mark.parametrize(
    "recipe", [Linear(penalty=1.0), RandomForest(n_trees=40, min_leaf=3, lags=1)], ids=["linear", "forest"]
)
def test_records_from_before_a_column_train_with_the_new_ones(home: Path, recipe: Recipe) -> None:
    """The old records without a region stay, all with plan pro leave; of the new ones, all of the south do."""
    old, new = _draw(300, 1), _draw(300, 2)
    _store(OLD, old.assign(outcome=np.where(old["plan"] == "pro", "left", "stayed")))
    _store(WIDE, new.assign(outcome=np.where(new["region"] == "south", "left", "stayed")), LATER)
    readings = snapshots.load_readings(WIDE)
    known = know_case(WIDE, readings)
    split = split_windows(cut_windows(readings, known), known)
    assert len(split.train) + len(split.validation) + len(split.holdout) == 600
    fitted = fit_contender(recipe, known, split, no_progress, Workbench())
    said = fitted.answer.mean_BH.argmax(axis=1)
    x_BF, outcomes = split.holdout.x_BTF[:, 0], known.target.labels
    is_old, south, pro = np.isnan(x_BF[:, 0]), x_BF[:, 0] == 1, x_BF[:, 2] == 1
    assert 30 < is_old.sum() < len(is_old) - 30
    left = said == outcomes.index("left")
    assert (left == np.where(is_old, pro, south)).mean() > (0.95 if recipe.name.startswith("random") else 0.7)


def test_a_removed_label_is_said_and_a_learned_word_is_not(home: Path) -> None:
    _store(OLD, _draw(30))
    basic = _draw(30, 5).assign(plan="basic")
    _store(OLD, pd.concat([basic, basic[:1].assign(plan="family")]), LATER)
    assert check_case(OLD) == []
    fewer = replace(OLD, columns=(AGE, replace(PLAN, labels=("basic", "family")), FEE))
    assert check_case(fewer) == [
        "the case file no longer names 'pro' among the labels of plan; the stored words keep their places and meaning"
    ]


def test_a_dropped_column_stays_in_storage_and_returns(home: Path) -> None:
    raw = _draw(40)
    _store(OLD, raw[:30])
    narrow = replace(OLD, columns=(AGE, PLAN))
    assert check_case(narrow) == ["the case no longer has fee; its stored values are kept"]
    done = _store(narrow, raw[30:], LATER)
    assert done.new_rows == 10
    back = snapshots.load_readings(OLD)
    assert back["fee"][:30].tolist() == raw["fee"][:30].tolist() and back["fee"][30:].isna().all()


def test_a_renamed_column_is_suspected(home: Path) -> None:
    _store(OLD, _draw(30))
    renamed = replace(OLD, columns=(AGE, replace(PLAN, name="tariff"), FEE))
    assert check_case(renamed)[1] == (
        "the case no longer has plan; its stored values are kept; if it is tariff now, keep its name and rename the "
        "column where the source is read"
    )


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ((AGE, Column(name="plan"), FEE), "plan holds words in the table and numbers in the case file"),
        (
            (AGE, PLAN, Column(name="fee", labels=("0", "1"))),
            "fee holds numbers in the table and words in the case file",
        ),
        ((replace(AGE, unit="months"), PLAN, FEE), "age is in years in the table and in months in the case file"),
        (
            (AGE, Column(name="plan", boolean=True), FEE),
            "plan holds the words basic, pro in the table and truth values",
        ),
    ],
)
def test_a_changed_meaning_is_refused_with_what_to_do(home: Path, columns: tuple[Column, ...], told: str) -> None:
    _store(OLD, _draw(30))
    changed = replace(OLD, columns=columns)
    with pytest.raises(InvalidInput, match=f"changes the meaning of stored columns: {told}.*give the changed ones new"):
        check_case(changed)
    if columns[0] == AGE and not columns[1].boolean:
        with pytest.raises(InvalidInput, match=told):
            snapshots.load_readings(changed)
