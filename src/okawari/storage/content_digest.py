"""The digest of readings: sha256 of their values in order."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def digest_content(frame: pd.DataFrame) -> str:
    """The sha256 of the names and values of all columns; times as integers, numbers as float64, words as JSON."""
    content = hashlib.sha256("|".join(frame.columns).encode())
    for name in frame.columns:
        content.update(_to_bytes(frame[name].to_numpy()))
    return content.hexdigest()


def _to_bytes(values: NDArray[Any]) -> bytes:
    if values.dtype.kind == "O":
        return json.dumps(values.tolist()).encode()
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), np.nan, values)  # there are several bit patterns of NaN
    return np.ascontiguousarray(values.view("int64") if values.dtype.kind == "M" else values).tobytes()
