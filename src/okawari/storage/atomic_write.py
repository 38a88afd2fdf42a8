"""Atomic file writes: a file is complete or absent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from okawari.errors import OkawariError


def write_whole(path: Path, write: Callable[[Path], Any], target: Path | None = None) -> None:
    """Write a file atomically: to a temporary file beside `path`, flushed to disk, then renamed to `target` or `path`.

    Raises:
        OkawariError: the file cannot be written.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target or path)
    except OSError as failed:
        raise OkawariError(
            f"{target or path} cannot be written: {failed}. Nothing was lost; free disk space and run the same again."
        ) from failed
