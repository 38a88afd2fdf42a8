"""The labels that an outcome may have: those of the case, of its models and of its contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from okawari.case import Case

FRESH_S = 1.0
"""The contract is read again after this time, if a label is looked up that nothing else knows."""


class KnownLabels:
    """The labels of a case's target. The contract is read only for a label that neither case nor models know."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._read_at = float("-inf")
        self._learned: frozenset[str] = frozenset()
        self._lock = asyncio.Lock()

    async def find_unknown(self, labels: Iterable[str], models: Iterable[Case]) -> set[str]:
        """Those of the labels that are not known.

        Args:
            labels: the labels that came.
            models: the case of each loaded model, with its dictionary.
        """
        named = {label for case in (self._case, *models) for label in case.target.labels}
        unknown = set(labels) - named
        return unknown - await self._load() if unknown else unknown

    async def _load(self) -> frozenset[str]:
        async with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._learned = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
        return self._learned

    def _read(self) -> frozenset[str]:
        from okawari.storage.contracts import load_contract  # the Delta reader is heavy and often not needed

        contract = load_contract(self._case.name)
        column = None if contract is None else contract.find(self._case.target.name)
        return frozenset() if column is None else frozenset(column.words)
