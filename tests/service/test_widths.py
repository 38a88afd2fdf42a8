"""Intervals follow a signed width factor while they are served; an altered one changes nothing."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import httpx
import numpy as np
import pytest

from okawari.storage.width_factors import WidthFactor, find_factor_file, save_factor


@pytest.fixture(scope="module")
def server(make_kitchen, make_deployable, serve):
    """A service of this file's own, as its tests change its widths; it begins with version 1."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    with serve(kitchen) as running:
        yield running


@pytest.fixture
def factor(make_deployable) -> WidthFactor:
    graph_sha256 = make_deployable("1", 1.01).manifest.graph_sha256
    return WidthFactor(
        case="aapl", version="1", graph_sha256=graph_sha256, number=1, factor_H=(2.0, 2.0, 3.0, 1.0, 0.5),
        n_outcomes_H=(40, 39, 38, 37, 36),
    )  # fmt: skip


def _save(server, factor: WidthFactor) -> None:
    with server.kitchen.settings():
        assert save_factor(factor)


def _measure_halves(answer: dict) -> np.ndarray:
    """Half widths in logarithms, as the graph has them."""
    (one,) = answer["predictions"]
    return np.log(np.array(one["interval"]["upper"]) / np.array(one["mean"]))


def test_a_factor_is_swapped_in_under_load_and_named_in_every_answer(server, records, factor):
    calibrated = server.predict(records).json()
    assert calibrated["model"]["interval_version"] is None
    own = _measure_halves(calibrated)
    np.testing.assert_allclose(own, np.linspace(0.02, 0.06, 5), rtol=1e-6)
    done, seen = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=20) as client:
            while not done.is_set():
                answer = client.post("/aapl/predict", json={"instances": [records]})
                assert answer.status_code == 200, answer.text
                said = answer.json()
                name = said["model"]["interval_version"]
                seen.append(name)
                wide = own if name is None else own * np.array(factor.factor_H)
                np.testing.assert_allclose(_measure_halves(said), wide, rtol=1e-6)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        _save(server, factor)
        server.wait(lambda shown: shown["model"]["interval_version"] == "1.1")
        time.sleep(0.2)  # some more answers by the new widths
    finally:
        done.set()
        asking.join()
    assert seen[0] is None and seen[-1] == "1.1" and seen == sorted(seen, key=str, reverse=True)
    row = server.read_journal("predictions")[-1]
    assert (row["interval_version"], row["width_factor"], row["version"]) == ("1.1", list(factor.factor_H), "1")


@pytest.mark.fault
def test_an_altered_factor_is_refused_and_the_last_good_one_stays(server, records, factor):
    _save(server, replace(factor, number=2, factor_H=(1.5,) * 5))
    server.wait(lambda shown: shown["model"]["interval_version"] == "1.2")
    before = server.predict(records).json()
    with server.kitchen.settings():
        file = find_factor_file("aapl", "1")
    good = file.read_text()
    told = json.loads(good)
    file.write_text(json.dumps({**told, "content": told["content"].replace("1.5", "7.5")}))
    shown = server.wait(lambda shown: shown["interval_refused"] is not None)
    assert "does not fit its content" in shown["interval_refused"]
    after = server.predict(records).json()
    assert after["model"] == before["model"]
    np.testing.assert_array_equal(_measure_halves(after), _measure_halves(before))
    file.write_text(good)
    server.wait(lambda shown: shown["interval_refused"] is None)
    _save(server, replace(factor, number=1, factor_H=(1.1,) * 5))  # an older one, signed
    shown = server.wait(lambda shown: shown["interval_refused"] is not None)
    assert "older than 1.2, which are used" in shown["interval_refused"]


def test_a_new_model_starts_with_calibrated_widths_and_an_older_one_gets_its_own_back(
    server, records, factor, make_deployable
):
    _save(server, replace(factor, number=3))
    server.wait(lambda shown: shown["model"]["interval_version"] == "1.3")
    server.kitchen.put(make_deployable("2", 1.02))
    server.wait(lambda shown: shown["model"]["version"] == "2")
    answer = server.predict(records).json()
    assert answer["model"]["interval_version"] is None
    np.testing.assert_allclose(_measure_halves(answer), np.linspace(0.02, 0.06, 5), rtol=1e-6)
    server.kitchen.put(make_deployable("1", 1.01))
    server.wait(lambda shown: shown["model"]["interval_version"] == "1.3")


def test_a_factor_for_a_model_without_intervals_is_refused(server, records, factor, make_deployable):
    plain = make_deployable("3", 1.01, interval=False)
    server.kitchen.put(plain)
    server.wait(lambda shown: shown["model"]["version"] == "3")
    _save(server, replace(factor, version="3", graph_sha256=plain.manifest.graph_sha256))
    shown = server.wait(lambda shown: shown["interval_refused"] is not None)
    assert "has 5 factors; the graph takes 0" in shown["interval_refused"]
    assert server.predict(records).json()["predictions"][0]["interval"] is None
