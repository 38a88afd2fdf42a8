"""Processes of this machine: those that carry a group's mark, and those that hold a port."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import psutil

from okawari.errors import OkawariError
from okawari.local.programs import GROUP_MARK, PROGRAM_MARK, Program
from okawari.settings import Settings


class CannotStart(OkawariError, RuntimeError):
    """The group cannot start; the message gives the reason and what to do."""


def require_free_ports(settings: Settings, programs: Sequence[Program]) -> None:
    """Check every port before anything starts.

    Raises:
        CannotStart: a port is taken; the message names each such port, the process that holds it, and its setting.
    """
    taken = [program for program in programs if program.port is not None and not is_free(settings.host, program.port)]
    if taken:
        lines = [
            f"Port {program.port} ({program.title}) is taken{name_holder(program.port)}; "
            f"stop that program or choose another port with {program.port_setting}=NUMBER."
            for program in taken
        ]
        raise CannotStart("\n".join(lines))


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def name_holder(port: int | None) -> str:
    """The process that listens on a port, as " by process 12 (name)"; empty where it cannot be seen."""
    try:
        holder = find_holder(port)
        return "" if holder is None else f" by process {holder.pid} ({holder.name()})"
    except psutil.Error:
        return ""  # processes of other users may be hidden; then the message names no process


def find_holder(port: int | None) -> psutil.Process | None:
    """The process that listens on a port; None where there is none, or it cannot be seen."""
    for connection in psutil.net_connections("tcp"):
        address: Any = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None


def belongs_to_group(process: psutil.Process, settings: Settings) -> bool:
    """Whether a process carries the mark of the group of this state folder."""
    return _read_marks(process)[0] == str(settings.state_dir)


def stop_leftovers(settings: Settings) -> int:
    """Stop every process that carries this group's mark; returns their number."""
    found = [process for process in psutil.process_iter() if belongs_to_group(process, settings)]
    _stop_all(found)
    return len(found)


def stop_program(settings: Settings, program: Program) -> None:
    """Stop every process of one program of this group."""
    mine = (str(settings.state_dir), program.name)
    _stop_all([process for process in psutil.process_iter() if _read_marks(process) == mine])


def send_signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a child, unless it has ended."""
    if process.poll() is None:
        _quietly(lambda: process.send_signal(number))


def _stop_all(found: list[psutil.Process]) -> None:
    for process in found:
        _quietly(process.terminate)
    _, stubborn = psutil.wait_procs(found, timeout=5)
    for process in stubborn:
        _quietly(process.kill)
    psutil.wait_procs(stubborn, timeout=5)


def _read_marks(process: psutil.Process) -> tuple[str | None, str | None]:
    """The group and the program that a process belongs to."""
    try:
        environment = process.environ()
        return environment.get(GROUP_MARK), environment.get(PROGRAM_MARK)
    except (psutil.Error, OSError):
        return None, None


def _quietly(act: Callable[[], object]) -> None:
    # A process that has ended meanwhile needs no signal.
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        act()
