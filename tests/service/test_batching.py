"""Requests that come together are answered together, and each as if it had come alone."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

N_CLIENTS, N_ROUNDS = 12, 10


def scale(records, factor):
    return [
        {name: value if name in ("date", "volume") else factor * value for name, value in r.items()} for r in records
    ]


def read_batches(server) -> tuple[float, float]:
    """How many batches ran so far, and how many windows were in them."""
    text = server.client.get("/metrics").text
    found = [re.search(rf'okawari_batch_windows_{part}{{case="aapl"}} (\S+)', text) for part in ("count", "sum")]
    return tuple(float(match[1]) if match else 0.0 for match in found)  # type: ignore[return-value]


def test_batches_form_and_no_answer_gets_mixed_up(server, records):
    def ask(client: int) -> list[float]:
        mine = scale(records, 1 + client)
        answers = [server.predict(mine) for _ in range(N_ROUNDS)]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.json()["predictions"][0]["mean"][0] for answer in answers]

    n_batches, n_windows = read_batches(server)
    with ThreadPoolExecutor(N_CLIENTS) as clients:
        asked = list(clients.map(ask, range(N_CLIENTS)))
    n_batches, n_windows = read_batches(server)[0] - n_batches, read_batches(server)[1] - n_windows
    assert n_windows == N_CLIENTS * N_ROUNDS
    assert n_batches < n_windows, "every window was answered alone"
    for client, answers in enumerate(asked):
        assert answers == pytest.approx([1.01 * records[-1]["close"] * (1 + client)] * N_ROUNDS, rel=1e-5)


def test_a_large_request_is_answered_whole_by_the_same_numbers(server, records):
    answer = server.client.post("/aapl/predict", json={"instances": [records] * 100})
    assert answer.status_code == 200
    assert len({tuple(said["mean"]) for said in answer.json()["predictions"]}) == 1


def test_overload_is_turned_away_with_the_time_to_come_back(server, records):
    """Twice as many requests at once as may be in progress: some are turned away, none fails otherwise."""

    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.client.base_url, timeout=30, limits=limits) as client:
            body = {"instances": [records] * 5}
            return await asyncio.gather(*(client.post("/aapl/predict", json=body) for _ in range(256)))

    answers = asyncio.run(flood())
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert "again in a second" in refused[0].json()["error"]
    assert server.predict(records).status_code == 200
