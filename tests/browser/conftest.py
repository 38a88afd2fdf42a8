"""The page as a process of its own, over a real data folder, in real Chromium that may talk to loopback only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from okawari.polling import retry_for
from tests.browser.edges import Edge, World, serve_model, stand_run
from tests.ports import find_free_port
from tests.proxies import HOST

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
]
OWN_CASE = """
from dataclasses import replace
from okawari.cases.aapl import CASE as STOCK
from okawari.data.datasets import BundledStock

CASE = replace(STOCK, name="ibm", title="IBM closing price", source=BundledStock("IBM"), live=None)
"""
START_S, STOP_S = 120.0, 30.0  # a cold import of Gradio and MLflow on a busy machine


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, quiet."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The page over a folder that has readings, a champion, verdicts and a report."""
    service, prefect = Edge(), Edge()
    folder = tmp_path_factory.mktemp("state")
    with start_page(folder, {"SERVICE_URL": service.url, "PREFECT_URL": prefect.url}) as url:
        yield World(url, service, prefect)
    service.close()
    prefect.close()


@pytest.fixture
def world(running: World) -> World:
    """The running page with its neighbours as they are on a quiet day."""
    serve_model(running.service, "1")
    stand_run(running.prefect, None)
    return running


@pytest.fixture(scope="module")
def empty_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page for a bundled and a user's own case, over an empty folder, whose neighbours are all down."""
    nobody = f"http://127.0.0.1:{find_free_port()}"
    folder = tmp_path_factory.mktemp("empty")
    (folder / "cases").mkdir()
    (folder / "cases" / "ibm.py").write_text(OWN_CASE)
    places = {"SERVICE_URL": nobody, "PREFECT_URL": nobody, "CASES": "aapl,ibm"}
    with start_page(folder, places, "--empty") as url:
        yield url


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh browser page that fails its test if it asked for anything beyond loopback."""
    outside: list[str] = []
    near = ("http://127.0.0.1", "data:", "blob:", "about:")
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.on("request", lambda request: None if request.url.startswith(near) else outside.append(request.url))
    yield page
    context.close()
    assert outside == []


@contextmanager
def start_page(folder: Path, neighbours: Mapping[str, str], *arguments: str) -> Iterator[str]:
    """The page as a process of its own, with these settings."""
    scheme = "https" if "TLS_CERT" in neighbours else "http"
    url = f"{scheme}://127.0.0.1:{(port := find_free_port())}"
    places = {"HOME": str(folder), "UI_PORT": str(port), "MLFLOW_URL": f"sqlite:///{folder}/mlflow.db", **neighbours}
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "DO_NOT_TRACK": "1"}
    environment |= {f"OKAWARI_{name}": value for name, value in places.items()}
    prepare = [sys.executable, "-m", "tests.browser.prepare_state", *arguments]
    subprocess.run(prepare, env=environment, cwd=folder, check=True, timeout=START_S)
    process = subprocess.Popen([sys.executable, "-m", "ui.app"], env=environment, cwd=folder, start_new_session=True)
    try:
        _wait_for(url, process)
        yield url
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    def ask() -> None:
        assert process.poll() is None, f"the page ended with {process.returncode}"
        httpx.get(url, timeout=2, verify=False, follow_redirects=True).raise_for_status()

    retry_for(ask, errors=(httpx.HTTPError,), every_s=0.2, timeout_s=START_S)
