"""The version of the state folder: which layout of tables, tags and journals it holds.

`state.json` is written when the state folder is first used. State of another version raises an error that names the
command to run; each change of the layout adds a step to `okawari.storage.migrations`, and `okawari migrate` runs these
steps.
"""

from __future__ import annotations

import json
import uuid
from functools import lru_cache
from pathlib import Path

from okawari import __version__
from okawari.errors import InvalidInput

STATE_VERSION = 4
STATE_FILE = "state.json"

_HELD = "data"
"""Folder that exists in every used state folder: tables are written before all other state."""


@lru_cache(maxsize=64)
def ensure_state(folder: Path) -> None:
    """Mark a new state folder with this version; each folder is checked once per process.

    Raises:
        InvalidInput: it holds state of another version, or state from before versions were kept.
    """
    is_used = (folder / _HELD).exists()  # checked first: another process may mark and fill the folder meanwhile
    found = read_state_version(folder)
    if found is None and not is_used:
        write_state_version(folder, STATE_VERSION)
    elif found != STATE_VERSION:
        raise InvalidInput(explain_version(folder, found))


def read_state_version(folder: Path) -> int | None:
    """The version that a state folder is marked with; None where it has no mark.

    Raises:
        InvalidInput: the mark cannot be read.
    """
    file = folder / STATE_FILE
    try:
        return int(json.loads(file.read_text())["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as damage:
        raise InvalidInput(
            f"{file} cannot be read ({damage}); it holds the version of the state, such as "
            f'{{"version": {STATE_VERSION}}}. Restore it from a copy.'
        ) from damage


def write_state_version(folder: Path, version: int) -> None:
    """Mark a state folder with a version; a missing folder is created."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{STATE_FILE}.{uuid.uuid4().hex}"
    temporary.write_text(json.dumps({"version": version, "okawari": __version__}) + "\n")
    temporary.replace(folder / STATE_FILE)


def explain_version(folder: Path, found: int | None) -> str:
    """Why state of a version cannot be used, and what to do."""
    if found is None:
        return (
            f"{folder} holds state from before versions were kept; Okawari {__version__} reads version "
            f"{STATE_VERSION} and cannot migrate it. Set OKAWARI_HOME to an empty folder, or remove this one."
        )
    if found > STATE_VERSION:
        return (
            f"{folder} holds state of version {found}; Okawari {__version__} reads version {STATE_VERSION}. Install "
            "the newer Okawari that wrote it, or set OKAWARI_HOME to an empty folder."
        )
    return (
        f"{folder} holds state of version {found}; Okawari {__version__} reads version {STATE_VERSION}. Run: "
        "okawari migrate, or set OKAWARI_HOME to an empty folder."
    )
