"""Words over HTTP: models of different dictionaries swap under load, and no answer names another word than its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Classify, Column
from okawari.cases.loader import load_case, load_text
from okawari.dataset.windows import last_window
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import AffineCore
from okawari.storage.deployable import Deployable, Golden, Manifest, digest
from okawari.storage.journal import list_segments

FILE = '''
"""Which colour a fruit has."""
from okawari.case import ARRIVED, Case, Classify, Column
from okawari.data.datasets import Blobs
from okawari.models.constant import Constant

CASE = Case(
    name="fruit", title="Fruit", source=Blobs(), time=ARRIVED,
    columns=(
        Column(name="grams", minimum=0),
        Column(name="fruit", labels=("apple", "plum")),
        Column(name="ripe", boolean=True),
    ),
    task=Classify(target=Column(name="colour", labels=("blue", "red"))),
    candidates=(Constant(),),
)
'''
COLOURS = {"apple": "red", "plum": "blue", "lime": "green"}
SHORT = (("apple", "plum"), ("blue", "red"))
LONG = (("lime", "plum", "apple"), ("red", "green", "blue"))
"""Fruits and colours of a model: a later one with another order and further words."""


def _deploy(case: Case, version: str, fruits: tuple[str, ...], colours: tuple[str, ...]) -> Deployable:
    """A model that answers each fruit of its dictionary with its colour."""
    own = replace(
        case,
        columns=(case.columns[0], replace(case.columns[1], labels=fruits), case.columns[2]),
        task=Classify(target=Column(name="colour", labels=colours)),
    )
    weights = np.zeros((len(colours), 1 + len(fruits) + 2))
    for place, fruit in enumerate(fruits):
        weights[colours.index(COLOURS[fruit]), 1 + place] = 9.0
    graph = build_graph(AffineCore(weights, np.zeros(len(colours)), reads="z"), own, None)
    frame = pd.DataFrame({"grams": [90.0], "fruit": fruits[:1], "ripe": "true", ARRIVED: pd.Timestamp("2024-05-01")})
    x_BTF = last_window(frame, own)
    manifest = Manifest(
        case="fruit", version=version, run_id="0" * 32, candidate="linear", variant="fp32", graph_sha256=digest(graph),
        snapshot_version=0, snapshot_digest="d" * 64, trained_until="2024-05-01", decision_id="e" * 32,
    )  # fmt: skip
    return Deployable(manifest, Golden(x_BTF=x_BTF, mean_BH=Graph.load(graph).answer(x_BTF).mean_BH), graph, frame)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return load_text(FILE, tmp_path_factory.mktemp("file") / "fruit.py", "fruit")


@pytest.fixture(scope="module")
def served(make_kitchen, serve, case):
    kitchen = make_kitchen()
    (kitchen.home / "cases").mkdir(parents=True)
    (kitchen.home / "cases" / "fruit.py").write_text(FILE)
    kitchen.cases, kitchen.extra = "fruit", {"OKAWARI_CASES_DIR": str(kitchen.home / "cases")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OKAWARI_CASES_DIR", str(kitchen.home / "cases"))
        kitchen.put(_deploy(case, "1", *SHORT))
        with serve(kitchen) as running:
            yield running
    load_case.cache_clear()  # to deploy, this process has loaded the case too


def _ask(client: httpx.Client, *fruits: str):
    instances = [{"grams": 90, "fruit": fruit, "ripe": True} for fruit in fruits]
    answer = client.post("/fruit/predict", json={"instances": instances})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_word_that_the_model_does_not_know_is_answered_with_a_note_and_counted(served) -> None:
    known, strange = _ask(served.client, "plum", "kiwi")["predictions"]
    assert (known["label"], known["note"]) == ("blue", None)
    assert (
        strange["note"] == "The model does not know fruit 'kiwi'; it answered as for any word that it has not learned."
    )
    assert strange["probabilities"] == pytest.approx({"blue": 0.5, "red": 0.5})
    assert 'okawari_new_words_total{case="fruit",column="fruit"} 1.0' in served.client.get("/metrics").text


def test_a_truth_value_is_true_or_false(served) -> None:
    for value in ("true", 1, "yes", None):
        refused = served.client.post(
            "/fruit/predict", json={"instances": [{"grams": 1, "fruit": "plum", "ripe": value}]}
        )
        assert refused.status_code == 422
        assert "ripe is true or false. Correct it." in refused.json()["error"]


def test_an_outcome_has_a_label_that_something_knows(served) -> None:
    id_ = _ask(served.client, "plum")["id"]
    good = served.client.post("/fruit/outcomes", json={"outcomes": [{"id": id_, "index": 0, "value": "red"}]})
    assert good.json() == {"accepted": 1}
    bad = served.client.post("/fruit/outcomes", json={"outcomes": [{"id": id_, "index": 0, "value": "mauve"}]})
    assert bad.status_code == 422
    assert bad.json()["error"] == (
        'outcomes[0].value is "mauve"; colour has never had this label. Correct it, or ingest a reading with it first.'
    )


def test_swaps_between_dictionaries_under_load_never_name_another_word(served, case) -> None:
    """Back and forth, as in a promotion and a rollback; each answer fits the dictionary of the model that it names."""
    done, dictionaries = threading.Event(), {"1": SHORT, "2": LONG, "3": SHORT, "4": LONG}

    def ask() -> set[str]:
        seen = set()
        with httpx.Client(base_url=served.client.base_url, timeout=20) as client:
            while not done.is_set():
                said = _ask(client, "apple", "plum", "lime")
                version = said["model"]["version"]
                fruits, colours = dictionaries[version]
                for fruit, one in zip(("apple", "plum", "lime"), said["predictions"], strict=True):
                    assert set(one["probabilities"]) == set(colours)
                    assert (one["note"] is None) == (fruit in fruits)
                    assert fruit not in fruits or one["label"] == COLOURS[fruit]
                seen.add(version)
        return seen

    with ThreadPoolExecutor(4) as clients:
        asking = [clients.submit(ask) for _ in range(4)]
        try:
            for version in ("2", "3", "4"):
                served.kitchen.put(_deploy(case, version, *dictionaries[version]))
                served.wait(lambda shown, version=version: shown["model"]["version"] == version)
        finally:
            done.set()
        assert set().union(*(each.result() for each in asking)) == set(dictionaries)
    assert served.show_case()["labels"] == ["red", "green", "blue"]
    segments = list_segments(served.kitchen.home / "journal" / "fruit", "predictions")
    rows = [row for segment in segments for row in segment.rows() if row["version"] == "4"]
    assert rows and {row["label"] for row in rows} <= {"red", "green", "blue"}


def test_a_forecast_answers_for_the_words_that_were_packaged(served) -> None:
    (said,) = served.client.post("/fruit/forecast").json()["predictions"]
    assert (said["label"], said["note"]) == ("green", None)
