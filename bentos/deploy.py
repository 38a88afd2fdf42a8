"""The model store, write side: store, list and prune deployables, and build the Bento.

    python -m bentos.deploy put <folder>     store a deployable; the service loads it within a second
    python -m bentos.deploy release <folder> put, then build: what packaging does, in one process
    python -m bentos.deploy list <case>
    python -m bentos.deploy prune <case>     keep the newest entries and every entry that a kept Bento uses
    python -m bentos.deploy build            build the Bento from bentofile.yaml and the newest model of each case
    python -m bentos.deploy key              the public key that verifies deployables (OKAWARI_SIGNING_KEY)

Each command prints one line of JSON. BentoML reads its environment on import, so functions here import it.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bentos.bento_build import build, list_bentos, prune_bentos
from bentos.model_store import Entry, Listed, list_entries, list_wreckage, read_newest, store_path
from bentos.store_writer import WRECK_AGE_S, adopt_item, lock_store, open_temporary, remove_abandoned
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput, OkawariError
from okawari.security.signatures import find_public_key
from okawari.settings import load_settings
from okawari.storage.deployable import Manifest, load_deployable

KEEP = 5


def put(folder: Path) -> dict[str, Any]:
    """Store a deployable as the newest entry of its case, unless the newest entry already is this deployable,
    undamaged.

    An older version that is stored again becomes the newest entry: that is a rollback. Damaged entries and a damaged
    pointer are left behind; a new entry and a new pointer take their place.

    Raises:
        InvalidInput: the deployable is not signed by this installation.
        OSError: a file of the deployable is missing.
        OkawariError: the stored entry is not the one that the pointer names.
    """
    manifest = load_deployable(folder).manifest
    load_case(manifest.case)
    with lock_store(store_path(), manifest.case):
        newest = read_newest(manifest.case)
        if newest is not None and _holds(newest, folder):
            return {"tag": newest.tag, "added": False}
        return {"tag": _store(folder, manifest).tag, "added": True}


def _holds(entry: Entry, folder: Path) -> bool:
    """Whether an entry can be read and every file of a deployable is in it, byte by byte."""
    import bentoml

    try:
        bentoml.models.get(entry.tag)
        load_deployable(entry.path)
    except Exception:  # a damaged entry can raise anything
        return False
    pairs = [(path, entry.path / path.name) for path in folder.iterdir()]
    return all(kept.is_file() and filecmp.cmp(path, kept, shallow=False) for path, kept in pairs)


def _store(folder: Path, manifest: Manifest) -> Entry:
    import bentoml
    from bentoml._internal.models import ModelStore

    known = {name: value for name, value in asdict(manifest).items() if value is not None}
    with open_temporary(store_path()) as made:
        store = ModelStore(made)
        with bentoml.models.create(manifest.case, labels=_label(manifest), metadata=known, _model_store=store) as model:
            shutil.copytree(folder, model.path, dirs_exist_ok=True)
        adopt_item(made, store_path(), manifest.case, str(model.tag.version))
    stored = read_newest(manifest.case)
    if stored is None or stored.tag != str(model.tag):
        raise OkawariError(
            f"{model.tag} was stored, but the pointer of {manifest.case} names {stored and stored.tag}; it names the "
            "entry that was stored last. Another program writes there; stop it, and package the version again."
        )
    return stored


def prune(case_name: str, keep: int = KEEP) -> dict[str, Any]:
    """Delete old Bentos and old entries of a case.

    Kept are the newest `keep` of each, every entry that a kept Bento uses, and the newest intact entry, which serves
    when all newer ones are refused.
    """
    if keep < 1:
        raise InvalidInput(f"keep is {keep}; the newest entry always stays, so keep at least 1.")
    bentos, n_abandoned = prune_bentos(keep), remove_abandoned(store_path())
    with lock_store(store_path(), case_name):
        wreckage = [path for path in list_wreckage(case_name) if abs(time.time() - path.stat().st_mtime) > WRECK_AGE_S]
        listed, newest = list_entries(case_name), read_newest(case_name)
        kept = {each.entry.tag for each in listed[:keep]} | _referenced() | _find_intact(listed)
        kept |= set() if newest is None else {newest.tag}
        old = [each.entry for each in listed if each.entry.tag not in kept]
        # BentoML's delete lists all entries to update the pointer and fails on an incomplete one. The newest one stays.
        for path in (*wreckage, *(entry.path for entry in old)):
            shutil.rmtree(path)
    return {"models": [entry.tag for entry in old], "bentos": bentos, "wreckage": len(wreckage) + n_abandoned}


def _label(manifest: Manifest) -> dict[str, str]:
    number = 1 + max((each.sequence for each in list_entries(manifest.case)), default=0)
    return {
        "registry_version": manifest.version,
        "graph_sha256": manifest.graph_sha256,
        "sequence": str(number),
    }


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


def _referenced() -> set[str]:
    return {str(model.tag) for bento in list_bentos() for model in bento.info.all_models}


def _list(case_name: str) -> dict[str, Any]:
    return {"entries": [each.describe() for each in list_entries(case_name)]}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bentos.deploy", description="The model store and the Bento.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("put", help="store a deployable").add_argument("folder", type=Path)
    commands.add_parser("release", help="store a deployable and build the Bento").add_argument("folder", type=Path)
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
    if options.command == "release":
        return {**put(options.folder), **build()}
    if options.command == "list":
        return _list(options.case)
    if options.command == "key":
        return {"public_key": find_public_key()}
    return prune(options.case, options.keep) if options.command == "prune" else build()


if __name__ == "__main__":
    raise SystemExit(main())
