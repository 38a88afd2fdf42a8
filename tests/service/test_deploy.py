"""The model store: putting is idempotent, pruning never takes what serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import bentoml
import pytest

from bentos.deploy import prune, put
from bentos.model_store import list_entries, read_newest
from okawari.errors import InvalidInput

HEAVY = ("torch", "mlflow", "prefect", "evidently", "statsmodels", "gradio", "optuna", "keras", "sklearn", "deltalake")


def test_putting_the_newest_version_again_adds_nothing(kitchen, make_deployable):
    folder = kitchen.save(make_deployable("1"))
    first, second = put(folder), put(folder)
    assert (first["added"], second) == (True, {"tag": first["tag"], "added": False})
    assert len(list_entries("aapl")) == 1


def test_putting_an_older_version_again_makes_it_the_newest(kitchen, make_deployable):
    old, new = kitchen.save(make_deployable("1", 1.1)), kitchen.save(make_deployable("2", 1.2))
    tags = [put(folder)["tag"] for folder in (old, new, old)]
    assert len(set(tags)) == 3
    assert read_newest("aapl").tag == tags[-1]
    assert [each.labels["registry_version"] for each in list_entries("aapl")] == ["1", "2", "1"]


def test_a_stored_entry_carries_version_and_digest_as_labels(kitchen, make_deployable):
    deployable = make_deployable("7")
    kitchen.put(deployable)
    (listed,) = list_entries("aapl")
    assert listed.labels == {"registry_version": "7", "graph_sha256": deployable.manifest.graph_sha256}


def test_a_damaged_deployable_is_not_stored(kitchen, make_deployable):
    folder = kitchen.save(make_deployable("1"))
    (folder / "graph.onnx").write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="The signature of"):
        put(folder)
    assert list_entries("aapl") == []


def test_pruning_keeps_the_newest(kitchen, make_deployable):
    tags = [kitchen.put(make_deployable(str(version), 1 + version / 100)) for version in range(4)]
    assert sorted(prune("aapl", keep=2)["models"]) == sorted(tags[:2])
    assert [each.entry.tag for each in list_entries("aapl")] == tags[:1:-1]
    assert read_newest("aapl").tag == tags[-1]


def test_pruning_keeps_the_one_that_serves_when_all_newer_ones_are_refused(kitchen, make_deployable, give_wrong_golden):
    good = kitchen.put(make_deployable("1"))
    for version in ("2", "3"):
        kitchen.put(give_wrong_golden(version))
    prune("aapl", keep=1)
    assert {each.entry.tag for each in list_entries("aapl")} == {good, read_newest("aapl").tag}


def test_pruning_clears_torn_entries_but_not_one_being_written(kitchen, make_deployable):
    kitchen.put(make_deployable("1"))
    store = kitchen.bentoml_home / "models" / "aapl"
    for name, age_s in (("torn", 3600), ("fresh", 0)):
        (store / name).mkdir()
        os.utime(store / name, (time.time() - age_s,) * 2)
    assert prune("aapl")["wreckage"] == 1
    assert ((store / "torn").exists(), (store / "fresh").exists()) == (False, True)
    shutil.rmtree(store / "fresh")


def test_nothing_is_kept_is_refused(kitchen):
    with pytest.raises(InvalidInput, match="keep at least 1"):
        prune("aapl", keep=0)


def test_the_command_puts_into_the_store_of_the_settings(kitchen, make_deployable, deploy_command):
    folder = kitchen.save(make_deployable("1"))
    first, second = deploy_command(kitchen, "put", str(folder)), deploy_command(kitchen, "put", str(folder))
    assert first["tag"] == second["tag"] == str(bentoml.models.get("aapl:latest").tag)
    assert [entry["tag"] for entry in deploy_command(kitchen, "list", "aapl")["entries"]] == [first["tag"]]


def test_importing_the_service_imports_nothing_that_only_training_needs(kitchen):
    script = f"import bentos.service, json, sys; print(json.dumps([n for n in {HEAVY} if n in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=kitchen.environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout) == []
