"""Passwords of the engines, and the tickets with which a browser comes from our page."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from okawari.security import engine_access, secrets
from okawari.security.asgi import App, Message, Receive, Scope, Send
from okawari.security.engine_access import (
    RequirePassword,
    TicketSignIn,
    finish_with_cookie,
    finish_with_storage,
    make_auth_string,
    make_basic_header,
    make_entry,
)
from okawari.security.signed_text import sign_text, verify_text
from okawari.settings import load_settings

pytestmark = pytest.mark.fault


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OKAWARI_HOME", str(tmp_path))
    monkeypatch.delenv("OKAWARI_SECRET", raising=False)
    load_settings.cache_clear()
    secrets._read_or_make.cache_clear()
    yield
    load_settings.cache_clear()


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"in"})


def build(engine: str = "mlflow") -> App:
    inner = RequirePassword(_app, engine, lambda path: path == "/health")
    return TicketSignIn(inner, engine, finish_with_cookie(engine))


def get(app: App, address: str, **headers: str) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    parts = urlsplit(address)
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": parts.path,
        "query_string": parts.query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(app(scope, send, send))  # type: ignore[arg-type]
    return sent


def test_a_program_needs_the_password_of_the_engine() -> None:
    assert get(build(), "/api", authorization=make_basic_header("mlflow")["Authorization"])[0]["status"] == 200
    assert get(build(), "/api", authorization=make_basic_header("prefect")["Authorization"])[0]["status"] == 401
    guess = base64.b64encode(b"okawari:okawari").decode()
    for wrong in ("", "Basic", f"Basic {guess}", f"Bearer {guess}"):
        refused = get(build(), "/api", authorization=wrong)
        assert refused[0]["status"] == 401
        assert dict(refused[0]["headers"])[b"www-authenticate"].startswith(b"Basic")
    assert get(build(), "/health")[0]["status"] == 200


def test_a_browser_with_a_ticket_gets_a_cookie_and_then_passes() -> None:
    entry = make_entry("mlflow", "http://127.0.0.1:5000", "/#/models")
    start = get(build(), entry)[0]
    headers = dict(start["headers"])
    assert (start["status"], headers[b"location"]) == (303, b"/#/models")
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert get(build(), "/api", cookie=f"other=1; {cookie.partition(';')[0]}")[0]["status"] == 200


def test_a_browser_without_a_ticket_is_led_to_our_page() -> None:
    start, body = get(build(), "/models?name=a", accept="text/html")
    assert start["status"] == 401
    assert b"/open/mlflow?path=%2Fmodels%3Fname%3Da" in body["body"]


@pytest.mark.parametrize("ticket", ["", "mlflow.99999999999.00", "a.b.c", "é.9.é", "mlflow"])
def test_a_forged_ticket_is_refused(ticket: str) -> None:
    assert get(build(), f"/okawari/sign-in?ticket={ticket}&next=/")[0]["status"] == 401


def test_a_ticket_of_another_engine_or_of_yesterday_is_refused() -> None:
    other = make_entry("prefect", "http://127.0.0.1:5000", "/")
    assert get(build(), other)[0]["status"] == 401
    old = sign_text(engine_access._ticket_purpose("mlflow"), "mlflow", -1)
    assert get(build(), f"/okawari/sign-in?ticket={old}&next=/")[0]["status"] == 401


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nset-cookie: b"])
def test_a_sign_in_leads_to_no_other_site(path: str) -> None:
    start = get(build(), make_entry("mlflow", "http://127.0.0.1:5000", path))[0]
    assert dict(start["headers"])[b"location"] == b"/"


def test_the_page_of_prefect_finds_its_password_in_its_storage() -> None:
    app = TicketSignIn(_app, "prefect", finish_with_storage("prefect", "prefect-password"))
    start, body = get(app, make_entry("prefect", "http://127.0.0.1:4200", "/runs?x=</script><b>"))
    page = body["body"].decode()
    assert base64.b64encode(make_auth_string("prefect").encode()).decode() in page
    assert page.count("</script>") == 1  # the path cannot end the script
    assert b"nonce-" in dict(start["headers"])[b"content-security-policy"]


def test_a_signed_text_is_bound_to_its_purpose_text_and_expiry() -> None:
    signed = sign_text("session", "anna", 60)
    assert verify_text("session", signed) == "anna"
    assert verify_text("ticket", signed) is None
    assert verify_text("session", signed.replace("anna", "otto")) is None
    text, expiry, signature = signed.split(".")
    assert verify_text("session", f"{text}.{int(expiry) + 1}.{signature}") is None
    assert verify_text("session", sign_text("session", "anna", -1)) is None
