"""Log files of the programs, which rotate while the programs write to them.

A program appends to a file that was opened for it (O_APPEND), so a log is copied and then emptied; the program goes on
at its new end. What is written in the instant between the last copied byte and the emptying is lost, and nothing else.
"""

from __future__ import annotations

import os
import shutil
from itertools import pairwise
from pathlib import Path
from typing import IO

LIMIT_BYTES = 20_000_000
N_OLD = 3
"""Old logs that are kept beside a log: `prefect.1.log` (the newest) to `prefect.3.log`."""


def open_log(path: Path) -> IO[bytes]:
    """Open a log to append to it; its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def rotate_log(path: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Copy a log that is longer than the limit to `.1.log` and empty it; returns whether it was done.

    A log stays as it is while the disk has no space for its copy.
    """
    if not path.is_file() or (size := path.stat().st_size) <= limit_bytes:
        return False
    if shutil.disk_usage(path.parent).free < 2 * size:
        return False
    _copy_and_empty(path, [path.with_suffix(f".{number}.log") for number in range(1, N_OLD + 1)])
    return True


def _copy_and_empty(path: Path, old: list[Path]) -> None:
    copy = path.with_suffix(".copy")
    with path.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
        for newer, older in reversed(list(pairwise(old))):
            if newer.exists():
                newer.replace(older)
        copy.replace(old[0])
        shutil.copyfileobj(source, target)  # lines that were written meanwhile
        target.flush()
        os.truncate(path, 0)


def read_end(path: Path, n_lines: int = 15) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-n_lines:])
    except FileNotFoundError:
        return ""
