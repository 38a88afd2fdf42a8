"""The tests' own requests to a busy Prefect server: asked again while it is busy, and only then."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import SmallServer
from tests.flows.conftest import request_patiently


def test_a_busy_server_is_asked_again(small_server: SmallServer) -> None:
    small_server.tell("DELETE /runs/1", {"detail": "busy"}, status=503)
    small_server.tell("DELETE /runs/1", {"detail": "gone"})
    with httpx.Client(base_url=f"http://127.0.0.1:{small_server.port}") as client:
        answer = request_patiently(client, "DELETE", "/runs/1")
    assert answer.status_code == 200
    assert len(small_server.asked["DELETE /runs/1"]) == 2


@pytest.mark.parametrize("status", [200, 404, 500])
def test_any_other_answer_is_final(small_server: SmallServer, status: int) -> None:
    small_server.tell("DELETE /runs/1", {"detail": ""}, status=status)
    with httpx.Client(base_url=f"http://127.0.0.1:{small_server.port}") as client:
        assert request_patiently(client, "DELETE", "/runs/1").status_code == status
    assert len(small_server.asked["DELETE /runs/1"]) == 1
