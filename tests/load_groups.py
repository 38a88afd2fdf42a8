"""Which tests run in the same worker, and in which order groups begin.

Tests that share a server or a fitted model form a group, and a group stays in one worker. It begins as soon as a worker
is free, so the longest ones come first: short groups then fill the gaps, and all workers end at about the same time.
The loop tests mostly wait for programs of their own, so the first of them runs beside the flow tests, which compute.

pytest-xdist 3.8 has marks for groups, which it writes into an attribute that pytest 9.2 no longer has, so all tests
would be spread one by one; hence a scheduler of our own, which takes the group from a test's id.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

SHARED = {
    "flows": "flows",  # one Prefect server and one first training
    "browser": "browser",  # one Chromium and one page
    "service/test_bad_input": "service",  # one service that all three only ask
    "service/test_batching": "service",
    "service/test_contract": "service",
}
"""Folders and files whose session fixtures are worth a group over several files."""

FITTED_ALONE = {"contract", "golden"}
"""Folders whose tests fit one model for each parameter, so that each parameter is a group."""

LONGEST_FIRST = (
    "loop/test_up",
    "flows",
    "loop/test_loop",
    "loop/test_doors",
    "browser",
    "unit/test_training",
    "contract",
    "golden",
    "service",
    "wiring",
)
"""A group goes before another one if its name begins with what stands earlier here."""


def name_group(test_id: str) -> str:
    """The group of a test.

    >>> name_group("tests/flows/test_train.py::test_a_champion_stays")
    'flows'
    >>> name_group("tests/contract/test_candidates.py::test_graph_equals_model[aapl-random_walk]")
    'contract/test_candidates[aapl-random_walk]'
    >>> name_group("tests/contract/test_candidates.py::test_keeps_the_contract[aapl-random_walk-check_graph]")
    'contract/test_candidates[aapl-random_walk]'
    >>> name_group("tests/unit/test_windows.py::test_windows_are_cut[3]")
    'unit/test_windows'
    """
    path, _, test = test_id.partition("::")
    name = path.removeprefix("tests/").removesuffix(".py")
    folder = name.partition("/")[0]
    if folder in FITTED_ALONE:
        _, bracket, parameters = test.partition("[")
        return name + bracket + re.sub(r"-check_\w+", "", parameters)  # all checks of one fit stay together
    return SHARED.get(name) or SHARED.get(folder) or name


def rank_group(name: str) -> int:
    """Place of a group in the queue, from 0.

    >>> rank_group("loop/test_up"), rank_group("unit/test_windows")
    (0, 10)
    """
    places = (place for place, start in enumerate(LONGEST_FIRST) if name.startswith(start))
    return next(places, len(LONGEST_FIRST))


class GroupScheduling(LoadScopeScheduling):
    """Gives each worker that has nothing left to do the next group."""

    def _split_scope(self, nodeid: str) -> str:
        return name_group(nodeid)
