"""Clients and the lock of the group: what the terminal says, and that the command line waits out a restart."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from okawari.clients import orchestrator, prediction_service
from okawari.errors import ServerUnreachable
from okawari.registry.client import require_server
from okawari.settings import Settings, adopt_settings, load_settings
from okawari.storage.group_lock import hold_group_lock, is_group_running, wait_for_restarts

if TYPE_CHECKING:
    from tests.conftest import Said

pytestmark = pytest.mark.fault
Call = Callable[..., "Said"]
PREFECT = Path(__file__).with_name("small_prefect.py")


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    yield
    wait_for_restarts(0.0)


@pytest.fixture
def settings(home: Path, free_port: int) -> Settings:
    adopt_settings(Settings(home=home, prefect_port=free_port, mlflow_port=free_port, service_port=free_port))
    return load_settings()


ASK: dict[str, Callable[[], object]] = {
    "Prefect server": lambda: orchestrator.load_run("x"),
    "MLflow server": require_server,
    "prediction service": lambda: prediction_service.load_serving("aapl"),
}


@pytest.mark.parametrize("title", ASK)
def test_without_a_group_the_message_says_how_to_start_one(title: str, settings: Settings) -> None:
    with pytest.raises(ServerUnreachable, match=rf"No {title} answers at http.*; start it with: okawari up\.$"):
        ASK[title]()


@pytest.mark.parametrize("title", ASK)
def test_with_a_group_the_message_names_the_log_and_no_second_group(title: str, settings: Settings) -> None:
    with hold_group_lock(settings), pytest.raises(ServerUnreachable) as failed:
        ASK[title]()
    assert f"okawari up runs, but its {title} does not answer" in str(failed.value)
    assert str(settings.logs_dir) in str(failed.value) and "start it with" not in str(failed.value)


def test_a_remote_server_is_not_started_here(settings: Settings, free_port: int) -> None:
    adopt_settings(settings.model_copy(update={"prefect_url": f"http://127.0.0.1:{free_port}"}))
    with pytest.raises(ServerUnreachable, match="comes from OKAWARI_PREFECT_URL"):
        ASK["Prefect server"]()


def test_a_client_of_the_command_line_waits_until_the_server_is_back(settings: Settings) -> None:
    """The server starts two seconds after the question, while the group runs."""
    wait_for_restarts(30.0)
    started: list[subprocess.Popen[bytes]] = []

    def restart() -> None:
        time.sleep(2)
        started.append(subprocess.Popen([sys.executable, str(PREFECT), "serve", str(settings.prefect_port)]))

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        with hold_group_lock(settings):
            assert orchestrator.list_runs("train") == []
    finally:
        thread.join()
        started[0].kill()
        started[0].wait()


def test_waiting_ends_in_the_sentence_on_what_is_the_matter(settings: Settings) -> None:
    wait_for_restarts(1.0)
    with hold_group_lock(settings), pytest.raises(ServerUnreachable, match="okawari up runs, but its Prefect server"):
        orchestrator.list_runs("train")


def test_no_client_waits_where_no_group_runs(settings: Settings, call: Call) -> None:
    before = time.monotonic()
    said = call("run", "blobs")
    assert said.code == 1 and said.err.endswith("start it with: okawari up.\n")
    assert time.monotonic() - before < 20  # a waiting client takes 30 s


def test_asking_for_the_lock_writes_nothing_and_takes_nothing(home: Path) -> None:
    assert not is_group_running(load_settings())
    assert not home.exists()
    with hold_group_lock(load_settings()):
        assert is_group_running(load_settings())
    assert not is_group_running(load_settings())


def test_a_group_starts_while_clients_ask_for_its_lock(settings: Settings) -> None:
    with hold_group_lock(settings):
        pass  # the file exists
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            is_group_running(settings)
            time.sleep(0.001)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with hold_group_lock(settings):
                pass
    finally:
        stop.set()
        for thread in threads:
            thread.join()
