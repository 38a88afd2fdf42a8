"""Writes into BentoML's stores: one writer at a time, whole items, and a pointer that names the newest one.

BentoML's own stores copy an item file by file, and set their pointer `latest` to the item with the latest creation
time: after a clock that was ahead, that is an old one. If another item of the store is damaged, they raise after the
copy. So items are made in a temporary store, renamed into the real one, and the pointer is written here.
"""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bentos.model_store import POINTER
from okawari.storage.atomic_write import write_whole

WRECK_AGE_S = 600
"""Writing an item takes seconds; an incomplete one of this age is abandoned."""


@contextmanager
def lock_store(folder: Path, name: str) -> Iterator[None]:
    """Allow one writer at a time for the items of a name in a store."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def open_temporary(store: Path) -> Iterator[Path]:
    """An empty folder on the same file system as a store, removed at the end."""
    parent = _temporary_path(store)
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def adopt_item(made: Path, store: Path, name: str, version: str) -> Path:
    """Move a complete item from a temporary store into a store and make it the newest one; returns its folder."""
    place = store / name / version
    place.parent.mkdir(parents=True, exist_ok=True)
    (made / name / version).rename(place)
    _write_pointer(place)
    return place


def remove_abandoned(store: Path) -> int:
    """Remove temporary folders that a killed process left behind; returns their number."""
    return sum(_remove_if_old(path) for path in _temporary_path(store).glob("*") if path.is_dir())


def _remove_if_old(path: Path) -> bool:
    try:
        if abs(time.time() - path.stat().st_mtime) <= WRECK_AGE_S:
            return False
    except FileNotFoundError:
        return False  # its process has removed it since it was listed
    shutil.rmtree(path, ignore_errors=True)
    return True


def _write_pointer(place: Path) -> None:
    pointer = place.parent / POINTER
    if pointer.is_dir():  # a file cannot replace a folder
        shutil.rmtree(pointer)
    write_whole(pointer, lambda path: path.write_text(place.name))


def _temporary_path(store: Path) -> Path:
    return store.parent / "okawari-tmp"
