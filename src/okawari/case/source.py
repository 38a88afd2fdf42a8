"""The `Source` protocol: the place from which a case reads its data."""

from __future__ import annotations

from datetime import date
from typing import Protocol

import pandas as pd


class Source(Protocol):
    """Anything that can be read into a frame of readings."""

    def read(self, until: date | None = None) -> pd.DataFrame:
        """All readings up to and including `until`; all readings, if None."""
        ...
