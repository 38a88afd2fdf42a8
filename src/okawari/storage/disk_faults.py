"""Faults of the disk in one sentence: full, read-only, not permitted, or no folder. Says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from okawari.errors import OkawariError
from okawari.settings import load_settings

_PROBE_BYTES = 65_536
_FULL, _READ_ONLY, _FORBIDDEN, _NO_FOLDER, _BROKEN = "full", "read-only", "forbidden", "no folder", "broken"
_BY_NUMBER = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.ENOTDIR: _NO_FOLDER,
    errno.EIO: _BROKEN,
}
_BY_TEXT = {
    "no space left on device": _FULL,
    "database or disk is full": _FULL,
    "disk quota exceeded": _FULL,
    "read-only file system": _READ_ONLY,
    "attempt to write a readonly database": _READ_ONLY,
    "permission denied (os error": _FORBIDDEN,
    "not a directory": _NO_FOLDER,
    "disk i/o error": _BROKEN,
}
"""Parts of the messages of libraries that raise their own errors: SQLite, Delta Lake, Arrow, MLflow."""


class DiskFault(OkawariError, OSError):
    """The state folder cannot be written; the message says why and what to do."""


def explain_disk_fault(error: BaseException) -> str | None:
    """One sentence on the disk fault that caused an error; None where no disk fault is among its causes."""
    for cause in _list_causes(error):
        kind = _find_kind(cause)
        if kind is not None:
            return _explain(kind, _name_path(cause))
    return None


def require_writable(folder: Path) -> None:
    """Write a small file into the folder and remove it again; a missing folder is created.

    Raises:
        DiskFault: the folder cannot be written.
    """
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with probe.open("wb") as file:
                file.write(b"\0" * _PROBE_BYTES)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as failed:
        raise DiskFault(_explain(_find_kind(failed) or _BROKEN, folder)) from failed


def _list_causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the error itself first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _find_kind(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno is not None:
        kind = _BY_NUMBER.get(error.errno)
        # Sockets are refused with the same number, but without a file's name.
        return None if kind == _FORBIDDEN and error.filename is None else kind
    text = str(error).lower()
    return next((kind for part, kind in _BY_TEXT.items() if part in text), None)


def _name_path(error: BaseException) -> Path:
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return Path(os.fsdecode(name)) if isinstance(name, str | bytes) else load_settings().state_dir


def _explain(kind: str, path: Path) -> str:
    return {
        _FULL: f"{path} cannot be written: its disk is full ({_count_free(path)}). Free space there and run the same "
        "again; what was stored before is intact.",
        _READ_ONLY: f"{path} cannot be written: its file system is read-only. Make it writable, or set OKAWARI_HOME to "
        "a folder that is.",
        _FORBIDDEN: f"{path} cannot be used: this user has no permission. Change its owner or mode, or set "
        "OKAWARI_HOME to a folder of this user.",
        _NO_FOLDER: f"{path} cannot be made: a part of this path is a file. Move that file, or set OKAWARI_HOME to "
        "another folder.",
        _BROKEN: f"{path} cannot be written: the disk reports an error. Check the disk, or set OKAWARI_HOME to a "
        "folder on another one.",
    }[kind]


def _count_free(path: Path) -> str:
    for folder in (path, *path.parents):
        if folder.is_dir():
            return f"{shutil.disk_usage(folder).free / 1e6:.0f} MB free"
    return "no space free"
