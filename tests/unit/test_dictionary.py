"""The dictionary of a case only grows, and each graph keeps the one that it was trained with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column, Gate
from okawari.contract.case_words import know_contract, list_words, read_words
from okawari.data.datasets import Blobs
from okawari.data.validation import check_readings
from okawari.dataset.arrays import to_array
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.evaluation.candidates import fit_contender, score_graph
from okawari.evaluation.translation import translate_answer, translate_questions
from okawari.graph.dictionary import know_graph
from okawari.graph.feature_graph import compute_features
from okawari.graph.inference import Answer, Graph, require_answers, require_fit
from okawari.models.constant import Constant
from okawari.models.fit_context import Workbench, no_progress
from okawari.models.linear import Linear
from okawari.storage import snapshots
from okawari.storage.contracts import know_case, load_contract

NOW = datetime(2024, 5, 1, tzinfo=UTC)
PLANS, OUTCOMES = ("basic", "plus", "pro"), ("left", "stayed")
CASE = Case(
    name="churn", title="Churn", source=Blobs(), time=ARRIVED,
    columns=(Column(name="months", minimum=0), Column(name="plan", labels=PLANS, new_share=0.5)),
    task=Classify(target=Column(name="outcome", labels=OUTCOMES, new_share=0.5)),
    candidates=(Constant(), Linear(penalty=1.0)), gate=Gate(holdout=60),
)  # fmt: skip
SORTED = replace(
    CASE,
    columns=(CASE.columns[0], replace(CASE.columns[1], labels=("basic", "family", "plus", "pro"))),
    task=Classify(target=Column(name="outcome", labels=("stayed", "left"))),
)
"""The case as a later file says it: a further plan, sorted among the others, and the outcomes the other way round."""


def draw_churn(n: int, seed: int = 1, plans: tuple[str, ...] = PLANS) -> pd.DataFrame:
    """Customers whose outcome follows from their plan: basic leaves, plus stays, pro stays for long."""
    random = np.random.default_rng(seed)
    plan = random.choice(plans, n)
    months = random.uniform(1, 60, n)
    stays = np.where(plan == "basic", 0.1, np.where(plan == "pro", months / 60, 0.9))
    return pd.DataFrame(
        {"months": months, "plan": plan, "outcome": np.where(random.random(n) < stays, *OUTCOMES[::-1])}
    )


def _store(case: Case, raw: pd.DataFrame, now: datetime = NOW) -> snapshots.Ingested:
    checked = check_readings(raw, case, now)
    assert checked.refused.empty
    return snapshots.record_readings(case, checked.good, checked.refused, now)


def _fit(case: Case, readings: pd.DataFrame) -> bytes:
    known = know_case(case, readings)
    split = split_windows(cut_windows(readings, known), known)
    return fit_contender(Linear(penalty=1.0), known, split, no_progress, Workbench()).graph


def test_a_file_with_another_order_and_a_further_word_moves_no_stored_word(home: Path) -> None:
    first, more = draw_churn(300), draw_churn(100, 2, (*PLANS, "family"))
    _store(CASE, first)
    done = _store(SORTED, pd.concat([first, more]), datetime(2024, 6, 1, tzinfo=UTC))
    assert (done.new_rows, done.revised_rows) == (100, 0)
    for case in (CASE, SORTED):
        assert snapshots.load_readings(case)["plan"].tolist() == [*first["plan"], *more["plan"]]
        assert snapshots.load_readings(case)["outcome"].tolist() == [*first["outcome"], *more["outcome"]]
    assert read_words(load_contract("churn")) == {"plan": (*PLANS, "family"), "outcome": OUTCOMES}


def test_words_are_learned_in_the_order_of_appearance_and_counted(home: Path) -> None:
    _store(CASE, draw_churn(300))
    raw = draw_churn(10).assign(plan=["basic"] * 6 + ["zero", "alpha", "zero", "basic"])
    checked = check_readings(raw, CASE, NOW)
    assert checked.new_words == {"plan": {"zero": 2, "alpha": 1}} and checked.new_shares == {"plan": 0.3}
    snapshots.record_readings(CASE, checked.good, checked.refused, NOW)
    contract = load_contract("churn")
    assert contract is not None and contract.version == 2
    assert read_words(contract)["plan"] == (*PLANS, "zero", "alpha")
    assert check_readings(raw, know_contract(CASE, contract), NOW).new_words == {}


def test_a_record_stays_in_its_part_when_labels_are_learned(home: Path) -> None:
    first = draw_churn(300)
    _store(CASE, first)
    readings = snapshots.load_readings(CASE)
    known = know_case(CASE, readings)
    before = split_windows(cut_windows(readings, known), known)
    _store(CASE, draw_churn(40, 3, (*PLANS, "family")).assign(outcome="paused"), datetime(2024, 6, 1, tzinfo=UTC))
    readings = snapshots.load_readings(SORTED)
    grown = know_case(SORTED, readings)
    after = split_windows(cut_windows(readings, grown), grown)
    assert grown.task.heads[0].labels == (*OUTCOMES, "paused")
    learned, judged = set(before.train.x_BTF[:, 0, 0].tolist()), set(after.holdout.x_BTF[:, 0, 0].tolist())
    assert len(learned) > 100 and len(judged) == 60 and not learned & judged


def test_an_unknown_word_is_none_of_the_words_and_adds_no_feature() -> None:
    frame = pd.DataFrame({"months": [1.0, 2.0, 3.0], "plan": ["plus", "never", None]})
    x_NF = to_array(frame.iloc[:2], CASE)
    assert x_NF.tolist() == [[1, 1], [2, 3]]
    assert compute_features(CASE, x_NF[:, None].astype(np.float32))[:, 0].tolist() == [[1, 0, 1, 0], [2, 0, 0, 0]]


def test_places_in_the_stead_of_words_are_refused() -> None:
    with pytest.raises(InvalidInput, match="Column plan holds float64 values; it holds words"):
        to_array(pd.DataFrame({"months": [1.0], "plan": [1.0]}), CASE)


def test_a_graph_serves_a_case_whose_labels_were_sorted_or_added_to(home: Path) -> None:
    _store(CASE, draw_churn(300))
    graph = Graph.load(_fit(CASE, snapshots.load_readings(CASE)))
    require_fit(graph, SORTED)
    require_answers(graph, SORTED)
    own = know_graph(SORTED, graph.labels)
    assert list_words(own) == {"plan": PLANS, "outcome": OUTCOMES}
    numbers = replace(SORTED, columns=(SORTED.columns[0], Column(name="plan")))
    told = r"takes the columns months, plan \(words\); case churn sends months, plan\. Train it again"
    with pytest.raises(InvalidInput, match=told):
        require_fit(graph, numbers)


def test_champion_and_challenger_are_compared_on_the_same_rows_in_their_own_words(home: Path) -> None:
    first = draw_churn(400)
    _store(CASE, first)
    old = _fit(CASE, snapshots.load_readings(CASE))
    _store(SORTED, draw_churn(300, 5, (*PLANS, "family")), datetime(2024, 6, 1, tzinfo=UTC))
    readings = snapshots.load_readings(SORTED)
    known = know_case(SORTED, readings)
    holdout = split_windows(cut_windows(readings, known), known).holdout
    card = score_graph("linear", old, holdout, known)
    assert card is not None and card.loss < 0.6
    frame = pd.DataFrame({"months": [5.0, 5.0], "plan": ["basic", "plus"]})
    said = Graph.load(old).answer(to_array(frame, CASE)[:, None]).mean_BH
    own = know_graph(known, Graph.load(old).labels)
    asked = translate_questions(to_array(frame, known)[:, None], known, own)
    np.testing.assert_array_equal(Graph.load(old).answer(asked).mean_BH, said)
    assert said[0].argmax() == OUTCOMES.index("left") and said[1].argmax() == OUTCOMES.index("stayed")


def test_an_answer_is_translated_by_its_words() -> None:
    answer = Answer(np.array([[0.2, 0.8]]))
    other = replace(CASE, task=Classify(target=Column(name="outcome", labels=("stayed", "new", "left"))))
    assert translate_answer(answer, CASE, other).mean_BH.tolist() == [[0.8, 0.0, 0.2]]


def test_a_label_without_a_row_in_train_stays_possible(home: Path) -> None:
    grown = replace(CASE, task=Classify(target=Column(name="outcome", labels=(*OUTCOMES, "paused"))))
    _store(grown, draw_churn(300))
    readings = snapshots.load_readings(grown)
    for recipe in (Constant(), Linear(penalty=1.0)):
        split = split_windows(cut_windows(readings, grown), grown)
        fitted = fit_contender(recipe, grown, split, no_progress, Workbench())
        share_B = fitted.answer.mean_BH[:, 2]
        assert np.isfinite(fitted.scores.loss) and (share_B > 0).all() and (share_B < 0.05).all()
