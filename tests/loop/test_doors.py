"""Who gets in: every route of the four servers, tried as another web site, by another name, and without a password."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.installations import Installation, make_installation, run_up

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SERVERS = {"prefect": "PREFECT", "mlflow": "MLFLOW", "service": "SERVICE", "page": "UI"}
FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
]
SOCKET = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
OPEN = {
    "prefect": ("/api/health", "/api/ready"),  # and what is not below /api: the files of the page
    "mlflow": ("/health", "/static-files/x"),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {"OKAWARI_CASES": "blobs", "OKAWARI_CANDIDATES": "linear_1"}
    with make_installation(tmp_path_factory.mktemp("doors"), **settings) as made, run_up(made):
        yield made


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, running: Installation) -> tuple[str, httpx.Client, list[list[str]]]:
    """Name, client and routes of one server."""
    name = request.param
    done = subprocess.run(
        [sys.executable, "-m", "tests.routes", name], cwd=ROOT, env=running.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    client = httpx.Client(base_url=running.url(SERVERS[name]), timeout=20)
    return name, client, json.loads(done.stdout.splitlines()[-1])


def _send(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> int:
    """Status of one request; its body has no Content-Type, so that a browser would send it without asking first."""
    if method == "WEBSOCKET":
        return client.get(path, headers={**SOCKET, **headers}).status_code
    content = b"{}" if method in ("POST", "PUT", "PATCH") else None
    return client.request(method, path, content=content, headers=headers).status_code


def test_no_route_answers_another_site_or_another_name(server: tuple[str, httpx.Client, list[list[str]]]) -> None:
    name, client, routes = server
    assert len(routes) > 8, name
    for headers in FOREIGN:
        let_in = [route for route in routes if _send(client, *route, headers) != 403]
        assert not let_in, f"{name} answers {headers} at {let_in}"
    rebound = [route for route in routes if _send(client, *route, {"host": "evil.example"}) not in (403, 421)]
    assert not rebound, f"{name} answers as evil.example at {rebound}"


@pytest.mark.parametrize("server", OPEN, indirect=True)
def test_the_engines_answer_nobody_without_a_password(server: tuple[str, httpx.Client, list[list[str]]]) -> None:
    """On loopback, the page and the service need no key."""
    name, client, routes = server
    shut = [route for route in routes if route[1] not in OPEN[name] and _is_shut(name, route[1])]
    let_in = [route for route in shut if _send(client, *route, {}) not in (401, 403)]
    assert len(shut) > 100 and not let_in, f"{name} answers without a password at {let_in}"


def _is_shut(name: str, path: str) -> bool:
    return name != "prefect" or path.startswith("/api/")


def test_a_run_cannot_override_what_the_runner_starts(running: Installation, tmp_path: Path) -> None:
    """Even with the password: the command of a run is not a parameter."""
    code = (
        "from okawari.security.engine_access import make_basic_header as make; print(make('prefect')['Authorization'])"
    )
    told = subprocess.run([sys.executable, "-c", code], env=running.environment, capture_output=True, text=True)
    client = httpx.Client(base_url=running.url("PREFECT"), headers={"authorization": told.stdout.strip()})
    found = client.get("/api/deployments/name/monitor/monitor").raise_for_status().json()
    for variables in ({"command": f"touch {tmp_path}/pwned"}, {"env": {"PYTHONPATH": str(tmp_path)}}):
        body = {"parameters": {"case": "blobs"}, "job_variables": variables}
        assert client.post(f"/api/deployments/{found['id']}/create_flow_run", json=body).status_code in (409, 422)


# --- in a real browser ----------------------------------------------------------------------------------------------

ATTACK = """<!doctype html><title>evil</title><script>
const out = {};
async function attempt(name, call) { try { out[name] = await call(); } catch (error) { out[name] = "blocked"; } }
const socket = url => new Promise(done => {
  const made = new WebSocket(url);
  made.onopen = () => done("open"); made.onerror = () => done("blocked");
});
window.attack = async (targets, local) => {
  for (const [name, base] of Object.entries(targets)) {
    for (const path of ["/", "/api/flows/filter", "/blobs/forecast", "/api/2.0/mlflow/experiments/create"]) {
      await attempt(`${name} read ${path}`, async () => (await fetch(base + path)).status);
      await attempt(`${name} cookies ${path}`, async () => (await fetch(base + path, {credentials: "include"})).status);
      await attempt(`${name} post ${path}`, async () => {
        await fetch(base + path, {method: "POST", mode: "no-cors", body: new Blob(['{"name": "pwned"}'])});
        return "sent";
      });
      await attempt(`${name} json ${path}`, async () =>
        (await fetch(base + path, {method: "POST", body: "{}", headers: {"content-type": "application/json"}})).status);
    }
    await attempt(`${name} socket`, () => socket(base.replace("http", "ws") + "/api/events/in"));
  }
  return out;
};
</script>"""


@pytest.fixture(scope="module")
def browser(running: Installation) -> Iterator[BrowserContext]:
    """A real browser, in which evil.example and rebound.example are names of this machine."""
    hosts = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu", hosts]
        )
        yield started.new_context()
        started.close()


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of another web site."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / "index.html").write_text(ATTACK)
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield site.server_port
    site.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the tests' output to themselves."""


def test_the_links_of_the_page_sign_a_person_in(browser: BrowserContext, running: Installation) -> None:
    page = browser.new_page()
    page.goto(running.url("UI"))
    page.get_by_role("link", name="Runs in Prefect").wait_for()
    prefect = _follow(page, "Runs in Prefect")
    prefect.get_by_text("Flow Runs").first.wait_for()
    assert "unauthenticated" not in prefect.url and prefect.url.startswith(running.url("PREFECT"))
    prefect.goto(f"{running.url('UI')}/open/prefect?path=/runs")
    prefect.get_by_text("train blobs").first.wait_for()
    mlflow = _follow(page, "Models in MLflow")
    mlflow.goto(f"{running.url('UI')}/open/mlflow?path=/%23/models")
    mlflow.get_by_text("blobs").first.wait_for()


def _follow(page: Page, name: str) -> Page:
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=name).click()
    return opened.value


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1"])
def test_a_visited_web_page_reaches_nothing(
    host: str, browser: BrowserContext, evil: int, running: Installation
) -> None:
    """Another site, and another server on this machine, which browsers call the same site; the person is signed in."""
    page = browser.new_page()
    page.goto(f"http://{host}:{evil}/")
    before = _count_answers(running)
    targets = {name: running.url(setting) for name, setting in SERVERS.items()}
    outcomes = page.evaluate("targets => attack(targets)", targets)
    assert set(outcomes.values()) <= {"blocked", "sent"}, outcomes  # what is sent blindly is refused:
    assert _count_answers(running) == before
    page.close()


def test_a_name_that_was_rebound_reaches_nothing(browser: BrowserContext, running: Installation) -> None:
    """The browser takes the page for the server's own, so only the name gives it away."""
    for setting in SERVERS.values():
        page = browser.new_page()
        answer = page.goto(running.url(setting).replace("127.0.0.1", "rebound.example"))
        assert answer is not None and answer.status == 421
        page.close()


def _count_answers(running: Installation) -> tuple[int, int]:
    """Answers of the service and experiments of MLflow; what an attack that works would add to."""
    folder = running.home / "journal" / "blobs" / "predictions"
    lines = sum(len(path.read_text().splitlines()) for path in folder.glob("*"))
    code = "from okawari.registry.client import load_client; print(len(load_client().search_experiments()))"
    told = subprocess.run([sys.executable, "-c", code], env=running.environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return lines, int(told.stdout.split()[-1])
