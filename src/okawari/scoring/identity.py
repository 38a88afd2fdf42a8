"""The identity of a scoring job: its input, its model and its columns."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from okawari.case import Case
from okawari.data.files import find_source_names
from okawari.scoring.input_file import InputFile

if TYPE_CHECKING:
    from okawari.scoring.model import Model


def label_output(case: Case, model: Model) -> dict[str, str]:
    """The metadata of a Parquet file."""
    metadata = {
        name: value for name, value in model.graph.labels.items() if name in ("target", "unit", "coverage_share")
    }
    metadata |= {"case": case.name, "version": model.version, "graph_sha256": model.graph.sha256}
    return {f"okawari.{name}": value for name, value in metadata.items()}


def find_renamed(case: Case, given: InputFile) -> dict[str, str]:
    """Names in the file of the columns that the case calls otherwise."""
    return find_source_names(given.names, case.source)


def find_key(case: Case, given: InputFile) -> list[str]:
    """The key column, if the case names one and the file has it."""
    found = {*given.names, *find_renamed(case, given)}
    return [case.key] if case.key and case.key in found else []


def identify_job(case: Case, model: Model, given: InputFile) -> dict[str, Any]:
    """The identity of a job: the content of the file, the version, and the schema of the case."""
    described = case.describe()
    schema = {name: described[name] for name in ("time", "key", "columns", "rules", "task")}
    return {
        "case": case.name,
        "schema_sha256": hashlib.sha256(json.dumps(schema, default=str).encode()).hexdigest(),
        "version": model.version,
        "graph_sha256": model.graph.sha256,
        "input": given.identify(),
        "told": find_renamed(case, given),
    }
