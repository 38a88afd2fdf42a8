"""The model store: putting is idempotent, pruning never takes what serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import bentoml
import pytest
import yaml

from bentos.deploy import prune, put
from bentos.model_store import list_entries, read_newest
from okawari.errors import InvalidInput
from okawari.storage.deployable import load_deployable

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
    digest = deployable.manifest.graph_sha256
    assert listed.labels == {"registry_version": "7", "graph_sha256": digest, "sequence": "1"}


def test_a_damaged_deployable_is_not_stored(kitchen, make_deployable):
    folder = kitchen.save(make_deployable("1"))
    (folder / "graph.onnx").write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="The signature in"):
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


# --- damage and clocks --------------------------------------------------------------------------------------------


@pytest.fixture
def stored(kitchen, make_deployable):
    """A deployable's folder that is stored, and its entry."""
    folder = kitchen.save(make_deployable("1"))
    put(folder)
    return folder, read_newest("aapl")


@pytest.mark.fault
@pytest.mark.parametrize("name", ["graph.onnx", "manifest.json", "golden.json", "recent.parquet", "model.yaml"])
def test_an_entry_with_a_flipped_byte_is_replaced(stored, name):
    folder, entry = stored
    content = bytearray((entry.path / name).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (entry.path / name).write_bytes(content)
    again = put(folder)
    assert again["added"] is True
    assert read_newest("aapl").tag == again["tag"] != entry.tag
    assert load_deployable(read_newest("aapl").path).manifest.version == "1"
    assert put(folder) == {"tag": again["tag"], "added": False}


@pytest.mark.fault
def test_an_entry_that_lost_a_file_is_replaced(stored):
    folder, entry = stored
    (entry.path / "golden.json").unlink()
    assert put(folder)["added"] is True


@pytest.mark.fault
@pytest.mark.parametrize("pointer", [b"", b"gone", b"../aapl", b"\xff\xfe", "folder", "missing"])
@pytest.mark.parametrize("wreck", ["empty", "odd name", "damaged"])
def test_a_damaged_pointer_beside_wreckage_is_written_again(stored, pointer, wreck):
    folder, entry = stored
    latest = entry.path.parent / "latest"
    latest.unlink()
    if pointer == "folder":
        latest.mkdir()
    elif pointer != "missing":
        latest.write_bytes(pointer)
    name = {"empty": "half", "odd name": "My Model (copy)", "damaged": "broken"}[wreck]
    (entry.path.parent / name).mkdir()
    if wreck != "empty":
        (entry.path.parent / name / "model.yaml").write_text("]")
    assert read_newest("aapl") is None
    again = put(folder)
    assert read_newest("aapl").tag == again["tag"] == str(bentoml.models.get("aapl:latest").tag)


@pytest.mark.fault
def test_a_case_whose_folder_was_deleted_is_stored_again(stored):
    folder, entry = stored
    shutil.rmtree(entry.path.parent)
    assert put(folder)["added"] is True
    assert read_newest("aapl") is not None


def set_a_day_ahead(path):
    """Make an item what it would be if the clock had been a day ahead while it was stored."""
    described = yaml.safe_load(path.read_text())
    ahead = datetime.fromisoformat(str(described["creation_time"])) + timedelta(days=1)
    path.write_text(yaml.safe_dump({**described, "creation_time": ahead}))


@pytest.mark.fault
def test_what_is_put_last_is_the_newest_even_if_the_clock_was_ahead_before(kitchen, make_deployable):
    first = kitchen.put(make_deployable("1", 1.1))
    set_a_day_ahead(read_newest("aapl").path / "model.yaml")
    assert list_entries("aapl")[0].created_at > datetime.now(UTC)
    second = kitchen.put(make_deployable("2", 1.2))
    assert read_newest("aapl").tag == second == str(bentoml.models.get("aapl:latest").tag)
    assert [each.entry.tag for each in list_entries("aapl")] == [second, first]
    third = kitchen.put(make_deployable("3", 1.3))
    assert prune("aapl", keep=2)["models"] == [first]
    assert {each.entry.tag for each in list_entries("aapl")} == {second, third}


@pytest.mark.fault
def test_a_put_that_was_killed_leaves_the_store_as_it_was(kitchen, make_deployable):
    tag = kitchen.put(make_deployable("1"))
    left = kitchen.bentoml_home / "okawari-tmp" / "killed" / "aapl" / "half"
    left.mkdir(parents=True)
    os.utime(kitchen.bentoml_home / "okawari-tmp" / "killed", (time.time() - 3600,) * 2)
    assert [each.entry.tag for each in list_entries("aapl")] == [tag]
    assert prune("aapl")["wreckage"] == 1
    assert not list((kitchen.bentoml_home / "okawari-tmp").iterdir())


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
