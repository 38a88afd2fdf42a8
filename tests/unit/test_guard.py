"""The outermost layer of every server: own pages and programs pass, other web sites do not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.security.asgi import Message, Receive, Scope, Send
from okawari.security.guard import Guard
from okawari.security.origins import Names
from okawari.settings import Settings

pytestmark = pytest.mark.fault
HERE = "127.0.0.1:3000"


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """A server that lets everyone in, as Prefect's does."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.accept"})
    headers = [(b"access-control-allow-origin", b"*"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"in"})


def request(
    headers: dict[str, str], *, method: str = "GET", kind: str = "http", settings: Settings | None = None
) -> list[Message]:
    """What the guard sends for one request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    given = {"host": HERE, **headers}
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": "/runs",
        "query_string": b"a=1&b=<i>",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }
    asyncio.run(Guard(_app, Names.of(settings or Settings(host="127.0.0.1")))(scope, receive, send))
    return sent


def status(headers: dict[str, str], **options: Any) -> int:
    return int(request(headers, **options)[0]["status"])


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 200),  # a program
        ({"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}, 200),  # our own page
        ({"origin": "http://127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1:8888"}, 403),  # another server on this machine
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "file://"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "anything"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:3000"}, 421),
        ({"host": ""}, 421),
        ({"host": "10.0.0.7:3000"}, 421),
        ({"host": "localhost:3000"}, 200),
        ({"host": "LOCALHOST:3000"}, 200),
        ({"host": "[::1]:3000"}, 200),
    ],
)
def test_a_request_of_another_site_is_refused_whatever_its_method(
    method: str, headers: dict[str, str], expected: int
) -> None:
    assert status(headers, method=method) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [({}, 200), ({"sec-fetch-dest": "iframe"}, 403), ({"sec-fetch-mode": "no-cors"}, 403)],
)
def test_our_other_pages_may_open_this_one_but_not_embed_or_load_it(change: dict[str, str], expected: int) -> None:
    visit = {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert status({**visit, **change}) == expected
    assert status({**visit, **change}, method="POST") == 403


def test_a_socket_of_another_site_is_closed_before_it_is_accepted() -> None:
    assert [each["type"] for each in request({}, kind="websocket")] == ["websocket.accept"]
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        assert [each["type"] for each in request(headers, kind="websocket")] == ["websocket.close"]


def test_permissions_for_other_sites_are_dropped_and_frames_forbidden() -> None:
    headers = dict(request({})[0]["headers"])
    assert not [name for name in headers if name.startswith(b"access-control")]
    assert headers[b"x-frame-options"] == b"SAMEORIGIN" and b"frame-ancestors" in headers[b"content-security-policy"]


def test_a_person_who_followed_a_link_gets_a_page_that_leads_on() -> None:
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "accept": "text/html"}
    start, body = request(visit)
    assert start["status"] == 403
    assert b'<a href="/runs?a=1&amp;b=&lt;i&gt;">' in body["body"]


def test_a_name_of_a_proxy_is_allowed_with_its_port() -> None:
    settings = Settings(host="127.0.0.1", allowed_hosts="models.example.org, Ops.example.org:8443")
    proxied = {"host": "models.example.org", "origin": "https://models.example.org"}
    assert status(proxied, settings=settings) == 200
    assert status({**proxied, "origin": "https://models.example.org:444"}, settings=settings) == 403
    assert status({"host": "ops.example.org", "origin": "https://ops.example.org:8443"}, settings=settings) == 200
    assert status({"host": "other.example.org"}, settings=settings) == 421


def test_a_server_on_every_address_answers_to_numbers_but_not_to_names() -> None:
    settings = Settings(host="0.0.0.0")
    assert status({"host": "10.0.0.7:3000"}, settings=settings) == 200
    assert status({"host": "[fe80::1]:3000"}, settings=settings) == 200
    assert status({"host": "evil.example:3000"}, settings=settings) == 421


def test_two_hosts_are_no_host() -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b""}
    scope["headers"] = [(b"host", HERE.encode()), (b"host", b"evil.example")]
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(_app, Names.of(Settings(host="127.0.0.1")))(scope, send, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 421


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
def test_no_origin_but_the_own_one_passes_and_none_breaks_the_guard(origin: str) -> None:
    expected = 200 if origin.lower() in (f"http://{HERE}",) else 403
    assert status({"origin": origin}) == expected


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
def test_no_host_breaks_the_guard(host: str) -> None:
    assert status({"host": host}) in (200, 421)
