"""The model store, write side: store, list and prune deployables, and build the Bento.

    python -m bentos.deploy put <folder>     store a deployable; the service loads it within a second
    python -m bentos.deploy list <case>
    python -m bentos.deploy prune <case>     keep the newest entries and every entry that a kept Bento uses
    python -m bentos.deploy build            build the Bento from bentofile.yaml and the newest model of each case
    python -m bentos.deploy key              the public key that verifies deployables (OKAWARI_SIGNING_KEY)

Each command prints one line of JSON. BentoML reads its environment on import, so functions here import it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from bentos.model_store import KEY_FILE, Entry, Listed, list_entries, list_wreckage, read_newest, store_path
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput, OkawariError
from okawari.security.signatures import find_public_key
from okawari.settings import Settings, load_settings
from okawari.storage.deployable import Manifest, load_deployable

KEEP = 5
BENTO = "okawari"
_WRECK_AGE_S = 600
"""Writing an entry takes a fraction of a second; an incomplete entry of this age is abandoned."""


def put(folder: Path) -> dict[str, Any]:
    """Store a deployable as the newest entry of its case, unless the newest entry already is this deployable.

    An older version that is stored again becomes the newest entry: that is a rollback.

    Raises:
        InvalidInput: the deployable is not signed by this installation.
        OSError: a file of the deployable is missing.
    """
    import bentoml

    manifest = load_deployable(folder).manifest
    load_case(manifest.case)
    with _locked(manifest.case):
        newest = read_newest(manifest.case)
        if newest is not None and _read_labels(newest) == _label(manifest):
            return {"tag": newest.tag, "added": False}
        known = {name: value for name, value in asdict(manifest).items() if value is not None}
        with bentoml.models.create(manifest.case, labels=_label(manifest), metadata=known) as model:
            shutil.copytree(folder, model.path, dirs_exist_ok=True)
        return {"tag": str(model.tag), "added": True}


def prune(case_name: str, keep: int = KEEP) -> dict[str, Any]:
    """Delete old Bentos and old entries of a case.

    Kept are the newest `keep` of each, every entry that a kept Bento uses, and the newest intact entry, which serves
    when all newer ones are refused.
    """
    if keep < 1:
        raise InvalidInput(f"keep is {keep}; the newest entry always stays, so keep at least 1.")
    bentos = _prune_bentos(keep)
    with _locked(case_name):
        wreckage = [path for path in list_wreckage(case_name) if time.time() - path.stat().st_mtime > _WRECK_AGE_S]
        listed = list_entries(case_name)
        kept = {each.entry.tag for each in listed[:keep]} | _referenced() | _find_intact(listed)
        old = [each.entry for each in listed if each.entry.tag not in kept]
        # BentoML's delete lists all entries to update the pointer and fails on an incomplete one. The newest one stays.
        for path in (*wreckage, *(entry.path for entry in old)):
            shutil.rmtree(path)
    return {"models": [entry.tag for entry in old], "bentos": bentos, "wreckage": len(wreckage)}


def build() -> dict[str, Any]:
    """Build the Bento: `bentofile.yaml`, the newest model of each case that has one, and the key that verifies them."""
    import bentoml

    settings = load_settings()
    options = yaml.safe_load((settings.root / "bentofile.yaml").read_text())
    newest = {name: entry for name in settings.case_names if (entry := read_newest(name)) is not None}
    bento = bentoml.bentos.build(
        **options,
        models=[entry.tag for entry in newest.values()],
        args={"cases": ",".join(settings.case_names)},
        build_ctx=str(settings.root),
    )
    _replace_cases(Path(bento.path) / "src" / "cases", settings)
    (Path(bento.path) / "src" / KEY_FILE).write_text(find_public_key())
    return {"bento": str(bento.tag), "models": [entry.tag for entry in newest.values()]}


def _replace_cases(copied: Path, settings: Settings) -> None:
    """Copy the user's own cases and recipes into a Bento if they lie outside the folder that it is built from.

    Only Python files are copied, as from inside that folder; hidden folders and the state are left out.
    """
    own = settings.cases_dir.resolve()
    if own == settings.root.resolve() / "cases" or not own.is_dir():
        return
    shutil.rmtree(copied, ignore_errors=True)
    for path in _list_modules(own, settings.state_dir.resolve()):
        place = copied / path.relative_to(own)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def _list_modules(folder: Path, state: Path) -> list[Path]:
    found = []
    for path in folder.rglob("*.py"):
        is_hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        if not is_hidden and not path.is_relative_to(state):
            found.append(path)
    return sorted(found)


def _label(manifest: Manifest) -> dict[str, str]:
    return {"registry_version": manifest.version, "graph_sha256": manifest.graph_sha256}


def _read_labels(entry: Entry) -> dict[str, str]:
    import bentoml

    return dict(bentoml.models.get(entry.tag).info.labels)


@contextmanager
def _locked(case_name: str) -> Iterator[None]:
    """Allow one writer at a time for a case."""
    path = store_path() / f".{case_name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_intact(listed: Sequence[Listed]) -> set[str]:
    """Tag of the newest entry that passes a service's checks, as a set of one tag or none."""
    from bentos.loading import Engine, load_checked

    for each in listed:
        try:
            load_checked(each.entry, load_case(each.entry.tag.partition(":")[0]), Engine("cpu", 1))
        except Exception:  # a broken deployable can raise anything; it is not intact
            continue
        return {each.entry.tag}
    return set()


def _list_bentos() -> list[Any]:
    import bentoml

    try:
        found = bentoml.bentos.list(BENTO)
    except bentoml.exceptions.NotFound:
        return []
    return sorted(found, key=lambda bento: bento.creation_time, reverse=True)


def _prune_bentos(keep: int) -> list[str]:
    import bentoml

    old = [str(bento.tag) for bento in _list_bentos()[keep:]]
    for tag in old:
        bentoml.bentos.delete(tag)
    return old


def _referenced() -> set[str]:
    return {str(model.tag) for bento in _list_bentos() for model in bento.info.all_models}


def _list(case_name: str) -> dict[str, Any]:
    return {"entries": [each.describe() for each in list_entries(case_name)]}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bentos.deploy", description="The model store and the Bento.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("put", help="store a deployable").add_argument("folder", type=Path)
    commands.add_parser("list", help="entries of a case, newest first").add_argument("case")
    pruning = commands.add_parser("prune", help="delete old entries of a case, and old Bentos")
    pruning.add_argument("case")
    pruning.add_argument("--keep", type=int, default=KEEP, help="how many to keep (%(default)s)")
    commands.add_parser("build", help="build the Bento")
    commands.add_parser("key", help="the public key that verifies deployables")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and print its result; a refused one exits with the reason on standard error."""
    options = _parse(arguments)
    os.environ.setdefault("BENTOML_HOME", str(load_settings().state_dir / "bentoml"))
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    try:
        print(json.dumps(_run(options)))
    except (OkawariError, OSError) as error:
        raise SystemExit(f"{options.command}: {error}") from error
    return 0


def _run(options: argparse.Namespace) -> dict[str, Any]:
    if options.command == "put":
        return put(options.folder)
    if options.command == "list":
        return _list(options.case)
    if options.command == "key":
        return {"public_key": find_public_key()}
    return prune(options.case, options.keep) if options.command == "prune" else build()


if __name__ == "__main__":
    raise SystemExit(main())
