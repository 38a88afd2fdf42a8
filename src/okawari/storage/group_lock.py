"""The lock of a state folder: whether `okawari up` runs on it, and clients that wait while it restarts a server.

One group of programs holds the lock (`<state>/group.lock`) for as long as it runs; the system releases the lock of a
dead process.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from okawari.errors import OkawariError, ServerUnreachable
from okawari.polling import poll, retry_for
from okawari.settings import Settings, load_settings
from okawari.storage.state_version import ensure_state

Result = TypeVar("Result")

RESTART_WAIT_S = 30.0
"""How long the command line waits for a server that `okawari up` restarts; the slowest one takes about 10 s."""
_PROBE_S = 2.0
"""`is_group_running` holds the lock for an instant, so a group that starts tries again for so long."""


class AlreadyRuns(OkawariError, RuntimeError):
    """Another group runs on the state folder."""


@dataclass(frozen=True)
class Server:
    """A server as messages name it. `program` names its log; `remote` is its address in the settings, or empty."""

    title: str
    program: str
    base: str
    remote: str


def name_server(program: str) -> Server:
    """The server of a program: `prefect`, `mlflow` or `service`."""
    settings = load_settings()
    title = {"prefect": "Prefect server", "mlflow": "MLflow server", "service": "prediction service"}[program]
    return Server(title, program, getattr(settings, f"{program}_base"), getattr(settings, f"{program}_url"))


@contextmanager
def hold_group_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock of the state folder during the block.

    Raises:
        AlreadyRuns: another process holds it.
    """
    ensure_state(settings.state_dir)
    with _lock_path(settings).open("w") as handle:
        if not poll(lambda: _take(handle), every_s=0.1, timeout_s=_PROBE_S):
            raise AlreadyRuns(
                f"Okawari already runs on {settings.state_dir}; its page is {settings.page_base}. "
                "Stop it with Ctrl-C where it was started, or set OKAWARI_HOME to another folder."
            )
        yield


def is_group_running(settings: Settings) -> bool:
    """Whether a group holds the state folder. Writes nothing, so the folder may be missing or read-only."""
    try:
        with _lock_path(settings).open("r") as handle:
            return not _take(handle)
    except OSError:
        return False


def _lock_path(settings: Settings) -> Path:
    return settings.state_dir / "group.lock"


def _take(handle: IO[Any]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Waiting:
    """How long this process waits for a server that restarts."""

    seconds = 0.0


def wait_for_restarts(seconds: float = RESTART_WAIT_S) -> None:
    """Make the clients of this process wait for a server that `okawari up` restarts. The command line calls it.

    Without it, clients fail at once: a page shows that a server is away, and a service has its own answer for it.
    """
    _Waiting.seconds = seconds


def reach(call: Callable[[], Result]) -> Result:
    """The result of `call`; while `okawari up` runs, `call` is repeated for as long as this process waits for restarts.

    Raises:
        ServerUnreachable: the server does not answer.
    """
    try:
        return call()
    except ServerUnreachable:
        if not _Waiting.seconds or not is_group_running(load_settings()):
            raise
    return retry_for(call, errors=(ServerUnreachable,), every_s=0.5, timeout_s=_Waiting.seconds)


def explain_absence(server: Server, cause: object = "") -> ServerUnreachable:
    """The error of a server that does not answer: what the matter is, and what to do."""
    detail = f" ({cause})" if str(cause) else ""
    if server.remote:
        return ServerUnreachable(
            f"No {server.title} answers at {server.base}{detail}; the address comes from "
            f"OKAWARI_{server.program.upper()}_URL. Start that server, or correct the address."
        )
    if is_group_running(load_settings()):
        log = load_settings().logs_dir / f"{server.program}.log"
        return ServerUnreachable(
            f"okawari up runs, but its {server.title} does not answer at {server.base}{detail}; see {log}."
        )
    return ServerUnreachable(f"No {server.title} answers at {server.base}{detail}; start it with: okawari up.")
