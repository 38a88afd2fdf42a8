"""The model store, write side: put a deployable, list, prune, and build the Bento.

    python -m bentos.deploy put <folder>     store a deployable; the service takes it over within a second
    python -m bentos.deploy list <case>
    python -m bentos.deploy prune <case>     keep the newest entries and all that a kept Bento refers to
    python -m bentos.deploy build            build the Bento from bentofile.yaml and the newest model of each case

Each prints one line of JSON. BentoML reads its environment when it is imported, so it is imported late, in here.
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

from bentos.model_store import Entry, Listed, list_entries, list_wreckage, read_newest, store_path
from okawari.cases.loader import load_case
from okawari.errors import InvalidInput, OkawariError
from okawari.settings import Settings, load_settings
from okawari.storage.deployable import Manifest, load_deployable

KEEP = 5
BENTO = "okawari"
_WRECK_AGE_S = 600
"""Writing an entry takes a fraction of a second; a torn one of this age will not be finished."""


def put(folder: Path) -> dict[str, Any]:
    """Store a deployable as the newest entry of its case, unless that is what the newest entry already is.

    An older version put again becomes the newest entry: that is a rollback.

    Raises:
        InvalidInput: the graph is not the one that the manifest names.
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

    Kept are the newest `keep` of each, every entry that a kept Bento refers to, and the newest entry that is intact:
    it is what serves when all newer ones are refused.
    """
    if keep < 1:
        raise InvalidInput(f"keep is {keep}; the newest entry always stays, so keep at least 1.")
    bentos = _prune_bentos(keep)
    with _locked(case_name):
        wreckage = [path for path in list_wreckage(case_name) if time.time() - path.stat().st_mtime > _WRECK_AGE_S]
        listed = list_entries(case_name)
        spared = {each.entry.tag for each in listed[:keep]} | _referenced() | _find_intact(listed)
        doomed = [each.entry for each in listed if each.entry.tag not in spared]
        # BentoML's own delete lists all entries to renew the pointer and fails on a torn one; the newest stays anyway.
        for path in (*wreckage, *(entry.path for entry in doomed)):
            shutil.rmtree(path)
    return {"models": [entry.tag for entry in doomed], "bentos": bentos, "wreckage": len(wreckage)}


def build() -> dict[str, Any]:
    """Build the Bento: `bentofile.yaml`, and the newest model of each case that has one."""
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
    return {"bento": str(bento.tag), "models": [entry.tag for entry in newest.values()]}


def _replace_cases(copied: Path, settings: Settings) -> None:
    """Give a Bento the user's own cases and recipes where they lie outside the folder that it is built from."""
    own = settings.cases_dir.resolve()
    if own == settings.root.resolve() / "cases" or not own.is_dir():
        return
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(own, copied, ignore=shutil.ignore_patterns("__pycache__", ".*"))


def _label(manifest: Manifest) -> dict[str, str]:
    return {"registry_version": manifest.version, "graph_sha256": manifest.graph_sha256}


def _read_labels(entry: Entry) -> dict[str, str]:
    import bentoml

    return dict(bentoml.models.get(entry.tag).info.labels)


@contextmanager
def _locked(case_name: str) -> Iterator[None]:
    """One writer at a time for a case."""
    path = store_path() / f".{case_name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _find_intact(listed: Sequence[Listed]) -> set[str]:
    """Tag of the newest entry that a service would accept, as a set of one or none."""
    from bentos.loading import Engine, load_checked

    for each in listed:
        try:
            load_checked(each.entry, load_case(each.entry.tag.partition(":")[0]), Engine("cpu", 1))
        except Exception:  # whatever a broken deployable raises: it is not intact
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

    doomed = [str(bento.tag) for bento in _list_bentos()[keep:]]
    for tag in doomed:
        bentoml.bentos.delete(tag)
    return doomed


def _referenced() -> set[str]:
    return {str(model.tag) for bento in _list_bentos() for model in bento.info.all_models}


def _list(case_name: str) -> dict[str, Any]:
    return {"entries": [each.describe() for each in list_entries(case_name)]}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bentos.deploy", description="The model store and the Bento.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("put", help="store a deployable").add_argument("folder", type=Path)
    verbs.add_parser("list", help="entries of a case, newest first").add_argument("case")
    pruning = verbs.add_parser("prune", help="delete old entries of a case, and old Bentos")
    pruning.add_argument("case")
    pruning.add_argument("--keep", type=int, default=KEEP, help="how many to keep (%(default)s)")
    verbs.add_parser("build", help="build the Bento")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and print its result; what is refused ends the process with the reason on standard error."""
    given = _parse(arguments)
    os.environ.setdefault("BENTOML_HOME", str(load_settings().state_dir / "bentoml"))
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    try:
        print(json.dumps(_run(given)))
    except (OkawariError, OSError) as error:
        raise SystemExit(f"{given.verb}: {error}") from error
    return 0


def _run(given: argparse.Namespace) -> dict[str, Any]:
    if given.verb == "put":
        return put(given.folder)
    if given.verb == "list":
        return _list(given.case)
    return prune(given.case, given.keep) if given.verb == "prune" else build()


if __name__ == "__main__":
    raise SystemExit(main())
