"""Access to the engines (Prefect, MLflow): programs send a password, a browser comes with a ticket from our page.

Each engine has a password of its own, derived from the installation's secret. Our page needs no account: its link
`/open/<engine>` makes a ticket that is valid for a minute, and `/okawari/sign-in` on the engine's server turns it into
what that engine's page needs: a cookie (MLflow) or the password in the page's storage (Prefect).
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import parse_qs, quote

from okawari.security.asgi import (
    App,
    Receive,
    Scope,
    Send,
    accepts_html,
    answer,
    answer_page,
    read_cookie,
    read_header,
    refuse,
)
from okawari.security.pages import write_page
from okawari.security.secrets import derive_password
from okawari.security.signed_text import sign_text, verify_text
from okawari.settings import load_settings

USER = "okawari"
SIGN_IN = "/okawari/sign-in"
_TICKET_S, _SESSION_S = 60.0, 12 * 3600.0


def make_auth_string(engine: str) -> str:
    """User and password of an engine, as `user:password`."""
    return f"{USER}:{derive_password(engine)}"


def make_basic_header(engine: str) -> dict[str, str]:
    """The `Authorization` header that an engine's server accepts."""
    return {"Authorization": f"Basic {_encode(engine)}"}


def make_entry(engine: str, base: str, path: str) -> str:
    """Address on an engine's server that signs a browser in and then opens `path`; it is valid for a minute."""
    ticket = sign_text(_ticket_purpose(engine), engine, _TICKET_S)
    return f"{base}{SIGN_IN}?ticket={ticket}&next={quote(keep_local(path), safe='')}"


def keep_local(path: str) -> str:
    """A path on the same server; "/" for anything that a browser could read as another address.

    >>> keep_local("/runs/1"), keep_local("//evil.example"), keep_local("https://evil.example")
    ('/runs/1', '/', '/')
    """
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"


Finish = Callable[[Send, str], Awaitable[None]]


class TicketSignIn:
    """Answers `/okawari/sign-in` on an engine's server; every other request passes.

    Args:
        app: the server.
        engine: "prefect" or "mlflow".
        finish: answers a sign-in with a valid ticket, and opens the given path.
    """

    def __init__(self, app: App, engine: str, finish: Finish) -> None:
        self._app, self._engine, self._finish = app, engine, finish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the ticket of a sign-in."""
        if scope["type"] != "http" or scope["path"] != SIGN_IN:
            return await self._app(scope, receive, send)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        ticket, path = query.get("ticket", [""])[0], keep_local(query.get("next", ["/"])[0])
        if verify_text(_ticket_purpose(self._engine), ticket) is None:
            return await refuse_visitor(scope, send, self._engine, path)
        await self._finish(send, path)


class RequirePassword:
    """Passes requests with the engine's password or a session's cookie; refuses others with 401.

    Args:
        app: the server.
        engine: its name.
        is_open: whether a path needs no password.
    """

    def __init__(self, app: App, engine: str, is_open: Callable[[str], bool]) -> None:
        self._app, self._engine, self._is_open = app, engine, is_open
        self._expected = make_basic_header(engine)["Authorization"].encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check the password, then pass the request on."""
        if scope["type"] not in ("http", "websocket") or self._is_open(scope["path"]) or self._knows(scope):
            return await self._app(scope, receive, send)
        query = scope["query_string"].decode("latin-1")
        await refuse_visitor(scope, send, self._engine, scope["path"] + (f"?{query}" if query else ""))

    def _knows(self, scope: Scope) -> bool:
        sent = read_header(scope, b"authorization").encode("latin-1")
        session = read_cookie(scope, _cookie_name(self._engine))
        return hmac.compare_digest(sent, self._expected) or verify_text(_session_purpose(self._engine), session) == USER


def finish_with_cookie(engine: str) -> Finish:
    """Sign in by a cookie that scripts cannot read and that only requests of the same site carry."""

    async def finish(send: Send, path: str) -> None:
        session = sign_text(_session_purpose(engine), USER, _SESSION_S)
        cookie = f"{_cookie_name(engine)}={session}; Path=/; Max-Age={_SESSION_S:.0f}; HttpOnly; SameSite=Strict"
        await answer(send, 303, b"", [(b"location", path.encode()), (b"set-cookie", cookie.encode())])

    return finish


def finish_with_storage(engine: str, key: str) -> Finish:
    """Sign in by an entry of the browser's storage, from which the engine's page reads its Basic credentials."""

    async def finish(send: Send, path: str) -> None:
        # JSON inside a script: "</" would end the script, so it is written with an escape that JSON allows.
        values = [json.dumps(each).replace("</", "<\\/") for each in (key, _encode(engine), path)]
        page = _STORING.format(
            nonce=(nonce := secrets.token_urlsafe(16)), key=values[0], value=values[1], path=values[2]
        )
        policy = (b"content-security-policy", f"default-src 'none'; script-src 'nonce-{nonce}'".encode())
        await answer_page(send, 200, page, [policy])

    return finish


async def refuse_visitor(scope: Scope, send: Send, engine: str, path: str) -> None:
    """401: a program needs the password, a person a link to our page, which signs the browser in."""
    entrance = f"{load_settings().page_base}/open/{engine}?path={quote(keep_local(path), safe='')}"
    if accepts_html(scope):
        return await answer_page(send, 401, write_page("Sign in", _SIGN_IN.format(entrance=escape(entrance))))
    error = f"This server needs a password. In a browser, open {load_settings().page_base}/open/{engine}."
    await refuse(scope, send, 401, error, [(b"www-authenticate", b'Basic realm="okawari"')])


def _encode(engine: str) -> str:
    return base64.b64encode(make_auth_string(engine).encode()).decode()


def _ticket_purpose(engine: str) -> str:
    return f"{engine} ticket"


def _session_purpose(engine: str) -> str:
    return f"{engine} session"


def _cookie_name(engine: str) -> str:
    return f"okawari_{engine}"


_SIGN_IN = """<p>This page is open to people who come from the page of this installation:
<a href="{entrance}">sign in and come back</a>.</p>"""
_STORING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Okawari</title>
<script nonce="{nonce}">localStorage.setItem({key}, {value}); location.replace({path});</script></html>
"""
