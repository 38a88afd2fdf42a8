"""A full, read-only or forbidden disk gets one sentence, in every command. The disks are real file systems."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from okawari.errors import OkawariError
from okawari.storage.disk_faults import DiskFault, explain_disk_fault, require_writable
from okawari.storage.journal import Journal

if TYPE_CHECKING:
    from tests.conftest import Said

pytestmark = pytest.mark.fault
Call = Callable[..., "Said"]


def _mount(options: str, folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def disk(home: Path) -> Iterator[Path]:
    """The home on a disk of 4 MB of its own."""
    home.mkdir()
    if not _mount("size=4m", home):
        pytest.skip("this user may not mount a file system of its own")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def full_disk(disk: Path) -> Path:
    """The same disk without one free byte."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (65_536, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return disk


@pytest.fixture
def read_only_disk(disk: Path) -> Path:
    """The same disk, mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    return disk


COMMANDS = [["up", "--once"], ["status", "blobs"], ["run", "blobs"], ["readings", "blobs", "out.csv"], ["loop"]]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_read_only_home_is_one_sentence(arguments: list[str], read_only_disk: Path, call: Call) -> None:
    said = call(*arguments)
    assert said.code == 1
    assert "Traceback" not in said.err and said.err.count("\n") == 1
    if arguments[0] in ("up", "loop"):
        assert "its file system is read-only" in said.err and "OKAWARI_HOME" in said.err


def test_up_on_a_full_disk_is_one_sentence_and_works_after_freeing(full_disk: Path, call: Call) -> None:
    said = call("up", "--once")
    assert said.code == 1
    assert said.err.startswith(f"okawari: {full_disk} cannot be written: its disk is full (0 MB free).")
    assert said.err.count("\n") == 1
    assert list(full_disk.iterdir()) == [full_disk / "ballast"]
    (full_disk / "ballast").unlink()
    require_writable(full_disk)


@pytest.mark.parametrize("command", ["up", "status", "run"])
def test_a_home_below_a_file_is_one_sentence(command: str, home: Path, call: Call, tmp_path: Path) -> None:
    home.write_text("this is a file")
    said = call(command, *(() if command == "up" else ("blobs",)))
    assert said.code == 1
    assert "Traceback" not in said.err and said.err.count("\n") == 1


def test_a_folder_of_another_user_is_one_sentence() -> None:
    """As another user, because permissions do not bind the administrator."""
    if os.getuid() != 0:
        pytest.skip("only the administrator can become another user")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "home").mkdir(mode=0o700)
        Path(folder).chmod(0o755)
        call = f"from pathlib import Path; require_writable(Path({folder!r}) / 'home')"
        code = f"import os; from okawari.storage.disk_faults import require_writable; os.setuid(65534); {call}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "DiskFault" in done.stderr and "this user has no permission" in done.stderr


def test_the_journal_of_a_full_disk_works_again_after_freeing(full_disk: Path) -> None:
    journal = Journal(full_disk / "journal" / "blobs", "predictions")
    for _ in range(3):
        with pytest.raises(OSError):
            journal.append([{"id": "a" * 100_000}])
    (full_disk / "ballast").unlink()
    journal.append([{"id": "b"}])
    journal.close()


def test_sqlite_on_a_full_disk_is_explained(full_disk: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as failed:
        sqlite3.connect(full_disk / "new.db").execute("create table t (x)")
    assert "its disk is full" in (explain_disk_fault(failed.value) or "")


def test_a_table_on_a_full_disk_is_explained(full_disk: Path) -> None:
    from okawari.policy.decision import Decision, Kind
    from okawari.storage.decision_log import record_decision

    with pytest.raises(Exception) as failed:
        record_decision("blobs", Decision(Kind.REPAIR, "train", "a test"))
    assert "its disk is full" in (explain_disk_fault(failed.value) or "")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        PermissionError(13, "Permission denied"),
        ConnectionError("refused"),
        OkawariError("one sentence"),
    ],
)
def test_other_errors_are_not_taken_for_a_disk_fault(error: Exception) -> None:
    assert explain_disk_fault(error) is None


def test_a_disk_fault_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DiskFault, match="a part of this path is a file"):
        require_writable(tmp_path / "file" / "home")
