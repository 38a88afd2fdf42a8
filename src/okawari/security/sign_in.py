"""The ASGI layer of the page that asks a person for an API key where the installation needs keys.

`/sign-in` takes a key with the scope `read` and answers with a cookie for twelve hours; `/sign-out` removes it. All
other requests, also of Gradio's own routes and sockets, need the cookie or the key itself as `Authorization: Bearer`.
"""

from __future__ import annotations

import asyncio
from html import escape
from urllib.parse import parse_qs

from okawari.errors import OkawariError
from okawari.security.access import ANYONE, SESSION_S, Access, Caller, NotKnown, name_cookie
from okawari.security.api_keys import KeyScope
from okawari.security.asgi import App, Headers, Receive, Scope, Send, accepts_html, answer, answer_page
from okawari.security.key_check import refuse_caller
from okawari.security.pages import write_page
from okawari.security.reverse_proxy import read_route

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
_ADMIN_FOLDER = "/open/"
"""Links that sign a browser in to Prefect and MLflow, where it may do everything."""
_CALLER = "okawari.caller"
_MAX_BODY_BYTES = 4096
_BODY_TIMEOUT_S = 10.0
_FAILURE_DELAY_S = 0.5
_MAX_AT_ONCE = 16
"""Sign-ins that are in work at once; more are refused. Failed ones take half a second: at most 32 guesses a second."""


class Busy(OkawariError):
    """Too many sign-ins at once."""


def read_caller(scope: Scope) -> Caller:
    """The caller that `SignIn` found for a request; anyone, where there is no such layer."""
    caller: Caller = scope.get(_CALLER, ANYONE)
    return caller


class SignIn:
    """Passes requests of callers with the scope `read`; answers sign-ins."""

    def __init__(self, app: App, access: Access) -> None:
        self._app, self._access = app, access
        self._n_at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a sign-in, or check the caller and pass the request on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        path = read_route(scope) if scope["type"] == "http" else ""
        if path == SIGN_IN:
            return await self._handle_sign_in(scope, receive, send)
        if path == SIGN_OUT:
            return await _handle_sign_out(scope, send)
        try:
            caller = self._access.identify(scope, with_session=True)
            caller.require(KeyScope.ADMIN if path.startswith(_ADMIN_FOLDER) else KeyScope.READ)
        except OkawariError as refused:
            return await _refuse(scope, send, path, refused)
        await self._app({**scope, _CALLER: caller}, receive, send)

    async def _handle_sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            return await _show_form(scope, send, 200)
        try:
            caller = await self._check_key(await _read_key(receive))
        except Busy as busy:
            return await _show_form(scope, send, 429, str(busy), [(b"retry-after", b"2")])
        except OkawariError as refused:
            return await _show_form(scope, send, 401, str(refused))
        await _go_home(scope, send, _write_cookie(scope, self._access.start_session(caller), SESSION_S))

    async def _check_key(self, key: str) -> Caller:
        """The caller with a key; a refusal takes `_FAILURE_DELAY_S`.

        Raises:
            Busy: too many keys are being checked.
            OkawariError: the key is not known, or has not the scope `read`.
        """
        if self._n_at_once >= _MAX_AT_ONCE:
            raise Busy("Too many sign-ins are in progress. Try again in a few seconds.")
        self._n_at_once += 1
        try:
            return self._identify(key)
        except OkawariError:
            await asyncio.sleep(_FAILURE_DELAY_S)
            raise
        finally:
            self._n_at_once -= 1

    def _identify(self, key: str) -> Caller:
        caller = self._access.identify_token(key)
        if not caller.key_id:
            raise NotKnown("This token is for programs. Sign in with a key of: okawari keys create NAME --scope read.")
        caller.require(KeyScope.READ)
        return caller


async def _refuse(scope: Scope, send: Send, path: str, error: OkawariError) -> None:
    """Lead a person to the form; answer programs and the page's own requests with a sentence."""
    if isinstance(error, NotKnown) and scope.get("method") == "GET" and path == "/":
        return await answer(send, 303, b"", [(b"location", _locate(scope, SIGN_IN).encode())])
    if isinstance(error, NotKnown) and accepts_html(scope):
        return await _show_form(scope, send, 401, "Sign in to open this address.")
    await refuse_caller(scope, send, error)


async def _handle_sign_out(scope: Scope, send: Send) -> None:
    """Ask on GET, because other pages can make a browser send one; remove the cookie on POST."""
    if scope["method"] == "POST":
        return await _go_home(scope, send, _write_cookie(scope, "", 0))
    form = _SIGN_OUT_FORM.format(target=_locate(scope, SIGN_OUT), home=_locate(scope, "/"))
    await answer_page(send, 200, write_page("Sign out", form))


async def _go_home(scope: Scope, send: Send, cookie: bytes) -> None:
    await answer(send, 303, b"", [(b"location", _locate(scope, "/").encode()), (b"set-cookie", cookie)])


def _locate(scope: Scope, path: str) -> str:
    return f"{scope.get('root_path', '')}{path}"


async def _read_key(receive: Receive) -> str:
    """The key in the form.

    Raises:
        NotKnown: the form holds no key, is too long, or does not arrive in time.
    """
    try:
        body = await asyncio.wait_for(_read_body(receive), _BODY_TIMEOUT_S)
    except TimeoutError:
        raise NotKnown(f"The form did not arrive within {_BODY_TIMEOUT_S:.0f} s. Send it again.") from None
    key = parse_qs(body.decode("latin-1")).get("key", [""])[0].strip()
    if not key:
        raise NotKnown("The form holds no key. Paste the whole key, which begins with okw_.")
    return key


async def _read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise NotKnown("The request ended before the form was complete. Send it again.")
        body, more = body + message.get("body", b""), message.get("more_body", False)
        if len(body) > _MAX_BODY_BYTES:
            raise NotKnown("The form is too long for a key, which has about 60 characters. Paste the key alone.")
    return body


def _write_cookie(scope: Scope, value: str, lifetime_s: float) -> bytes:
    # The path is "/" so that the service behind the same proxy, with another prefix, receives it too.
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    text = f"{name_cookie()}={value}; Max-Age={lifetime_s:.0f}; Path=/; HttpOnly; SameSite=Strict{secure}"
    return text.encode()


async def _show_form(scope: Scope, send: Send, status: int, trouble: str = "", headers: Headers | None = None) -> None:
    line = f'<p role="alert" class="trouble">{escape(trouble)}</p>' if trouble else ""
    form = _SIGN_IN_FORM.format(target=_locate(scope, SIGN_IN))
    await answer_page(send, status, write_page("Sign in", line + form), headers or [])


_SIGN_IN_FORM = """<form method="post" action="{target}">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button></form>
<p>This installation needs a key with the scope <code>read</code>; with <code>admin</code>, you can also start a
training. Its operator makes one with <code>okawari keys create NAME --scope read</code>.</p>"""

_SIGN_OUT_FORM = """<form method="post" action="{target}"><button autofocus>Sign out</button></form>
<p><a href="{home}">Back to the page</a></p>"""
