"""Hostile clients: whatever one of them sends, the others are answered, and the service has no 5xx of its own."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from benchmarks.hostile import KINDS
from bentos.connections import MAX_CONNECTIONS
from okawari.polling import poll

pytestmark = pytest.mark.fault

HEAD = (
    "POST /aapl/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
)


@pytest.fixture(scope="module")
def server(make_kitchen, make_deployable, serve):
    """A service of this file's own, as its tests count what is in its log."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    with serve(kitchen) as running:
        yield running


def connect(server) -> socket.socket:
    url = server.client.base_url
    return socket.create_connection((url.host, url.port), timeout=60)


@contextmanager
def connect_many(server, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server)) for _ in range(count)]


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def read_log(server) -> str:
    return (server.kitchen.home / "service.log").read_text()


# --- bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_the_worst_bodies_are_answered_and_the_others_too(server, records, kind):
    body = KINDS[kind]()
    with ThreadPoolExecutor(1) as attacker:
        attack = attacker.submit(server.client.post, "/aapl/predict", content=body)
        others = [server.predict(records).status_code for _ in range(20)]
        answer = attack.result()
    assert set(others) == {200}
    assert answer.status_code in ((200,) if "valid" in kind else (413, 422)), answer.text[:500]
    assert answer.status_code == 200 or len(answer.text) < 2000


@pytest.mark.heavy
def test_generated_requests_are_answered_as_the_api_describes(server, run_schemathesis):
    run_schemathesis(server, 20)


def test_a_large_request_is_answered_like_a_small_one(server, records):
    many = server.client.post("/aapl/predict", json={"instances": [records] * 40})
    one = server.predict(records).json()
    assert many.status_code == 200
    assert many.json()["predictions"] == one["predictions"] * 40
    assert many.json()["model"] == one["model"]
    broken = server.client.post("/aapl/predict", json={"instances": [*[records] * 39, records[:9]]})
    assert broken.status_code == 422
    assert broken.json()["error"] == "instances[39] has 9 records; it takes at least 60. Send more, oldest first."


def test_many_outcomes_are_recorded_and_one_that_was_not_issued_is_found(server, records):
    issued = server.predict(records).json()["id"]
    outcomes = [{"id": issued, "index": 0, "step": 1 + place % 5, "value": 400.0} for place in range(5000)]
    assert server.client.post("/aapl/outcomes", json={"outcomes": outcomes}).json() == {"accepted": 5000}
    before = len(server.read_journal("outcomes"))
    refused = server.client.post("/aapl/outcomes", json={"outcomes": [*outcomes, {**outcomes[0], "id": "a" * 40}]})
    assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["outcomes", 5000, "id"])
    assert len(server.read_journal("outcomes")) == before


def test_the_process_for_large_bodies_is_replaced_when_it_dies(server, records):
    large = {"instances": [records] * 40}
    assert server.client.post("/aapl/predict", json=large).status_code == 200
    (checker,) = find_checkers(server)
    os.kill(checker, signal.SIGKILL)
    poll(lambda: not find_checkers(server), every_s=0.05, timeout_s=30)
    assert server.client.post("/aapl/predict", json=large).status_code == 200
    assert find_checkers(server) not in ([], [checker])


def find_checkers(server) -> list[int]:
    """Process ids of the processes that check large bodies."""
    (worker,) = server.find_workers()
    children = Path(f"/proc/{worker}/task/{worker}/children").read_text().split()
    found = []
    for pid in children:
        try:
            if b"large_body_worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize("path", ["/{}/predict", "/aapl/{}"])
def test_a_long_name_is_not_repeated_whole(server, path):
    answer = server.client.post(path.format("x" * 40_000))
    assert answer.status_code == 404
    assert len(answer.text) < 400


def test_a_long_key_is_not_repeated_whole(server, records):
    answer = server.client.post("/aapl/predict", json={"instances": [[{**records[0], "k" * 40_000: 1}, *records[1:]]]})
    assert answer.status_code == 422
    assert len(answer.text) < 1000


def test_bodies_that_fill_the_memory_for_bodies_are_refused_and_small_ones_answered(server, records):
    size = 8 * 2**20 - 2**10
    with connect_many(server, 9) as connections:
        for connection in connections:
            connection.sendall(HEAD.format(size=size).encode() + b" " * (size - 1))
        refused, _, _ = select.select(connections, [], [], 9)
        heads = [connection.recv(65536).lower() for connection in refused]
        assert heads and all(head.startswith(b"http/1.1 503") and b"retry-after: 1\r\n" in head for head in heads)
        assert server.predict(records).status_code == 200


# --- slow and many connections ------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_slow_heads_and_bodies_hold_no_slot_and_end(server, records):
    """A hundred and fifty bodies and as many heads that never end, at one byte a second."""
    with connect_many(server, 300) as connections:
        heads, bodies = connections[:150], connections[150:]
        for connection in bodies:
            connection.sendall(HEAD.format(size=1000).encode())
        statuses = []
        for second in range(6):
            for connection in heads:
                connection.sendall(HEAD[second].encode())
            for connection in bodies:
                connection.sendall(b" ")
            started = time.monotonic()
            while time.monotonic() - started < 1:
                statuses.append(server.predict(records).status_code)
        assert set(statuses) == {200}
        assert all(b" 408 " in read_all(connection).split(b"\r\n")[0] for connection in bodies)
        assert [read_all(connection) for connection in heads] == [b""] * 150
    assert read_log(server).count("Traceback") == 0


def test_connections_over_the_limit_close_the_oldest_that_send_nothing(server, records):
    with connect_many(server, MAX_CONNECTIONS + 50) as connections:
        assert [server.predict(records).status_code for _ in range(5)] == [200] * 5
        assert read_all(connections[0]) == b""


def test_a_head_without_end_is_refused(server):
    with connect(server) as connection:
        connection.sendall(b"GET /cases HTTP/1.1\r\n")
        try:
            for number in range(2000):
                connection.sendall(f"x-{number}: {'y' * 1000}\r\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            return
        assert read_all(connection).split(b"\r\n")[0] in (b"", b"HTTP/1.1 431 Refused")


@pytest.mark.heavy
def test_ten_times_the_capacity_is_answered_or_told_when_to_come_back(server, records):
    async def flood() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=server.client.base_url, timeout=60, limits=limits) as client:
            body = {"instances": [records]}
            return await asyncio.gather(*(client.post("/aapl/predict", json=body) for _ in range(1280)))

    answers = asyncio.run(flood())
    assert {answer.status_code for answer in answers} <= {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(answer.headers["retry-after"] == "1" and answer.json()["error"] for answer in refused)
    assert server.predict(records).status_code == 200


def test_an_aborted_upload_is_one_line_in_the_log(server, records):
    for _ in range(5):
        with connect(server) as connection:
            connection.sendall(HEAD.format(size=100_000).replace("predict", "outcomes").encode() + b" " * 70_000)
            connection.shutdown(socket.SHUT_WR)
            read_all(connection)  # until the service has taken all of it

    def find_lines() -> list[str] | None:
        lines = [line for line in read_log(server).splitlines() if "/aapl/outcomes" in line]
        return lines if len(lines) >= 5 else None

    lines = poll(find_lines, every_s=0.1, timeout_s=30)
    assert lines is not None and len(lines) == 5
    assert all("The client ended the connection before its body was complete" in line for line in lines)
    assert "Traceback" not in read_log(server)
    assert server.predict(records).status_code == 200
