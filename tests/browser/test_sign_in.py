"""A person signs in to a published page: behind a real nginx with a path prefix, and over the page's own TLS."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from okawari.security.api_keys import KeyScope, create_key, revoke_key
from okawari.security.tls import trust_own
from okawari.settings import Settings, load_settings
from tests.browser.conftest import ROOT, start_page
from tests.browser.edges import Edge, serve_model, stand_run
from tests.certificates import make_certificate
from tests.ports import find_free_port
from tests.proxies import HOST, run_nginx

pytestmark = [pytest.mark.fault, pytest.mark.heavy]
WAIT_MS = 40_000


@dataclass(frozen=True)
class Published:
    """A page behind nginx: its public address, and a key of each scope."""

    base: str
    home: Path
    keys: dict[str, str]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    folder, port = tmp_path_factory.mktemp("published"), find_free_port()
    certificate = make_certificate(folder, host=HOST)
    service, prefect = Edge(), Edge()
    serve_model(service, "1")
    stand_run(prefect, None)
    keys = _make_keys(folder)
    places = {
        "SERVICE_URL": service.url,
        "PREFECT_URL": prefect.url,
        "ALLOWED_HOSTS": f"{HOST}:{port}",
        "ROOT_PATH": "/models",
        "UI_ROOT_PATH": "/okawari",
    }
    with ExitStack() as running:
        running.callback(service.close)
        running.callback(prefect.close)
        url = running.enter_context(start_page(folder, places))
        ports = {3000: find_free_port(), 7860: int(url.rpartition(":")[2])}
        base = running.enter_context(run_nginx(folder, certificate, port, ports))
        yield Published(f"{base}/okawari", folder, keys)


def _make_keys(home: Path) -> dict[str, str]:
    with patch.dict("os.environ", {"OKAWARI_HOME": str(home)}):
        load_settings.cache_clear()
        made = {name: create_key(name, [KeyScope(name)])[1] for name in ("read", "admin")}
    load_settings.cache_clear()
    return made


@pytest.fixture
def visitor(chromium: Browser, published: Published) -> Iterator[Page]:
    """A browser page that fails its test if anything was asked of another address than the published one."""
    expect.set_options(timeout=WAIT_MS)
    asked: list[str] = []
    context = chromium.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    yield page
    context.close()
    assert [url for url in asked if not url.startswith((f"{published.base}/", "data:", "blob:"))] == []


def sign_in(page: Page, published: Published, key: str) -> None:
    page.goto(f"{published.base}/")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_person_signs_in_sees_the_page_and_signs_out(visitor: Page, published: Published) -> None:
    visitor.goto(f"{published.base}/")
    assert visitor.url == f"{published.base}/sign-in"
    sign_in(visitor, published, "okw_1_2")
    expect(visitor.get_by_role("alert")).to_contain_text("is not known here")
    sign_in(visitor, published, published.keys["read"])
    expect(visitor.get_by_test_id("badges")).to_contain_text("Serving version 1")
    expect(visitor.locator("#history .scatterlayer .trace")).to_have_count(3)
    visitor.get_by_role("link", name="Sign out").click()
    visitor.get_by_role("button", name="Sign out").click()
    expect(visitor.get_by_label("API key")).to_be_visible()


def test_a_training_needs_the_scope_admin(visitor: Page, published: Published) -> None:
    sign_in(visitor, published, published.keys["read"])
    expect(visitor.get_by_test_id("badges")).to_contain_text("Serving version 1")
    visitor.get_by_role("button", name="Retrain now").click()
    expect(visitor.locator("#run")).to_contain_text("this request needs admin")


def test_a_revoked_key_ends_the_session(visitor: Page, published: Published) -> None:
    with patch.dict("os.environ", {"OKAWARI_HOME": str(published.home)}):
        load_settings.cache_clear()
        _, token = create_key("guest", [KeyScope.READ])
        sign_in(visitor, published, token)
        expect(visitor.get_by_test_id("badges")).to_contain_text("Serving version 1")
        revoke_key("guest")
    load_settings.cache_clear()
    visitor.goto(f"{published.base}/")
    expect(visitor.get_by_label("API key")).to_be_visible()


def test_no_route_of_the_page_answers_a_stranger(published: Published) -> None:
    port = published.base.split(":")[2].partition("/")[0]
    trust = ssl.create_default_context(cafile=str(published.home / "own.crt"))
    listed = subprocess.run(
        [sys.executable, "-m", "tests.routes", "page"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    routes = [tuple(route) for route in json.loads(listed.stdout.splitlines()[-1])]
    assert len(routes) > 60
    answered = {}
    with httpx.Client(verify=trust, headers={"Host": f"{HOST}:{port}"}, timeout=WAIT_MS / 1000) as client:
        for method, path in routes:
            address = f"https://127.0.0.1:{port}/okawari{path}"
            answered[method, path] = client.request(method, address, extensions={"sni_hostname": HOST}).status_code
    assert answered.pop(("GET", "/")) == 303
    assert {route: status for route, status in answered.items() if status != 401} == {}


def test_the_page_serves_tls_itself(tmp_path: Path) -> None:
    own = make_certificate(tmp_path)
    nobody = f"http://127.0.0.1:{find_free_port()}"
    files = {"TLS_CERT": str(own.cert), "TLS_KEY": str(own.key), "SERVICE_URL": nobody, "PREFECT_URL": nobody}
    with start_page(tmp_path, files, "--empty") as url:
        trust = trust_own(Settings(tls_cert=str(own.cert), tls_key=str(own.key)))
        assert "Okawari" in httpx.get(url, verify=trust).text
