"""Starts, watches and stops the programs of a local installation as one group that leaves no orphan.

Every process of the group carries a mark in its environment. Processes that remain from a killed group or a killed
child are found by that mark and stopped; no other process is. A lock allows one group per state folder.
"""

from __future__ import annotations

import fcntl
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import psutil

from okawari.clients import orchestrator
from okawari.errors import OkawariError
from okawari.local.programs import GROUP_MARK, PROGRAM_MARK, WORK_POOL, Program, build_environment, list_programs
from okawari.polling import poll
from okawari.security.exposure import check_exposure
from okawari.security.tls import Trust, trust_own
from okawari.settings import Settings
from okawari.storage.state_version import ensure_state

Show = Callable[[str], None]

_READY_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 12.0
_MAX_RESTARTS = 5
_LOG_LIMIT_BYTES = 20_000_000


class CannotStart(OkawariError, RuntimeError):
    """The group cannot start; the message gives the reason and what to do."""


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    restarts: int = 0


@dataclass
class Group:
    """A running group; made by `run_group`."""

    settings: Settings
    show: Show
    environment: dict[str, str]
    children: list[_Child] = field(default_factory=list)

    def start(self, programs: Sequence[Program]) -> None:
        """Start the programs and wait until each server answers."""
        servers = [program for program in programs if program.ready_path is not None]
        for program in servers:
            self._spawn(program)
        for program in servers:
            self._wait_ready(program)
        self._deploy()
        for program in programs:
            if program not in servers:
                self._spawn(program)

    def watch(self) -> list[str]:
        """Restart the programs that have ended; returns their names.

        Raises:
            CannotStart: a program ended again after its last allowed restart.
        """
        dead = [child for child in self.children if child.process.poll() is not None]
        for child in dead:
            if child.restarts >= _MAX_RESTARTS:
                raise CannotStart(
                    f"The {child.program.title} ended {child.restarts + 1} times; see {self._log_path(child.program)}."
                )
            self.show(f"The {child.program.title} ended with {child.process.returncode}; starting it again.")
            child.restarts += 1
            self._free_port(child.program)
            child.process = self._launch(child.program)
        return [child.program.name for child in dead]

    def stop(self) -> None:
        """Stop all programs, last started first, then all other processes that carry the group's mark."""
        for child in reversed(self.children):
            _signal(child.process, signal.SIGTERM)
        until = time.monotonic() + _STOP_TIMEOUT_S
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child.process, signal.SIGKILL)
        self.children.clear()
        stop_leftovers(self.settings)

    def pid(self, name: str) -> int:
        """Process id of a program."""
        return next(child.process.pid for child in self.children if child.program.name == name)

    def _free_port(self, program: Program) -> None:
        """Stop the remaining processes of a killed server. Flow runs of a dead worker are left to finish."""
        if program.port is not None:
            mine = (str(self.settings.state_dir), program.name)
            _stop_all([process for process in psutil.process_iter() if _read_marks(process) == mine])

    def _spawn(self, program: Program) -> None:
        self.show(f"Starting the {program.title}")
        self.children.append(_Child(program, self._launch(program)))

    def _launch(self, program: Program) -> subprocess.Popen[bytes]:
        with _open_log(self._log_path(program)) as log:
            return subprocess.Popen(
                program.command,
                cwd=self.settings.root,
                env={**self.environment, PROGRAM_MARK: program.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_ready(self, program: Program) -> None:
        if program.ready_path is None:
            return
        child = next(each for each in self.children if each.program == program)
        url = f"{program.scheme}://{self.settings.local_host}:{program.port}{program.ready_path}"

        def is_ready() -> bool:
            if child.process.poll() is not None:
                raise CannotStart(self._explain_death(program))
            return _answers(url, trust_own(self.settings))

        if not poll(is_ready, every_s=0.2, timeout_s=_READY_TIMEOUT_S):
            raise CannotStart(f"The {program.title} does not answer at {url}; see {self._log_path(program)}.")

    def _deploy(self) -> None:
        """Apply prefect.yaml.

        The local worker has not started yet, so all runs in the state RUNNING on the local server are dead. A remote
        server has other workers, so its runs are left alone.
        """
        orchestrator.ensure_work_pool(WORK_POOL)
        if not self.settings.prefect_url:
            orchestrator.abandon_dead_runs()
        self.show("Applying prefect.yaml")
        command = next(child.program.deploy for child in self.children if child.program.deploy)
        done = subprocess.run(
            command, cwd=self.settings.root, env=self.environment, capture_output=True, text=True, timeout=180
        )
        if done.returncode:
            raise CannotStart(f"prefect.yaml could not be applied:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _log_path(self, program: Program) -> Path:
        return self.settings.logs_dir / f"{program.name}.log"

    def _explain_death(self, program: Program) -> str:
        log = self._log_path(program)
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        return f"The {program.title} ended while starting. Its log ({log}) ends with:\n{last}"


@contextmanager
def run_group(settings: Settings, show: Show) -> Iterator[Group]:
    """Start a group, and stop it when the block ends, also after an error.

    Raises:
        CannotStart: another group runs on this state folder, a port is taken, or a program fails to start.
        InvalidInput: other machines could reach the servers without a key, or a setting about that is refused.
    """
    check_exposure(settings)
    with _hold_lock(settings):
        stop_leftovers(settings)
        programs = list_programs(settings)
        require_free_ports(settings, programs)
        group = Group(settings, show, build_environment(settings))
        try:
            group.start(programs)
            yield group
        finally:
            group.stop()


def require_free_ports(settings: Settings, programs: Sequence[Program]) -> None:
    """Check every port before anything starts.

    Raises:
        CannotStart: a port is taken; the message names each such port, the process that holds it, and its setting.
    """
    taken = [program for program in programs if program.port is not None and not _is_free(settings.host, program.port)]
    if taken:
        lines = [
            f"Port {program.port} ({program.title}) is taken{_name_holder(program.port)}; "
            f"stop that program or choose another port with {program.port_setting}=NUMBER."
            for program in taken
        ]
        raise CannotStart("\n".join(lines))


def stop_leftovers(settings: Settings) -> int:
    """Stop every process that carries this group's mark; returns their number."""
    mark = str(settings.state_dir)
    found = [process for process in psutil.process_iter() if _read_marks(process)[0] == mark]
    _stop_all(found)
    return len(found)


def _stop_all(found: list[psutil.Process]) -> None:
    for process in found:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(found, timeout=5)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=5)


def is_group_running(settings: Settings) -> bool:
    """Whether a group holds the state folder."""
    try:
        with _hold_lock(settings):
            return False
    except CannotStart:
        return True


@contextmanager
def _hold_lock(settings: Settings) -> Iterator[None]:
    ensure_state(settings.state_dir)
    with (settings.state_dir / "group.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Okawari already runs on {settings.state_dir}; its page is {settings.page_base}. "
                "Stop it with Ctrl-C where it was started, or set OKAWARI_HOME to another folder."
            ) from None
        yield


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path.open("ab")


def _answers(url: str, trust: Trust) -> bool:
    try:
        return httpx.get(url, timeout=2, verify=trust).status_code < 400
    except httpx.HTTPError:
        return False


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _name_holder(port: int | None) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address: Any = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address.port == port and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass  # processes of other users may be hidden; then the message names no process
    return ""


def _read_marks(process: psutil.Process) -> tuple[str | None, str | None]:
    """The group and the program that a process belongs to."""
    try:
        environment = process.environ()
        return environment.get(GROUP_MARK), environment.get(PROGRAM_MARK)
    except (psutil.Error, OSError):
        return None, None


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        _quietly(lambda: process.send_signal(number))


def _quietly(act: Callable[[], object]) -> None:
    # A process that has ended meanwhile needs no signal.
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        act()
