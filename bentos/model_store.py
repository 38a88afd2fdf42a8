"""The model store, read side: which entries a case has, and which one is newest.

An entry is a deployable folder under `<model store>/<case>/<version>/`. `bentos.store_writer` renames whole entries
into place and writes the pointer `<case>/latest` last, so the entry in the pointer is complete. This module does not
use BentoML's `get("<case>:latest")`: without a pointer, that picks one of the folders by its creation time.

The label `sequence` numbers the entries of a case in the order in which they were stored; clocks go wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

POINTER = "latest"
_ENTRY_FILE = "model.yaml"
KEY_FILE = "signing_key"
"""The public key in a built Bento's source folder."""


@dataclass(frozen=True)
class Entry:
    """One deployed version in the model store."""

    tag: str
    path: Path


@dataclass(frozen=True)
class Listed:
    """An entry with its creation time and labels."""

    entry: Entry
    created_at: datetime
    labels: dict[str, str]

    @property
    def sequence(self) -> int:
        """The number of the entry among those of its case, in order of storing."""
        return read_sequence(self.labels)

    def describe(self) -> dict[str, Any]:
        """The entry as plain JSON values."""
        return {"tag": self.entry.tag, "created_at": self.created_at.isoformat(), **self.labels}


def home_path() -> Path:
    """BentoML's own folder (`BENTOML_HOME`)."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.bentoml_home.get())


def store_path() -> Path:
    """Folder of the model store that this process uses (inside a container: the Bento's own)."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.model_store.get()._path)


def bento_store_path() -> Path:
    """Folder of the Bentos that this process uses."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    return Path(BentoMLContainer.bento_store.get()._path)


def read_sequence(labels: Mapping[str, str]) -> int:
    """The number that an entry or a Bento got when it was stored; 0 for those of earlier versions of Okawari."""
    text = labels.get("sequence", "")
    return int(text) if text.isdecimal() else 0


def read_newest(case_name: str) -> Entry | None:
    """The entry in `<case>/latest`; None if the pointer is missing or damaged, or names no complete entry."""
    try:
        version = (store_path() / case_name / POINTER).read_text().strip()
    except (OSError, ValueError):  # missing, or not text
        return None
    if version != Path(version).name:
        return None
    path = store_path() / case_name / version
    return Entry(f"{case_name}:{version}", path) if (path / _ENTRY_FILE).is_file() else None


def list_entries(case_name: str) -> list[Listed]:
    """All complete entries of a case, newest first."""
    files = (store_path() / case_name).glob(f"*/{_ENTRY_FILE}")
    found = [listed for file in files if (listed := _read_entry(case_name, file.parent)) is not None]
    return sorted(found, key=lambda each: (each.sequence, each.created_at), reverse=True)


def _read_entry(case_name: str, folder: Path) -> Listed | None:
    import bentoml

    try:
        model = bentoml.models.get(f"{case_name}:{folder.name}")
    except Exception:  # a damaged description can raise anything; such a folder is not an entry
        return None
    return Listed(Entry(str(model.tag), Path(model.path)), model.creation_time, dict(model.info.labels))


def list_wreckage(case_name: str) -> list[Path]:
    """Folders of incomplete entries, left by an interrupted write."""
    folders = (path for path in (store_path() / case_name).glob("*") if path.is_dir())
    return [path for path in folders if not (path / _ENTRY_FILE).is_file()]
