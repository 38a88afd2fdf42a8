"""Tables with one JSON object in each line; a line that is none is broken, and later rows keep their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

_PIECE_ROWS = 16_384


def read_names(lines: Iterable[bytes]) -> list[str]:
    """The names of all objects, in the order of their first appearance."""
    names: dict[str, None] = {}
    for _, found in _read_objects(lines, {}):
        names.update(dict.fromkeys(found))
    return list(names)


def read_pieces(lines: Iterable[bytes], names: list[str], broken: dict[int, str]) -> Iterator[pd.DataFrame]:
    """The rows, indexed by their number, in pieces; a name that a line lacks is None. Adds broken lines to `broken`.

    Booleans stay booleans, and numbers numbers; blank lines are not counted.
    """
    rows: list[list[Any]] = []
    numbers: list[int] = []
    for number, found in _read_objects(lines, broken):
        rows.append([found.get(name) for name in names])
        numbers.append(number)
        if len(rows) == _PIECE_ROWS:
            yield pd.DataFrame(rows, columns=names, index=numbers, dtype=object)
            rows, numbers = [], []
    if rows:
        yield pd.DataFrame(rows, columns=names, index=numbers, dtype=object)


def _read_objects(lines: Iterable[bytes], broken: dict[int, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for line in lines:
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        number += 1
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            broken[number] = f"the line is no JSON: {text[:80].decode(errors='replace')!r}"
            continue
        if isinstance(found, dict):
            yield number, found
        else:
            broken[number] = f"the line is no JSON object: {text[:80].decode(errors='replace')!r}"
