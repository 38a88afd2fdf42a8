"""One JSON document on stdout, for programs; everything else that a command prints goes to stderr.

Times are ISO 8601 text, numbers that are not finite are null. A command that fails prints no document.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from pydantic import BaseModel

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


@contextmanager
def divert_text(as_json: bool) -> Iterator[None]:
    """Send what is printed in the block to stderr, if the command prints a document."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def print_document(content: Any) -> None:
    """Print plain JSON values, dataclasses, wire types, times and paths as one line of JSON."""
    print(json.dumps(to_plain(content), allow_nan=False, ensure_ascii=False), flush=True)


def to_plain(value: Any) -> Any:
    """The value as plain JSON values.

    >>> to_plain({"loss": float("nan"), "at": date(2024, 5, 1), "rows": (1, 2)})
    {'loss': None, 'at': '2024-05-01', 'rows': [1, 2]}
    """
    if isinstance(value, BaseModel):
        return to_plain(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): to_plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | list | tuple | set | frozenset):
        return [to_plain(each) for each in value]
    return _to_scalar(value)


def _to_scalar(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NaT or value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, date):  # a time is a date, too
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value
