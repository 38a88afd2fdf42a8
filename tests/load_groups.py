"""Which tests run in the same worker, and in which order groups begin.

Tests that share a server or a fitted model form a group, which pytest-xdist keeps in one worker (`--dist loadgroup`).
A group begins as soon as a worker is free, so the longest ones come first: short groups then fill the gaps, and all
workers end at about the same time. The two loop tests mostly wait for programs of their own, so the first of them runs
beside the flow tests, which compute.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

SHARED = {
    "flows": "flows",  # one Prefect server and one first training
    "browser": "browser",  # one Chromium and one page
    "service/test_bad_input": "service",  # one service that all three only ask
    "service/test_batching": "service",
    "service/test_contract": "service",
}
"""Folders and files whose session fixtures are worth a group over several files."""

LONGEST_FIRST = ("loop/test_up", "flows", "loop/test_loop", "browser", "contract", "golden", "service", "wiring")
"""Where a group's name begins with one of these, it goes before all groups that come later in this list."""


def name_group(path: PurePosixPath, fixtures: tuple[str, ...] = (), parameters: str = "") -> str:
    """The group of a test: `path` is its file below `tests/`, `parameters` its id in brackets, if it has one.

    >>> name_group(PurePosixPath("flows/test_train.py"))
    'flows'
    >>> name_group(PurePosixPath("contract/test_candidates.py"), ("fitted",), "aapl-random_walk")
    'contract/test_candidates[aapl-random_walk]'
    >>> name_group(PurePosixPath("unit/test_windows.py"))
    'unit/test_windows'
    """
    name = path.with_suffix("").as_posix()
    if name in SHARED or path.parts[0] in SHARED:
        return SHARED.get(name) or SHARED[path.parts[0]]
    if path.parts[0] == "golden":
        return f"{name}[{parameters}]"  # each fits a candidate of its own
    return f"{name}[{parameters}]" if "fitted" in fixtures else name


def rank_group(name: str) -> int:
    """Place of a group in the queue, from 0.

    >>> rank_group("loop/test_up"), rank_group("unit/test_windows")
    (0, 8)
    """
    places = (place for place, start in enumerate(LONGEST_FIRST) if name.startswith(start))
    return next(places, len(LONGEST_FIRST))


def group_tests(items: list[Any], tests_folder: Any) -> None:
    """Mark every collected test with its group, and put the groups into the order in which they begin."""
    ranks = {}
    for item in items:
        path = PurePosixPath(item.path.relative_to(tests_folder).as_posix())
        parameters = item.callspec.id if hasattr(item, "callspec") else ""
        group = name_group(path, tuple(getattr(item, "fixturenames", ())), parameters)
        item.add_marker(_mark(group))
        ranks[item] = rank_group(group)
    items.sort(key=ranks.__getitem__)


def _mark(group: str) -> Any:
    import pytest

    # "@" divides a test's id from its group's name, and pytest-xdist looks for the last one.
    return pytest.mark.xdist_group(group.replace("@", "_"))
