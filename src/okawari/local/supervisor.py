"""Starts, watches and stops the programs of a local installation as one group that leaves no orphan.

Every process of the group carries a mark in its environment. Processes that remain from a killed group or a killed
child are found by that mark and stopped; no other process is. A lock allows one group per state folder.

A thread of the group starts programs again that have ended, from the moment at which each one was ready. The end of one
program never stops another one, however often it ends.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from okawari.clients import run_queue
from okawari.local import log_files
from okawari.local.processes import CannotStart, require_free_ports, send_signal, stop_leftovers, stop_program
from okawari.local.programs import PROGRAM_MARK, WORK_POOL, Program, build_environment, list_programs
from okawari.local.restarts import RARE_S, RestartBudget
from okawari.polling import poll
from okawari.security.exposure import check_exposure
from okawari.security.tls import Trust, trust_own
from okawari.settings import Settings
from okawari.storage.disk_faults import DiskFault, require_writable
from okawari.storage.group_lock import hold_group_lock

Show = Callable[[str], None]

_READY_TIMEOUT_S = 120.0
_DEPLOY_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 12.0
_WATCH_S = 0.5


@dataclass
class _Child:
    """A program and its newest process. Only a `watched` one is started again; `due_at` is when, after its end."""

    program: Program
    process: subprocess.Popen[bytes]
    started_at: float
    watched: bool = False
    due_at: float | None = None
    n_restarts: int = 0
    trouble: str = ""
    budget: RestartBudget = field(default_factory=RestartBudget)

    @property
    def runs(self) -> bool:
        """Whether the process has not ended."""
        return self.process.poll() is None

    @property
    def ran_s(self) -> float:
        """Seconds since the newest start."""
        return time.monotonic() - self.started_at


@dataclass
class Group:
    """A running group; made by `run_group`."""

    settings: Settings
    show: Show
    environment: dict[str, str]
    children: list[_Child] = field(default_factory=list)
    log_limit_bytes: int = log_files.LIMIT_BYTES
    _stopping: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def start(self, programs: Sequence[Program]) -> None:
        """Start the programs and wait until each server answers; from then on, it is watched.

        Raises:
            CannotStart: a program ends before it was ready, or is not ready in time.
        """
        self._watcher = threading.Thread(target=self._watch_all, name="okawari-watcher", daemon=True)
        self._watcher.start()
        servers = [program for program in programs if program.ready_path is not None]
        for program in servers:
            self._spawn(program)
        for program in servers:
            self._wait_ready(program)
            self._find(program.name).watched = True
        self._deploy()
        for program in programs:
            if program not in servers:
                self._spawn(program).watched = True

    def serve(self) -> None:
        """Wait until the group is stopped, or an exception such as KeyboardInterrupt ends the wait."""
        self._stopping.wait()

    def _watch_all(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            for child in tuple(self.children):
                self._attend(child)

    def _attend(self, child: _Child) -> None:
        """Start a program again that has ended, when its pause is over; rotate its log when it is long."""
        try:
            if child.watched and child.runs:
                self._note_recovery(child)
            elif child.watched:
                self._restart_when_due(child)
            log_files.rotate_log(self._log_path(child.program), self.log_limit_bytes)
            child.trouble = ""
        except Exception as error:  # without this thread, nothing would be started again
            trouble = f"{type(error).__name__}: {error}"
            if trouble != child.trouble:
                child.trouble = trouble  # first, because showing it may fail as well
                self.show(f"The {child.program.title} cannot be watched ({trouble}); this is tried again.")

    def _note_recovery(self, child: _Child) -> None:
        if child.budget.recover(child.ran_s):
            self.show(f"The {child.program.title} runs again.")

    def _restart_when_due(self, child: _Child) -> None:
        if child.due_at is None:
            child.due_at = time.monotonic() + self._plan_restart(child)
        if time.monotonic() >= child.due_at:
            self._restart(child)

    def _plan_restart(self, child: _Child) -> float:
        """Seconds until the program starts again; says so, but for a rarely started one only once."""
        restart = child.budget.plan_restart(time.monotonic(), child.ran_s)
        ended = f"The {child.program.title} ended with {child.process.returncode}"
        if restart.is_given_up:
            self.show(
                f"{ended} too often within an hour; from now on it is started every {RARE_S / 60:.0f} minutes. All "
                f"other programs go on. See {self._log_path(child.program)}."
            )
        elif not restart.is_rare:
            self.show(f"{ended}; starting it again{f' in {restart.pause_s:g} s' if restart.pause_s else ''}.")
        return restart.pause_s

    def _restart(self, child: _Child) -> None:
        child.started_at, child.due_at = time.monotonic(), None  # a failed start counts as one that ended at once
        self._free_port(child.program)
        child.process = self._launch(child.program)
        child.n_restarts += 1

    def stop(self) -> None:
        """Stop watching, then all programs, last started first, then all other processes with the group's mark."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        for child in reversed(self.children):
            send_signal(child.process, signal.SIGTERM)
        until = time.monotonic() + _STOP_TIMEOUT_S
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                send_signal(child.process, signal.SIGKILL)
        self.children.clear()
        stop_leftovers(self.settings)

    def pid(self, name: str) -> int:
        """Process id of a program."""
        return self._find(name).process.pid

    def _find(self, name: str) -> _Child:
        return next(child for child in self.children if child.program.name == name)

    def _free_port(self, program: Program) -> None:
        """Stop the remaining processes of a killed server. Flow runs of a dead worker are left to finish."""
        if program.port is not None:
            stop_program(self.settings, program)

    def _spawn(self, program: Program) -> _Child:
        self.show(f"Starting the {program.title}")
        self.children.append(_Child(program, self._launch(program), time.monotonic()))
        return self.children[-1]

    def _launch(self, program: Program) -> subprocess.Popen[bytes]:
        with log_files.open_log(self._log_path(program)) as log:
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
            if not child.runs and not child.watched:
                raise CannotStart(self._explain_death(program))
            return _answers(url, trust_own(self.settings))

        if not poll(is_ready, every_s=0.2, timeout_s=_READY_TIMEOUT_S):
            raise CannotStart(f"The {program.title} does not answer at {url}; see {self._log_path(program)}.")

    def _deploy(self) -> None:
        """Apply prefect.yaml.

        The local worker has not started yet, so all running runs of the local server are dead, and nothing will take up
        the waiting ones but this group. A remote server has other workers, so its runs are left alone.
        """
        run_queue.ensure_work_pool(WORK_POOL)
        if not self.settings.prefect_url:
            run_queue.clear_runs()
            run_queue.ensure_death_rule()
        self.show("Applying prefect.yaml")
        prefect = next(child for child in self.children if child.program.deploy)
        n_restarts, done = prefect.n_restarts, self._apply_deployments(prefect.program)
        if done.returncode and (prefect.n_restarts > n_restarts or not prefect.runs):
            self._wait_ready(prefect.program)
            done = self._apply_deployments(prefect.program)
        if done.returncode:
            raise CannotStart(f"prefect.yaml could not be applied:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _apply_deployments(self, prefect: Program) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                prefect.deploy,
                cwd=self.settings.root,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=_DEPLOY_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as late:
            raise CannotStart(
                f"prefect.yaml could not be applied within {_DEPLOY_TIMEOUT_S:.0f} s; see {self._log_path(prefect)}."
            ) from late

    def _log_path(self, program: Program) -> Path:
        return self.settings.logs_dir / f"{program.name}.log"

    def _explain_death(self, program: Program) -> str:
        """Why a program ended while starting: a fault of the disk in one sentence, or the end of its log."""
        try:
            require_writable(self.settings.state_dir)
        except DiskFault as fault:
            return f"The {program.title} ended while starting. {fault}"
        log = self._log_path(program)
        return f"The {program.title} ended while starting. Its log ({log}) ends with:\n{log_files.read_end(log)}"


@contextmanager
def run_group(settings: Settings, show: Show) -> Iterator[Group]:
    """Start a group, and stop it when the block ends, also after an error.

    Raises:
        AlreadyRuns: another group runs on this state folder.
        CannotStart: a port is taken, or a program fails to start.
        DiskFault: the state folder cannot be written.
        InvalidInput: other machines could reach the servers without a key, or a setting about that is refused.
    """
    check_exposure(settings)
    require_writable(settings.state_dir)
    with hold_group_lock(settings):
        stop_leftovers(settings)
        programs = list_programs(settings)
        require_free_ports(settings, programs)
        group = Group(settings, show, build_environment(settings))
        try:
            group.start(programs)
            yield group
        finally:
            group.stop()


def _answers(url: str, trust: Trust) -> bool:
    try:
        return httpx.get(url, timeout=2, verify=trust).status_code < 400
    except httpx.HTTPError:
        return False
