"""Processes that tests leave behind: found by an environment variable that all inherit, stopped by their ids."""

from __future__ import annotations

import os

import psutil

MARK = "TESTS_STARTED_BY"
"""Environment variable with the id of the process that runs the tests; not ours by name, so no fixture removes it."""
_GRACE_S = 10.0
"""How long a server that was told to stop may take to do so, on a busy machine."""


def stop_leftovers(mark: str) -> list[str]:
    """Wait for the processes with this mark to end, kill those that do not, and return their command lines."""
    left = [process for process in psutil.process_iter() if _is_marked(process, mark)]
    _, alive = psutil.wait_procs(left, timeout=_GRACE_S)
    told = [_describe(process) for process in alive]
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=_GRACE_S)
    return told


def _is_marked(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        # The standard library's tracker of shared memory ends with the process that runs the tests, not before.
        return process.environ().get(MARK) == mark and "multiprocessing.resource_tracker" not in str(process.cmdline())
    except (psutil.Error, OSError):
        return False


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid}: {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return f"{process.pid}: ended meanwhile"
