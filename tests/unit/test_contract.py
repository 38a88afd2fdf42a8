"""The contract: JSON there and back, versions in storage, and words that keep their places."""

from dataclasses import replace

import pytest

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.contract.case_words import apply_words, list_words, read_words, start_contract
from okawari.contract.contract import ColumnMeaning, Contract, TimeMeaning, read_contract
from okawari.data.datasets import Blobs
from okawari.errors import InvalidInput
from okawari.models.constant import Constant
from okawari.storage.contracts import load_contract, record_contract

CASE = Case(
    name="churn",
    title="Churn",
    source=Blobs(),
    time=ARRIVED,
    columns=(Column(name="plan", labels=("basic", "pro")), Column(name="fee", missing="allow")),
    task=Classify(target=Column(name="outcome", labels=("left", "stayed"))),
    candidates=(Constant(),),
)


def test_a_contract_is_the_same_after_a_round_through_json():
    contract = Contract(
        case="shop",
        version=3,
        columns=(ColumnMeaning(name="plan", kind="word", words=("a", "ä"), usual={"new_share": 0.01}),),
        time=TimeMeaning(name="day", frequency="D", zone="Europe/Berlin"),
        dialect={"separator": ";"},
        usual={"refused_share": 0.02},
    )
    assert read_contract(contract.to_json()) == contract


def test_what_is_no_contract_is_refused_with_a_remedy():
    with pytest.raises(InvalidInput, match="contract cannot be read"):
        read_contract('{"case": "shop"}')


def test_words_of_a_dictionary_keep_their_places_whatever_order_the_case_names_them_in():
    resorted = replace(CASE, columns=(replace(CASE.columns[0], labels=("basic", "family", "pro")), CASE.columns[1]))
    words = read_words(start_contract(CASE))
    assert list_words(apply_words(resorted, words)) == {
        "plan": ("basic", "pro", "family"),
        "outcome": ("left", "stayed"),
    }


def test_the_newest_version_is_loaded_and_a_stored_one_never_changes(home):
    first = start_contract(CASE)
    assert load_contract("churn") is None
    record_contract(first, 0)
    record_contract(replace(first, version=2, usual={"refused_share": 0.1}), 4)
    record_contract(replace(first, usual={"refused_share": 0.9}), 5)
    assert load_contract("churn") == replace(first, version=2, usual={"refused_share": 0.1})
