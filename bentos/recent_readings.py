"""The newest readings for a forecast: the ingested ones or, if there are none, those packaged with the model.

While a delivery of newer readings is held, forecasts say so.
"""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import pandas as pd

from bentos.loading import Loaded
from okawari.case import Case

Origin = Literal["ingested", "packaged"]

FRESH_S = 1.0
"""The table's version is looked up again after this time; a lookup takes milliseconds, a read tens of milliseconds."""


class RecentReadings:
    """The last `history` ingested readings, read again only when the table has a new version."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._checked_at = float("-inf")
        self._version: int | None = None
        self._frame: pd.DataFrame | None = None
        self._deliveries_version: int | None = None
        self.stale: str | None = None
        """Why newer readings are not used, as of the last `load`; None if no delivery is held."""
        self._lock = asyncio.Lock()

    async def load(self, model: Loaded) -> tuple[pd.DataFrame, Origin]:
        """Enough readings for one window, ascending in time, and their origin."""
        async with self._lock:
            if time.monotonic() - self._checked_at > FRESH_S:
                await asyncio.to_thread(self._refresh)
                self._checked_at = time.monotonic()
        ingested = self._frame
        if ingested is None or len(ingested) < self._case.history:
            return model.recent, "packaged"
        return ingested, "ingested"

    def _refresh(self) -> None:
        from okawari.storage.snapshots import (  # the Delta reader is heavy and often not needed
            load_recent,
            snapshot_number,
        )

        version = snapshot_number(self._case)
        if version != self._version:
            self._frame = load_recent(self._case, self._case.history)
            self._version = version
        self._refresh_stale()

    def _refresh_stale(self) -> None:
        from okawari.storage.delivery_log import deliveries_version, describe_stale

        version = deliveries_version(self._case.name)
        if version != self._deliveries_version:
            self.stale = describe_stale(self._case.name)
            self._deliveries_version = version
