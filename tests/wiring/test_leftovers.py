"""The check that ends every run of the tests: what a test left running is found, told and stopped."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from tests import leftovers

PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"


def _is_over(pid: int) -> bool:
    """Whether a process has ended; its entry may stay for as long as nobody asks how it did."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_whose_parent_is_gone_is_found_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_GRACE_S", 0.2)
    subprocess.run([sys.executable, "-c", PARENT], env={**os.environ, leftovers.MARK: "a test of ours"}, check=True)
    [told] = leftovers.stop_leftovers("a test of ours")
    assert "time.sleep(60)" in told
    assert _is_over(int(told.partition(":")[0]))
    assert leftovers.stop_leftovers("a test of ours") == []


def test_nothing_left_is_nothing_told() -> None:
    assert leftovers.stop_leftovers("nobody has this mark") == []
