"""The service with API keys: every route of the running server, with every kind of key."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from okawari.clients.prediction_service import AccessDenied, Client
from okawari.security.api_keys import KeyScope, create_key, find_keys_file, load_keys, revoke_key
from okawari.settings import load_settings
from tests.service.conftest import ROOT, Kitchen, MakeDeployable, Records, Server

pytestmark = pytest.mark.fault

OPEN = ("/healthz", "/livez", "/readyz", "/static_content/swagger-ui.css")
READ = ("/", "/cases", "/docs", "/docs.json", "/openapi.json", "/metrics", "/schema.json", "/nowhere", "/aapl/predict")
PREDICT = ("/aapl/predict", "/aapl/forecast", "/aapl/nothing", "/nocase/predict", "/predict")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
_NOTICED_S = 2.0


@dataclass(frozen=True)
class Locked:
    """A running service that needs keys, and a token of each kind by name."""

    server: Server
    tokens: dict[str, str]

    def send(self, method: str, path: str, kind: str = "", **options: object) -> httpx.Response:
        """Send a request with the key of a kind; without one for an empty name."""
        headers = {"Authorization": f"Bearer {self.tokens[kind]}"} if kind else {}
        return self.server.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]


@contextmanager
def at_home(kitchen: Kitchen) -> Iterator[None]:
    """Work on the keys of an installation in this process."""
    with patch.dict(os.environ, {"OKAWARI_HOME": str(kitchen.home)}):
        load_settings.cache_clear()
        yield
    load_settings.cache_clear()


@pytest.fixture(scope="module")
def locked(
    make_kitchen: Callable[[], Kitchen],
    make_deployable: MakeDeployable,
    serve: Callable[..., AbstractContextManager[Server]],
) -> Iterator[Locked]:
    """A service with one model and a key of each scope, an expired and a revoked one."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    with at_home(kitchen):
        tokens = {scope.value: create_key(f"{scope}-key", [scope])[1] for scope in KeyScope}
        tokens["expired"] = create_key("expired-key", [KeyScope.ADMIN], timedelta(seconds=-1))[1]
        tokens["revoked"] = create_key("revoked-key", [KeyScope.ADMIN])[1]
        revoke_key("revoked-key")
    tokens["unknown"] = f"okw_00000000_{'x' * 43}"
    with serve(kitchen) as server:
        yield Locked(server, tokens)


def test_health_and_static_files_are_open_to_readers_only(locked: Locked) -> None:
    for path in OPEN:
        assert locked.send("GET", path).status_code == 200, path
        for method in METHODS[2:]:
            assert locked.send(method, path).status_code == 401, (method, path)


@pytest.fixture(scope="module")
def paths(locked: Locked) -> list[str]:
    """The paths of every route of the service that is not open, and some that are none."""
    listed = subprocess.run(
        [sys.executable, "-m", "tests.routes", "service"],
        cwd=ROOT,
        env=locked.server.kitchen.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = {path for _, path in json.loads(listed.stdout.splitlines()[-1])}
    assert {"/aapl/predict", "/metrics", "/docs.json"} <= found
    return sorted({*found, *READ, *PREDICT} - {*OPEN})


@pytest.mark.parametrize("kind", ["", "unknown", "expired", "revoked"])
def test_every_route_refuses_a_request_without_a_key_in_force(kind: str, locked: Locked, paths: list[str]) -> None:
    for path in paths:
        for method in METHODS:
            refused = locked.send(method, path, kind)
            assert refused.status_code == 401, (method, path)
            assert refused.headers["WWW-Authenticate"].startswith("Bearer"), (method, path)
            if method != "HEAD":
                body = refused.json()
                assert body["error"].endswith(".") and body["detail"] == [], (method, path)


@pytest.mark.parametrize(
    ("method", "paths", "needed"),
    [
        ("GET", READ, "read"),
        ("HEAD", READ, "read"),
        ("POST", PREDICT, "predict"),
        ("POST", ("/aapl/outcomes",), "outcomes"),
    ],
)
def test_every_route_needs_its_scope(method: str, paths: tuple[str, ...], needed: str, locked: Locked) -> None:
    for path in paths:
        for kind in ("predict", "outcomes", "read", "admin"):
            reply = locked.send(method, path, kind, follow_redirects=False)
            if kind in (needed, "admin"):
                assert reply.status_code not in (401, 403) and reply.status_code < 500, (path, kind)
            else:
                assert reply.status_code == 403, (path, kind)
                assert method == "HEAD" or f"this request needs {needed}" in reply.json()["error"]


def test_a_refusal_comes_before_the_body_is_sent(locked: Locked) -> None:
    """A client that announces 8 MB and sends nothing is refused at once."""
    url = locked.server.client.base_url
    announced = f"POST /aapl/predict HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 8000000\r\n\r\n"
    with socket.create_connection((url.host, url.port), timeout=20) as raw:
        raw.sendall(announced.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 401")


def test_a_key_predicts_and_sends_outcomes(locked: Locked, records: Records) -> None:
    answer = locked.send("POST", "/aapl/predict", "predict", json={"instances": [records]})
    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 1


def test_new_and_revoked_keys_count_while_the_service_runs(locked: Locked) -> None:
    with at_home(locked.server.kitchen):
        _, token = create_key("late", [KeyScope.READ])
        ask = {"url": "/cases", "headers": {"Authorization": f"Bearer {token}"}}
        time.sleep(_NOTICED_S)
        assert locked.server.client.get(**ask).status_code == 200  # type: ignore[arg-type]
        revoke_key("late")
        time.sleep(_NOTICED_S)
        refused = locked.server.client.get(**ask)  # type: ignore[arg-type]
        assert refused.status_code == 401 and "was revoked" in refused.json()["error"]


def test_the_last_use_is_recorded_and_no_token_is_in_a_file(locked: Locked) -> None:
    assert locked.send("GET", "/cases", "read").status_code == 200
    with at_home(locked.server.kitchen):
        used = {key.name: key.used_at for key in load_keys()}
        folder = find_keys_file().parent
    assert used["read-key"] is not None and used["expired-key"] is None
    written = b"".join(file.read_bytes() for file in [*folder.iterdir(), locked.server.kitchen.home / "service.log"])
    assert not any(token.rsplit("_", 1)[-1].encode() in written for token in locked.tokens.values())


def test_our_own_clients_need_no_configuration(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    url = locked.server.client.base_url
    monkeypatch.setenv("OKAWARI_SERVICE_PORT", str(url.port))
    with at_home(locked.server.kitchen), Client() as client:
        assert client.forecast("aapl").model.version == "1"


def test_a_client_sends_the_key_it_is_given_and_says_what_is_missing(
    locked: Locked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(locked.server.client.base_url)
    monkeypatch.setenv("OKAWARI_HOME", str(tmp_path))
    load_settings.cache_clear()
    with Client(url, api_key=locked.tokens["predict"]) as client:
        assert client.forecast("aapl").model.version == "1"
        with pytest.raises(AccessDenied, match="this request needs read"):
            client.cases()
    with Client(url) as client, pytest.raises(AccessDenied, match="OKAWARI_API_KEY"):
        client.cases()
    monkeypatch.setenv("OKAWARI_SERVICE_URL", url)
    monkeypatch.setenv("OKAWARI_API_KEY", locked.tokens["read"])
    load_settings.cache_clear()
    with Client() as client:
        assert [case.name for case in client.cases()] == ["aapl"]
    load_settings.cache_clear()
