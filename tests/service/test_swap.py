"""A new model takes over without a failed request; a bad one never does."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import bentoml
import httpx
import pytest

from okawari.polling import retry_for

N_SWAPS, N_CLIENTS = 6, 4


@pytest.fixture(scope="module")
def server(make_kitchen, make_deployable, serve):
    """A service of this file's own, as its tests deploy to it; it begins with version 1."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    with serve(kitchen) as running:
        yield running


def test_without_a_model_the_service_says_what_to_do_and_then_picks_the_first_one_up(
    empty_server, records, make_deployable
):
    server = empty_server
    for answer in (server.predict(records), server.client.post("/aapl/forecast")):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "10"
        assert answer.json()["error"] == "Case aapl has no model yet; make one with: okawari run aapl."
    assert server.client.get("/readyz").status_code == 200
    assert server.show_case()["ready"] is False
    server.kitchen.put(make_deployable("1", interval=False))
    server.wait(lambda shown: shown["ready"])
    (said,) = server.predict(records).json()["predictions"]
    assert (said["interval"], said["note"]) == (None, "This model has no calibrated interval.")


def test_swaps_under_load_fail_no_request_and_no_answer_names_another_model_than_its_own(
    server, records, make_deployable
):
    factors = {str(version): 1 + version / 100 for version in range(1, N_SWAPS + 2)}
    done = threading.Event()

    def ask() -> list[str]:
        versions = []
        with httpx.Client(base_url=server.client.base_url, timeout=20) as client:
            while not done.is_set():
                answer = client.post("/aapl/predict", json={"instances": [records] * 3})
                assert answer.status_code == 200, answer.text
                said = answer.json()
                versions.append(said["model"]["version"])
                for one in said["predictions"]:
                    assert abs(one["mean"][0] / one["level"] - factors[versions[-1]]) < 1e-4
        return versions

    with ThreadPoolExecutor(N_CLIENTS) as clients:
        asking = [clients.submit(ask) for _ in range(N_CLIENTS)]
        try:
            for version in list(factors)[1:]:
                server.kitchen.put(make_deployable(version, factors[version]))
                server.wait(lambda shown, version=version: shown["model"]["version"] == version)
        finally:
            done.set()
        seen = [each.result() for each in asking]
    assert all(versions == sorted(versions, key=int) for versions in seen)
    assert set().union(*seen) == set(factors)


def test_an_older_version_put_again_serves_again_and_the_newer_stays_at_hand(server, make_deployable):
    before = server.show_case()["model"]["version"]
    server.kitchen.put(make_deployable("1", 1.01))
    shown = server.wait(lambda shown: shown["model"]["version"] == "1")
    assert shown["previous"]["version"] == before


def corrupt(server, deployable) -> str:
    """Store a deployable whose graph was damaged on its way, past the check of `put`."""
    folder = server.kitchen.save(deployable)
    graph = folder / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")
    return store_raw(folder)


def store_raw(folder: Path) -> str:
    with bentoml.models.create("aapl") as model:
        shutil.copytree(folder, model.path, dirs_exist_ok=True)
    return str(model.tag)


@pytest.mark.fault
def test_a_forged_deployable_is_refused_even_if_its_digests_fit(server, records, make_deployable, make_kitchen):
    serving = server.show_case()["model"]
    forged = make_deployable("777", 9.99)
    folder = make_kitchen().save(replace(forged, manifest=replace(forged.manifest, candidate="EVIL")))
    with server.kitchen.stores():
        tag = store_raw(folder)
    shown = server.wait(lambda shown: tag in (shown["refused"] or ""))
    assert "only unchanged deployables of this installation are served" in shown["refused"]
    assert server.predict(records).json()["model"] == serving == shown["model"]


def test_a_deployable_that_fails_a_check_is_refused_with_the_reason_and_the_old_one_serves(
    server, records, make_deployable, give_wrong_golden, serve
):
    serving = server.show_case()["model"]
    with server.kitchen.stores():
        tag = corrupt(server, make_deployable("66", 1.66))
    shown = server.wait(lambda shown: tag in (shown["refused"] or ""))
    assert shown["refused"].startswith(f"{tag} is refused: The signature in ")
    tag = server.kitchen.put(give_wrong_golden("67"))
    shown = server.wait(lambda shown: tag in (shown["refused"] or ""))
    assert "Its answer to the golden question is" in shown["refused"]
    assert server.predict(records).json()["model"] == serving == shown["model"]
    with serve(server.kitchen) as second:  # and a service that starts now falls back to the newest good one
        assert second.show_case()["model"] == serving
        assert tag in second.show_case()["refused"]
    server.kitchen.put(make_deployable("68", 1.2))
    shown = server.wait(lambda shown: shown["model"]["version"] == "68")
    assert shown["refused"] is None


def test_an_entry_that_is_still_being_written_is_not_looked_at(server):
    before = server.show_case()
    store = server.kitchen.bentoml_home / "models" / "aapl"
    pointer = store / "latest"
    version = pointer.read_text()
    (store / "half").mkdir()
    try:
        for torn in ("", "half", "gone"):
            pointer.write_text(torn)
            time.sleep(0.8)
            assert server.show_case() == before
    finally:
        pointer.write_text(version)


def test_a_killed_worker_comes_back_with_the_same_model_and_loses_no_journal(server, records):
    answered = server.predict(records).json()
    (worker,) = server.find_workers()
    os.kill(worker, signal.SIGKILL)
    again = retry_for(lambda: server.predict(records), errors=(httpx.TransportError,), every_s=0.1, timeout_s=30)
    assert again.json()["model"] == answered["model"]
    assert server.find_workers() != [worker]
    journaled = {row["id"] for row in server.read_journal("predictions")}
    assert {answered["id"], again.json()["id"]} <= journaled


@pytest.fixture
def stored(make_kitchen, make_deployable):
    """An installation with one entry, its folder, and what was stored."""
    kitchen, deployable = make_kitchen(), make_deployable("1", 1.01)
    kitchen.put(deployable)
    return kitchen, next((kitchen.bentoml_home / "models" / "aapl").glob("*/")), deployable


@pytest.mark.fault
def test_a_service_that_starts_on_a_flipped_byte_serves_nothing_until_the_same_version_is_put_again(
    stored, records, serve
):
    kitchen, entry, deployable = stored
    graph = entry / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")
    with serve(kitchen) as server:
        assert server.predict(records).status_code == 503
        assert "signature" in server.show_case()["refused"]
        kitchen.put(deployable)
        shown = server.wait(lambda shown: shown["ready"])
        assert (shown["model"]["graph_sha256"], shown["refused"]) == (deployable.manifest.graph_sha256, None)


@pytest.mark.fault
def test_a_service_that_starts_without_a_pointer_serves_the_newest_entry_and_says_so(stored, records, serve):
    kitchen, entry, deployable = stored
    (entry.parent / "latest").write_text("gone")
    (entry.parent / "half").mkdir()
    with serve(kitchen) as server:
        assert server.predict(records).json()["model"]["version"] == "1"
        assert "Package the version again" in server.show_case()["refused"]
        kitchen.put(deployable)
        server.wait(lambda shown: shown["refused"] is None)
