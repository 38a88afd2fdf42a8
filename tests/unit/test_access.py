"""Who may call: the rule of keys, the layer of the service, the sign-in of the page, and what a proxy reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from okawari.errors import InvalidInput
from okawari.security import sign_in
from okawari.security.access import (
    Access,
    load_own_token,
    name_cookie,
    require_keys_beyond_loopback,
)
from okawari.security.api_keys import KeyScope, create_key, find_keys_file, load_keys, revoke_key
from okawari.security.asgi import App, Receive, Scope, Send, answer
from okawari.security.key_check import KeyCheck
from okawari.security.reverse_proxy import ReverseProxy, parse_networks, read_route
from okawari.security.secrets import derive_password
from okawari.security.sign_in import SignIn, read_caller
from okawari.settings import Settings, load_settings
from tests.conftest import Said

LOCAL, REMOTE = "127.0.0.1", "203.0.113.9"


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what a server behind the layers sees, and read nothing of the body."""
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    seen = [scope["scheme"], (scope["client"] or ("",))[0], read_route(scope), scope.get("root_path", "")]
    text = "\n".join([*seen, str(headers), read_caller(scope).name])
    await answer(send, 200, text.encode(), [])


def ask(app: App, method: str, path: str, *, host: str = LOCAL, peer: str = LOCAL, **options: Any) -> httpx.Response:
    """Send one request that arrives on the address `host` from `peer`."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 5000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def bear(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def make(*scopes: KeyScope, name: str = "shop", lifetime: timedelta | None = None) -> str:
    return create_key(name, scopes, lifetime)[1]


# --- the rule -----------------------------------------------------------------------------------------------------


def test_loopback_needs_no_key_until_there_is_one(home: Path) -> None:
    app = KeyCheck(_echo, Access(True))
    assert ask(app, "POST", "/aapl/predict").status_code == 200
    make(KeyScope.PREDICT)
    assert ask(app, "POST", "/aapl/predict").status_code == 401


def test_the_end_of_the_last_key_opens_nothing(home: Path) -> None:
    app = KeyCheck(_echo, Access(True))
    make(KeyScope.PREDICT, lifetime=timedelta(seconds=-1))
    assert ask(app, "POST", "/aapl/predict").status_code == 401
    revoke_key("shop")
    assert ask(app, "POST", "/aapl/predict").status_code == 401
    find_keys_file().unlink()
    assert ask(app, "POST", "/aapl/predict").status_code == 200


@pytest.mark.parametrize(
    ("private", "arrived", "peer"), [(False, LOCAL, LOCAL), (True, "10.0.0.5", LOCAL), (True, LOCAL, REMOTE)]
)
def test_what_another_machine_could_send_needs_a_key_whatever_the_settings_say(
    private: bool, arrived: str, peer: str, home: Path
) -> None:
    """A service that was started by hand may bind to more than OKAWARI_HOST says."""
    app = KeyCheck(_echo, Access(private))
    assert ask(app, "GET", "/cases", host=arrived, peer=peer).status_code == 401


def test_a_proxy_on_this_machine_opens_nothing_to_other_machines(home: Path) -> None:
    app = ReverseProxy(KeyCheck(_echo, Access(True)), "127.0.0.1")
    assert ask(app, "GET", "/cases").status_code == 200
    assert ask(app, "GET", "/cases", headers={"X-Forwarded-For": REMOTE}).status_code == 401
    assert ask(app, "GET", "/cases", headers={"X-Forwarded-For": f"{LOCAL}, {REMOTE}"}).status_code == 401


def test_a_damaged_file_of_keys_closes_the_service(home: Path) -> None:
    app = KeyCheck(_echo, Access(True))
    token = make(KeyScope.READ)
    find_keys_file().write_text("{")
    refused = ask(app, "GET", "/cases", headers=bear(token))
    assert refused.status_code == 503 and "is damaged" in refused.json()["error"]
    assert ask(app, "GET", "/readyz").status_code == 200


@pytest.mark.parametrize(
    ("host", "names", "refused"),
    [
        ("127.0.0.1", "", ""),
        ("localhost", "", ""),
        ("::1", "", ""),
        ("0.0.0.0", "", "OKAWARI_HOST"),
        ("::", "", "OKAWARI_HOST"),
        ("10.0.0.5", "", "OKAWARI_HOST"),
        ("127.0.0.1", "models.example", "OKAWARI_ALLOWED_HOSTS"),
    ],
)
def test_a_start_beyond_loopback_needs_keys(host: str, names: str, refused: str, home: Path) -> None:
    settings = Settings(host=host, allowed_hosts=names)
    if refused:
        with pytest.raises(InvalidInput, match=f"{refused} is .*okawari keys create NAME"):
            require_keys_beyond_loopback(settings)
    make(KeyScope.READ)
    require_keys_beyond_loopback(settings)


# --- the layer of the service -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Basic b2s6b2s=", "okw_1_2", "Bearer okw_1_2", "Bearer \xff", "bearer " + "x" * 5000],
)
def test_another_header_is_refused_with_a_challenge_and_a_sentence(value: str, home: Path) -> None:
    make(KeyScope.PREDICT)
    app = KeyCheck(_echo, Access(True))
    refused = ask(app, "POST", "/aapl/predict", headers=[(b"authorization", value.encode("latin-1"))])
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert refused.json()["error"].endswith(".") and refused.json()["detail"] == []


def test_two_keys_in_one_request_are_refused(home: Path) -> None:
    token = make(KeyScope.PREDICT)
    app = KeyCheck(_echo, Access(True))
    headers = [("Authorization", f"Bearer {token}")] * 2
    assert ask(app, "POST", "/aapl/predict", headers=headers).status_code == 401


def test_a_refusal_names_the_scopes_and_the_body_is_not_read(home: Path) -> None:
    token = make(KeyScope.OUTCOMES)
    app = KeyCheck(_echo, Access(True))

    async def send_body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    refused = ask(app, "POST", "/aapl/predict", headers=bear(token), content=send_body())
    assert refused.status_code == 403
    assert "has outcomes; this request needs predict" in refused.json()["error"]


def test_the_own_token_has_every_scope_and_needs_no_key(home: Path) -> None:
    app = KeyCheck(_echo, Access(False))
    for method, path in (("POST", "/aapl/predict"), ("POST", "/aapl/outcomes"), ("GET", "/metrics")):
        assert ask(app, method, path, headers=bear(derive_password("internal"))).status_code == 200


def test_the_use_of_a_key_is_recorded(home: Path) -> None:
    token = make(KeyScope.READ)
    app = KeyCheck(_echo, Access(True))
    for _ in range(3):
        assert ask(app, "GET", "/cases", headers=bear(token)).status_code == 200
    (key,) = load_keys()
    assert key.used_at is not None
    before = find_keys_file().stat().st_ino
    assert ask(app, "GET", "/cases", headers=bear(token)).status_code == 200
    assert find_keys_file().stat().st_ino == before, "a use within a minute is not written again"


# --- the token of our own programs --------------------------------------------------------------------------------


def test_a_key_of_the_settings_comes_first(home: Path) -> None:
    assert load_own_token(Settings(api_key="okw_1_2")) == "okw_1_2"


def test_a_client_makes_no_secret_and_sends_none_to_another_installation(home: Path) -> None:
    assert load_own_token(load_settings()) == ""
    assert not home.exists()
    own = derive_password("internal")
    assert load_own_token(load_settings()) == own
    assert load_own_token(Settings(service_url="http://elsewhere:3000")) == ""
    assert load_own_token(Settings(service_url="http://elsewhere:3000", secret="s" * 32)) != ""


# --- the sign-in of the page --------------------------------------------------------------------------------------


@pytest.fixture
def page(home: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setattr(sign_in, "_FAILURE_DELAY_S", 0.05)
    return SignIn(_echo, Access(True))


def _sign_in(page: App, key: str, **options: Any) -> httpx.Response:
    return ask(page, "POST", "/sign-in", data={"key": key}, **options)


def test_without_keys_the_page_needs_no_sign_in(page: App) -> None:
    assert "anyone" in ask(page, "GET", "/").text


def test_a_person_is_led_to_the_form_and_a_program_gets_a_sentence(page: App) -> None:
    make(KeyScope.READ)
    led = ask(page, "GET", "/")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in")
    form = ask(page, "GET", "/sign-in")
    assert form.status_code == 200 and 'type="password"' in form.text
    for path in ("/gradio_api/queue/join", "/config", "/assets/x.js", "/gradio_api/file=/etc/passwd"):
        refused = ask(page, "POST", path)
        assert refused.status_code == 401 and "has no API key" in refused.json()["error"]
    browser = ask(page, "GET", "/config", headers={"Accept": "text/html"})
    assert browser.status_code == 401 and "Sign in to open this address." in browser.text


def test_a_session_lasts_until_its_key_ends(page: App) -> None:
    token = make(KeyScope.READ)
    signed = _sign_in(page, token)
    assert (signed.status_code, signed.headers["location"]) == (303, "/")
    cookie = signed.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Max-Age=43200", "Path=/"))
    assert "Secure" not in cookie and token not in cookie
    headers = {"Cookie": cookie.partition(";")[0]}
    assert ask(page, "GET", "/", headers=headers).text.endswith("shop")
    assert ask(page, "POST", "/gradio_api/queue/join", headers=headers).status_code == 200
    revoke_key("shop")
    assert ask(page, "POST", "/gradio_api/queue/join", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1] + "0", lambda text: text[:-1], lambda _: "", lambda _: "a.9.b"]
)
def test_a_changed_cookie_is_no_session(change: Any, page: App) -> None:
    name, _, value = _sign_in(page, make(KeyScope.READ)).headers["set-cookie"].partition(";")[0].partition("=")
    changed = change(value)
    status = ask(page, "GET", "/config", headers={"Cookie": f"{name}={changed}"}).status_code
    assert status == (200 if changed == value else 401)


def test_a_session_expires(page: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("okawari.security.access.SESSION_S", -1.0)
    cookie = _sign_in(page, make(KeyScope.READ)).headers["set-cookie"].partition(";")[0]
    assert ask(page, "GET", "/config", headers={"Cookie": cookie}).status_code == 401


def test_a_key_itself_opens_the_page_to_a_program(page: App) -> None:
    token = make(KeyScope.READ)
    assert ask(page, "GET", "/", headers=bear(token)).status_code == 200


def test_the_links_to_the_engines_need_admin(page: App) -> None:
    reader, boss = make(KeyScope.READ), make(KeyScope.ADMIN, name="boss")
    assert ask(page, "GET", "/open/prefect", headers=bear(boss)).status_code == 200
    refused = ask(page, "GET", "/open/prefect", headers=bear(reader))
    assert refused.status_code == 403 and "needs admin" in refused.json()["error"]


def test_a_wrong_key_gets_the_form_again_after_a_while(page: App) -> None:
    make(KeyScope.READ)
    predicting = make(KeyScope.PREDICT, name="predicting")
    for key, text in (
        ("okw_1_2", "is not known here"),
        ("", "holds no key"),
        (predicting, "needs read"),
        (derive_password("internal"), "is for programs"),
        ("x" * 5000, "too long"),
    ):
        refused = _sign_in(page, key)
        assert refused.status_code == 401 and text in refused.text, key
        assert "set-cookie" not in refused.headers


def test_what_a_key_is_named_cannot_become_markup(page: App) -> None:
    make(KeyScope.READ)
    assert "<script>" not in _sign_in(page, "<script>").text


@pytest.mark.fault
def test_failed_sign_ins_are_slow_and_bounded(page: App) -> None:
    make(KeyScope.READ)

    async def flood() -> list[int]:
        transport = httpx.ASGITransport(page, client=(LOCAL, 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{LOCAL}") as client:
            sent = (client.post("/sign-in", data={"key": f"okw_{number}"}) for number in range(60))
            return [reply.status_code for reply in await asyncio.gather(*sent)]

    statuses = asyncio.run(flood())
    assert statuses.count(401) == sign_in._MAX_AT_ONCE
    assert statuses.count(429) == 60 - sign_in._MAX_AT_ONCE


def test_signing_out_removes_the_cookie_and_asks_first(page: App) -> None:
    cookie = _sign_in(page, make(KeyScope.READ)).headers["set-cookie"].partition(";")[0]
    asked = ask(page, "GET", "/sign-out", headers={"Cookie": cookie})
    assert asked.status_code == 200 and "set-cookie" not in asked.headers
    out = ask(page, "POST", "/sign-out", headers={"Cookie": cookie})
    assert out.status_code == 303 and f"{name_cookie()}=; Max-Age=0" in out.headers["set-cookie"]


def test_a_socket_without_a_session_is_closed_before_it_opens(page: App) -> None:
    make(KeyScope.READ)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/gradio_api/ws", "headers": [], "server": (LOCAL, 80), "client": (LOCAL, 1)}
    asyncio.run(page(scope, receive, send))  # type: ignore[arg-type]
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_session_of_the_page_reads_on_the_service_and_changes_nothing(page: App) -> None:
    cookie = _sign_in(page, make(KeyScope.ADMIN)).headers["set-cookie"].partition(";")[0]
    service = KeyCheck(_echo, Access(True))
    assert ask(service, "GET", "/docs", headers={"Cookie": cookie}).status_code == 200
    assert ask(service, "POST", "/aapl/predict", headers={"Cookie": cookie}).status_code == 401


# --- reverse proxies ----------------------------------------------------------------------------------------------

REPORT = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-For": "203.0.113.9, 10.0.0.7",
    "X-Forwarded-Host": "models.example",
    "Forwarded": "for=1.2.3.4",
    "X-Gradio-Server": "http://evil.example",
}


def test_a_trusted_proxy_reports_scheme_client_and_host() -> None:
    app = ReverseProxy(_echo, "10.0.0.0/24")
    scheme, client, *_, headers, _ = ask(app, "GET", "/", peer="10.0.0.2", headers=REPORT).text.split("\n")
    assert (scheme, client) == ("https", "203.0.113.9")
    assert "'host': 'models.example'" in headers
    assert "forwarded" not in headers and "evil" not in headers


def test_nobody_else_is_believed() -> None:
    app = ReverseProxy(_echo, "10.0.0.0/24")
    scheme, client, *_, headers, _ = ask(app, "GET", "/", peer="10.0.1.2", headers=REPORT).text.split("\n")
    assert (scheme, client) == ("http", "10.0.1.2")
    assert "models.example" not in headers and "forwarded" not in headers and "evil" not in headers


@pytest.mark.parametrize("sent", ["/aapl/predict", "/models/aapl/predict"])
def test_a_prefix_is_known_whether_the_proxy_removes_it_or_not(sent: str) -> None:
    *_, route, root, _, _ = ask(ReverseProxy(_echo, "", "/models"), "GET", sent).text.split("\n")
    assert (route, root) == ("/aapl/predict", "/models")


def test_the_prefix_alone_leads_to_its_folder() -> None:
    led = ask(ReverseProxy(_echo, "", "/models"), "GET", "/models")
    assert (led.status_code, led.headers["location"]) == (307, "/models/")


def test_a_prefix_opens_no_route(home: Path) -> None:
    make(KeyScope.PREDICT)
    app = ReverseProxy(KeyCheck(_echo, Access(True)), "", "/models")
    assert ask(app, "GET", "/models/livez").status_code == 200
    for path in ("/models/metrics", "/metrics", "/models/models/livez", "/modelslivez", "/models//livez"):
        assert ask(app, "GET", path).status_code == 401, path


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/99", "10.0.0.2;10.0.0.3", "10.0.0.5/24"])
def test_a_proxy_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="OKAWARI_TRUSTED_PROXIES"):
        parse_networks(text)


# --- the start ----------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize(("name", "value"), [("HOST", "0.0.0.0"), ("HOST", "::"), ("ALLOWED_HOSTS", "models.example")])
def test_up_refuses_to_be_reachable_without_keys(
    name: str, value: str, call: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OKAWARI_{name}", value)
    load_settings.cache_clear()
    refused = call("up")
    assert refused.code == 1
    assert f"OKAWARI_{name} is {value!r}" in refused.err and "okawari keys create NAME" in refused.err
    assert not home.exists(), "nothing was started"


@pytest.mark.fault
@pytest.mark.parametrize(("name", "value"), [("TLS_CERT", "models.crt"), ("TRUSTED_PROXIES", "localhost")])
def test_up_refuses_a_certificate_without_its_key_and_a_proxy_that_is_no_address(
    name: str, value: str, call: Callable[..., Said], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OKAWARI_{name}", value)
    load_settings.cache_clear()
    refused = call("up")
    assert refused.code == 1 and f"OKAWARI_{name}" in refused.err and "Traceback" not in refused.err
    assert not home.exists()
