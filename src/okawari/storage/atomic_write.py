"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from okawari.errors import OkawariError


def write_whole(place: Path, write: Callable[[Path], Any], target: Path | None = None) -> None:
    """Write a file so that it is whole or not there: beside `place`, to disk, then renamed to it or to `target`."""
    passing = place.with_name(f"{place.name}.tmp")
    try:
        write(passing)
        with passing.open("rb") as handle:
            os.fsync(handle.fileno())
        passing.replace(target or place)
    except OSError as failed:
        raise OkawariError(
            f"{target or place} cannot be written: {failed}. Nothing is lost: make room and run the same again."
        ) from failed
