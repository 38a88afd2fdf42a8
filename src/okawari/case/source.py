"""What a case reads its data from: the `Source` protocol."""

from __future__ import annotations

from datetime import date
from typing import Protocol

import pandas as pd


class Source(Protocol):
    """Anything that can be read into a frame of readings."""

    def read(self, until: date | None = None) -> pd.DataFrame:
        """All readings up to and including `until` (all there are, if None)."""
        ...
