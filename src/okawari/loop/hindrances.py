"""Why a registered version cannot serve a case as the case is declared now."""

from __future__ import annotations

import json
from typing import Any

from okawari.case import Case
from okawari.errors import InvalidInput, NotYet, require
from okawari.graph.inference import Graph, require_answers, require_fit
from okawari.registry import runs, versions
from okawari.storage import snapshots
from okawari.storage.deployable import digest
from okawari.storage.tables import Unreadable


def find_hindrance(case: Case, version: str) -> str | None:
    """Why a version cannot serve, as a sentence; None if it can.

    The service makes the same checks when it loads a version. Here they are made before the champion is changed, and
    the names of the columns, which a graph does not contain, are compared with those of the training.
    """
    try:
        _require_serviceable(case, version)
    except (InvalidInput, NotYet, Unreadable) as found:
        return str(found)
    return None


def _require_serviceable(case: Case, version: str) -> None:
    found = versions.load_version(case.name, version)
    _require_columns(case, json.loads(runs.load_file(found.run_id, "case.json")), version)
    graph = versions.load_graph(found)
    came, recorded = digest(graph), found.graph_sha256
    require(
        came == recorded,
        f"The graph of version {version} has sha256 {came[:12]}, but {recorded[:12]} was recorded, so its file was "
        "changed. Choose another version or train the case again.",
    )
    loaded = Graph.load(graph)
    require_fit(loaded, case)
    require_answers(loaded, case)
    snapshots.load_readings(case, found.snapshot_version)


def _require_columns(case: Case, trained: dict[str, Any], version: str) -> None:
    """The columns have the names and the kinds of the training; their words are those of the graph's dictionary."""
    came = [_name_kind(column["name"], _read_kind(column)) for column in trained["columns"]]
    needs = [_name_kind(column.name, column.kind) for column in case.columns]
    if came != needs:
        raise InvalidInput(
            f"Version {version} was trained on the columns {', '.join(came)}; case {case.name} has "
            f"{', '.join(needs)}. Choose another version or train the case again."
        )


def _read_kind(column: dict[str, Any]) -> str:
    """The kind of a column in a training record."""
    return "word" if column["labels"] else "date" if column.get("date") else "number"


def _name_kind(name: str, kind: str) -> str:
    return name if kind == "number" else f"{name} ({kind}s)"
