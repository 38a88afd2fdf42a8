"""The usual level of a column of records, and a delivery whose level is far outside of it.

Records have no order, so a delivery is compared as a whole: its median with the quantiles of all stored records. Two
rules, each of them for at least `MIN_ROWS` rows:

    factor   the median of |x| (values that are not 0) has moved by a factor of 5 or more, and by more than `STRICT`
             standard errors of a median (a false-hold rate below 1e-4 for rows that are drawn like the stored ones)
    place    the median lies as far beyond the quantile 0.01 or 0.99 as that quantile lies from the stored median; by
             ratios for columns above 0. Half of at least 5 rows lie there by chance with a probability below 1e-5.

Batches of records may differ from each other more than rows of one batch do, so the largest factor of the accepted
deliveries is recorded; twice of it passes. With fewer rows the factor rule only holds values outside of all stored
ones.

Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from okawari.contract.moves import LARGE, Floats, format_value, measure_noise

MIN_KNOWN = 30
"""With fewer stored values a column is not judged."""
MIN_ROWS = 5
STRICT = 4.0
_QUANTILES = {"q01": 0.01, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q99": 0.99}


@dataclass(frozen=True, kw_only=True)
class Shift:
    """The level of a column that a delivery has moved, from the stored median to the delivered one."""

    column: str
    before: float
    after: float
    n_rows: int
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The shift as a sentence without its full stop."""
        factor = f", a factor of {format_value(self.after / self.before)}" if self.before * self.after > 0 else ""
        span = f"from {format_value(self.before)} to {format_value(self.after)}"
        return (
            f"the median of {self.column} goes {span} in {self.n_rows:,} rows{factor}; 98% of the stored values lie "
            f"between {format_value(self.low)} and {format_value(self.high)}"
        )


def measure_levels(values: Floats, usual: Mapping[str, float] | None = None) -> dict[str, float]:
    """The usual level of a column, by name: quantiles, extremes, and the spread of log |x|."""
    values = values[np.isfinite(values)]
    if not len(values):
        return {"values": 0.0}
    found = {name: float(np.quantile(values, share)) for name, share in _QUANTILES.items()}
    found |= {"values": float(len(values)), "lowest": float(values.min()), "highest": float(values.max())}
    logs = np.log(np.abs(values[values != 0]))
    if len(logs):
        low, middle, high = np.quantile(logs, (0.25, 0.5, 0.75))
        found |= {"log_q50": float(middle), "log_spread": float((high - low) / 1.349), "sized": float(len(logs))}
    found["shift_largest"] = 0.0 if usual is None else usual.get("shift_largest", 0.0)
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def measure_shift(values: Floats, usual: Mapping[str, float]) -> float:
    """By how much the median of log |x| of a delivery differs from the stored one; 0 where it cannot be compared."""
    logs = np.log(np.abs(values[np.isfinite(values) & (values != 0)]))
    return float(np.median(logs)) - usual["log_q50"] if len(logs) >= MIN_ROWS and "log_q50" in usual else 0.0


def find_shift(name: str, values: Floats, usual: Mapping[str, float], accepted: Sequence[float] = ()) -> Shift | None:
    """The shift of a column's level in a delivery; None if it is usual, or a level that a person has accepted.

    Args:
        name: the column.
        values: the delivered values; NaN is left out.
        usual: what `measure_levels` returned.
        accepted: medians of earlier deliveries that a person has accepted.
    """
    values = values[np.isfinite(values)]
    if not len(values) or usual.get("values", 0.0) < MIN_KNOWN:
        return None
    after = float(np.median(values))
    if any(_is_near(after, level, usual) for level in accepted):
        return None
    if not (_has_other_factor(values, usual) or _has_other_place(values, after, usual)):
        return None
    low, high = usual["q01"], usual["q99"]
    return Shift(column=name, before=usual["q50"], after=after, n_rows=len(values), low=low, high=high)


def _is_near(after: float, level: float, usual: Mapping[str, float]) -> bool:
    if after * level > 0:
        return max(after / level, level / after) <= 2
    return abs(after - level) <= usual["q99"] - usual["q01"]


def _has_other_factor(values: Floats, usual: Mapping[str, float]) -> bool:
    logs = np.log(np.abs(values[values != 0]))
    if not len(logs) or usual.get("sized", 0.0) < MIN_KNOWN:
        return False
    shift = abs(float(np.median(logs)) - usual["log_q50"])
    noise = usual["log_spread"] * measure_noise(len(logs))
    if shift <= max(LARGE, 2 * usual.get("shift_largest", 0.0)) or shift <= STRICT * noise:
        return False
    return len(logs) >= MIN_ROWS or _lies_outside(values, usual)


def _lies_outside(values: Floats, usual: Mapping[str, float]) -> bool:
    """Whether all values are farther from zero, or nearer to it, than all stored values by a factor of 5."""
    sizes = np.abs(values[values != 0])
    extremes = abs(usual["lowest"]), abs(usual["highest"])
    nearest = min(extremes) if usual["lowest"] * usual["highest"] > 0 else 0.0
    return bool(sizes.min() > exp(LARGE) * max(extremes) or sizes.max() < exp(-LARGE) * nearest)


def _has_other_place(values: Floats, after: float, usual: Mapping[str, float]) -> bool:
    if len(values) < MIN_ROWS or usual["q01"] == usual["q99"]:
        return False
    if usual["lowest"] <= 0:
        return _is_beyond(after, usual["q01"], usual["q50"], usual["q99"])
    if after <= 0:
        return True
    return _is_beyond(log(after), log(usual["q01"]), log(usual["q50"]), log(usual["q99"]))


def _is_beyond(after: float, low: float, middle: float, high: float) -> bool:
    below = low - (middle - low) if middle > low else -inf
    above = high + (high - middle) if high > middle else inf
    return after < below or after > above
