"""The Bento: built from `bentofile.yaml`, the newest model of each case and the user's own cases, and pruned.

Its sources are copied into a folder of their own first, with the user's cases in their place and the key that verifies
the models, so a Bento is complete as soon as it is in the store. A Bento that already holds the same sources and models
is not built again.
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bentos.model_store import KEY_FILE, POINTER, bento_store_path, read_newest, read_sequence
from bentos.store_writer import adopt_item, lock_store, open_temporary
from okawari.security.signatures import find_public_key
from okawari.settings import Settings, load_settings

BENTO = "okawari"
_CONTENTS, _SEQUENCE = "contents", "sequence"


@dataclass(frozen=True)
class Plan:
    """What the Bento is to hold: the options of `bentofile.yaml`, the models' tags, the cases, a folder of sources."""

    options: Mapping[str, Any]
    models: Sequence[str]
    cases: str
    sources: Path

    def compute_digest(self) -> str:
        """The sha256 of all that the Bento is made of, in hexadecimal."""
        files = {
            path.relative_to(self.sources).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in _list_files(self.sources)
        }
        described = json.dumps([self.options, list(self.models), self.cases, files], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()


def build() -> dict[str, Any]:
    """Build the Bento, unless the newest one already holds the same sources and the newest model of each case."""
    settings = load_settings()
    options = yaml.safe_load((settings.root / "bentofile.yaml").read_text())
    newest = [entry.tag for name in settings.case_names if (entry := read_newest(name)) is not None]
    with lock_store(bento_store_path(), BENTO), open_temporary(bento_store_path()) as folder:
        copy_sources(folder / "sources", options["include"], settings)
        (folder / "sources" / KEY_FILE).write_text(find_public_key())
        plan = Plan(options, newest, ",".join(settings.case_names), folder / "sources")
        same = _find_same(plan)
        tag = _build(plan, folder / "bentos") if same is None else str(same.tag)
    return {"bento": tag, "built": same is None, "models": newest}


def list_bentos() -> list[Any]:
    """The readable Bentos, newest first, by the numbers that they got when they were stored."""
    folders = (path for path in (bento_store_path() / BENTO).glob("*") if path.is_dir())
    found = [bento for folder in folders if (bento := _read_bento(folder.name)) is not None]
    return sorted(found, key=lambda bento: (read_sequence(bento.info.labels), bento.creation_time), reverse=True)


def prune_bentos(keep: int) -> list[str]:
    """Delete all but the newest `keep` Bentos and the one that the pointer names; returns the deleted tags."""
    named = _read_pointer()
    old = [bento for bento in list_bentos()[keep:] if bento.tag.version != named]
    # BentoML's delete lists all Bentos to choose a new pointer and fails on a damaged one. The newest one stays.
    for bento in old:
        shutil.rmtree(bento.path)
    return [str(bento.tag) for bento in old]


def copy_sources(folder: Path, include: Sequence[str], settings: Settings) -> None:
    """Copy the included files of the checkout, with the user's own cases and recipes in place of its folder of cases.

    Only Python files are copied from the user's folder; hidden folders and the state are left out.
    """
    own, bundled = settings.cases_dir.resolve(), settings.root.resolve() / "cases"
    is_elsewhere = own != bundled and own.is_dir()
    for pattern in include:
        if not (is_elsewhere and pattern.startswith("cases/")):
            _copy(settings.root, sorted(settings.root.glob(pattern)), folder)
    if is_elsewhere:
        modules = [path for path in own.rglob("*.py") if not path.is_relative_to(settings.state_dir.resolve())]
        _copy(own, sorted(modules), folder / "cases")


def _copy(root: Path, paths: Sequence[Path], folder: Path) -> None:
    for path in paths:
        part = path.relative_to(root)
        if not any(name.startswith(".") or name == "__pycache__" for name in part.parts):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / part)


def _build(plan: Plan, made: Path) -> str:
    import bentoml
    from bentoml._internal.bento import BentoStore

    made.mkdir()
    number = 1 + max((read_sequence(bento.info.labels) for bento in list_bentos()), default=0)
    labels = {**plan.options.get("labels", {}), _CONTENTS: plan.compute_digest(), _SEQUENCE: str(number)}
    bento = bentoml.bentos.build(
        **{**plan.options, "labels": labels, "include": ["*"]},  # the folder holds what was included, and nothing else
        models=list(plan.models),
        args={"cases": plan.cases},
        build_ctx=str(plan.sources),
        _bento_store=BentoStore(made),
    )
    adopt_item(made, bento_store_path(), bento.tag.name, bento.tag.version)
    return str(bento.tag)


def _find_same(plan: Plan) -> Any | None:
    """The newest Bento, if it holds what is planned and none of its sources is damaged."""
    bento = _read_bento(_read_pointer())
    if bento is None or bento.info.labels.get(_CONTENTS) != plan.compute_digest():
        return None
    copied = Path(bento.path) / "src"
    pairs = ((path, copied / _place(path.relative_to(plan.sources))) for path in _list_files(plan.sources))
    return bento if all(kept.is_file() and filecmp.cmp(path, kept, shallow=False) for path, kept in pairs) else None


def _place(source: Path) -> Path:
    """Where BentoML puts a source (`is_src_layout`): what lies in `src` lies beside the other packages."""
    return source.relative_to("src") if source.parts[0] == "src" else source


def _read_pointer() -> str:
    try:
        return (bento_store_path() / BENTO / POINTER).read_text().strip()
    except OSError:
        return ""


def _read_bento(version: str) -> Any | None:
    import bentoml

    if not version:
        return None
    try:
        return bentoml.bentos.get(f"{BENTO}:{version}")
    except Exception:  # a damaged description can raise anything; such a folder is not a Bento
        return None


def _list_files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
