"""How far the numbers of a series usually move, and moves that are far outside of that.

A *move* over m values is the difference between the median of m consecutive values and the median of the m values
before them; m = 1 is a step. Moves over many values find a shift that stays, although single steps of the column are
wild. They are measured on three scales:

    ratio    log |x| of the values that are not 0: does not depend on the unit
    level    |x| of the newest `NEAR` of these values, in the column's own unit
    signed   x of the newest `RECENT` values, in the column's own unit

The bound of a move follows from the largest move that the history has, extrapolated to a small chance. The chance of a
false hold is `SPENT / n` for each new move after n moves, so over a whole history of N rows it adds up to
`SPENT * log(N / MIN_MOVES)` for each scale: 0.1 for 3,000 rows. Two tails are assumed: a power law of index 3 (the
cubic law of returns: Gopikrishnan, Plerou, Amaral, Meyer and Stanley, Phys. Rev. E 60, 1999), and for moves so large
that a power law would let a factor of 10 pass, an exponential one. Moves below a factor of `SMALL`, and of more where
few independent moves are known, always pass.

A column whose steps are wild may have a steady level, such as sales with a closed day in each week. So a move by a
factor of `LARGE` or more is also far outside if it ends beyond the sizes |x| of the history by more than the
exponential tail allows.

Shapes: n values of one column, in order of time. Pure: no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Scale = Literal["ratio", "level", "signed"]

BLOCKS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of values m that moves are measured over."""
LONGEST = 2 * BLOCKS[-1]
"""Values before a new one that its moves depend on."""
MIN_MOVES = 20
"""With fewer moves a column is not judged."""
HISTORY, RECENT, NEAR = 5000, 500, 120
SPENT = 0.02
SMALL, LARGE, GAP = log(2.1), log(5), log(8)
"""Log ratios: of a move that always passes; that is asked about unless the history has such moves (5 and not 10, so
that a factor of 10 is found among moves by half of that); and the same across a long gap in time."""
_POWER = (1 / SPENT) ** (1 / 3)
_DIFFERENCE = 2.5
"""Least multiple of the largest difference that is far outside."""


@dataclass(frozen=True, kw_only=True)
class Jump:
    """A move far outside of what is usual. `at` is the time of its first new value; `largest` is the largest usual
    move over as many values. `largest` is a factor on the scale `ratio`, and a difference on the others.
    """

    column: str
    at: pd.Timestamp
    before: float
    after: float
    n_values: int
    scale: Scale
    largest: float
    n_moves: int
    sizes: tuple[float, float]
    """Smallest and largest |x| of the history, 0 left out."""

    @property
    def sentence(self) -> str:
        """The jump as a sentence without its full stop."""
        what = self.column if self.n_values == 1 else f"the median of {self.n_values} values of {self.column}"
        if self.before * self.after > 0 and self.scale == "ratio":
            size, usual = (
                f"a factor of {format_value(self.after / self.before)}",
                f"a factor of {format_value(self.largest)}",
            )
        else:
            size, usual = f"a difference of {format_value(self.after - self.before)}", format_value(self.largest)
        span = f"from {format_value(self.before)} to {format_value(self.after)}"
        low, high = map(format_value, self.sizes)
        return (
            f"{what} goes {span} at {self.at:%Y-%m-%d %H:%M}, {size}; the largest of {self.n_moves:,} such moves "
            f"before was {usual}, among sizes from {low} to {high}"
        )


def format_value(value: float) -> str:
    """A value of a column: whole from 10,000 on, else with five digits.

    >>> format_value(13250.4), format_value(132.54321), format_value(1.2e-7)
    ('13,250', '132.54', '1.2e-07')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.5g}"


def measure_moves(values: Floats, usual: Mapping[str, float] | None = None) -> dict[str, float]:
    """The usual moves of a column, by name: for each scale and m, the largest one and the number of moves.

    Args:
        values: the column in order of time; NaN is left out.
        usual: what was usual before. A move that is far outside of it was accepted by a person and is not learned, so
            that the next fault of the same size is found. The largest moves of the scale `ratio` are kept for ever.
    """
    known = {} if usual is None else usual
    values = values[np.isfinite(values)]
    found = {"values": float(len(values)), "negative": float((values < 0).sum())}
    logs = np.log(np.abs(values[-HISTORY:][values[-HISTORY:] != 0]))
    if len(logs):
        found |= {"log_low": float(logs.min()), "log_median": float(np.median(logs)), "log_high": float(logs.max())}
        found["sized"] = float(len(logs))
    for scale, series in _list_scales(values[-HISTORY:]):
        for n_values in BLOCKS:
            if len(series) >= max(4 * n_values, MIN_MOVES + 1):
                found |= _measure(scale, n_values, series, known)
    steps = np.diff(values[-HISTORY:])
    found["still_share"] = float((steps == 0).mean()) if len(steps) else 0.0
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _list_scales(values: Floats) -> Iterator[tuple[Scale, Floats]]:
    sizes = np.abs(values[values != 0])
    yield "ratio", np.log(sizes)
    yield "level", sizes[-NEAR:]
    yield "signed", values[-RECENT:]


def _measure(scale: Scale, n_values: int, series: Floats, known: Mapping[str, float]) -> dict[str, float]:
    name = f"{scale}_{n_values}"
    sizes = np.abs(compute_moves(series, n_values))
    limit = bound_move(known, scale, n_values)
    if limit is not None and scale == "ratio":
        sizes = sizes[sizes <= limit]
    before = (known.get(f"{name}_largest", 0.0), known.get(f"{name}_moves", 0.0)) if scale == "ratio" else (0.0, 0.0)
    largest = max(float(sizes.max()) if len(sizes) else 0.0, before[0])
    return {f"{name}_largest": largest, f"{name}_moves": max(float(len(series) - n_values), before[1])}


def compute_moves(series: Floats, n_values: int) -> Floats:
    """Moves over `n_values` values; entry i is the move to the values i + m to i + 2m - 1. Length n - 2m + 1."""
    if len(series) < 2 * n_values:
        return np.empty(0)
    if n_values == 1:
        return np.diff(series)
    medians = _median(series, n_values)
    return np.asarray(medians[n_values:] - medians[:-n_values])


def bound_move(usual: Mapping[str, float], scale: Scale, n_values: int) -> float | None:
    """The largest move that passes; None where too few moves are known. A log ratio on the scale `ratio`."""
    name = f"{scale}_{n_values}"
    largest, n_moves = usual.get(f"{name}_largest"), usual.get(f"{name}_moves", 0.0)
    if largest is None or n_moves < MIN_MOVES:
        return None
    n_apart = max(n_moves / n_values, 3.0)
    spend = 1 + log(1 / SPENT) / log(n_apart)
    if scale != "ratio":
        return float(largest * (spend if scale == "level" else max(_DIFFERENCE, spend)))
    # A price list or a policy rate mostly stands still, and its rare steps say little about the next one.
    least = LARGE if usual.get("still_share", 0.0) > 0.5 else SMALL * (1 + 2 / sqrt(n_apart))
    return float(max(least, min(largest * _POWER, max(LARGE, largest * spend))))


@dataclass(frozen=True, kw_only=True)
class Values:
    """One column of a series with a delivery in it: `is_new` marks the delivered values. Time is datetime64[ns]."""

    name: str
    at: NDArray[np.datetime64]
    values: Floats
    is_new: NDArray[np.bool_]
    above_zero: bool
    """Whether the column is declared to be above 0, so that only ratios count."""

    def pick(self, kept: NDArray[np.bool_]) -> Values:
        """Only these values."""
        return Values(
            name=self.name, at=self.at[kept], values=self.values[kept], is_new=self.is_new[kept],
            above_zero=self.above_zero,
        )  # fmt: skip


def find_jump(column: Values, usual: Mapping[str, float], accepted: Sequence[tuple[float, ...]] = ()) -> Jump | None:
    """The delivered move that is far outside of what is usual, over the fewest values; None if there is none.

    A column above 0 is judged by ratios. For others, ratio and level must both be far outside: a rate that falls from
    1.2 to 0.1 percent moves by a factor, but by little. A column that has negative values is judged by differences too.
    In a column that had none, a value of about the same size with the other sign is far outside if it is farther away
    than the largest move. `accepted` has the levels before and after each jump that a person has accepted; the same
    jump passes.
    """
    column = column.pick(np.isfinite(column.values))
    sized = column.pick(column.values != 0)
    for n_values in BLOCKS:
        found = _find(sized, usual, "ratio", n_values) or _find(column, usual, "signed", n_values)
        if found is not None and not any(is_same_jump(found, pair) for pair in accepted):
            return found
    return None


def _find(column: Values, usual: Mapping[str, float], scale: Scale, n_values: int) -> Jump | None:
    limit, largest = bound_move(usual, scale, n_values), usual.get(f"{scale}_{n_values}_largest", 0.0)
    series = np.log(np.abs(column.values)) if scale == "ratio" else column.values
    moves = compute_moves(series, n_values)
    if limit is None or not len(moves):
        return None
    excess = np.abs(moves) / _widen(limit, scale, _measure_gaps(column, n_values), n_values)
    if scale == "ratio":
        excess = np.maximum(excess, _compare_sizes(series, moves, usual, n_values))
    excess[~_touches(column.is_new, n_values)] = 0.0
    if scale == "ratio" and not column.above_zero:
        excess = np.minimum(excess, _compare_levels(column, usual, n_values))
    if scale == "signed" and not usual.get("negative"):
        excess = np.where(_is_flipped(column.values, n_values), excess * limit / max(largest, 1e-300), 0.0)
    place = int(np.argmax(excess))
    return _describe(column, usual, scale, n_values, place) if excess[place] > 1 else None


def _compare_sizes(logs: Floats, moves: Floats, usual: Mapping[str, float], n_values: int) -> Floats:
    """How far each large move ends beyond the sizes of the history, in multiples of what passes."""
    if "log_median" not in usual or usual["sized"] <= MIN_MOVES:
        return np.zeros(len(moves))
    middle, spend = usual["log_median"], 1 + log(1 / SPENT) / log(usual["sized"])
    above, below = (usual["log_high"] - middle) * spend, (middle - usual["log_low"]) * spend
    newer = _median(logs, n_values)[n_values:] - middle
    beyond = np.where(newer > 0, newer / max(above, LARGE), -newer / max(below, LARGE))
    return np.minimum(np.abs(moves) / LARGE, beyond)


def _median(series: Floats, n_values: int) -> Floats:
    """The medians of n consecutive values. Length n - m + 1."""
    return pd.Series(series).rolling(n_values).median().to_numpy()[n_values - 1 :]


def _compare_levels(column: Values, usual: Mapping[str, float], n_values: int) -> Floats:
    moves, limit = compute_moves(np.abs(column.values), n_values), bound_move(usual, "level", n_values)
    return np.abs(moves) / max(limit, 1e-300) if limit is not None else np.full(len(moves), np.inf)


def _is_flipped(values: Floats, n_values: int) -> NDArray[np.bool_]:
    """Whether the newer block of each move is negative, and at least half as large as the older one."""
    medians = _median(values, n_values)
    return np.asarray(medians[n_values:] <= -0.5 * np.abs(medians[:-n_values]))


def _touches(is_new: NDArray[np.bool_], n_values: int) -> NDArray[np.bool_]:
    """Whether a move has a delivered value in one of its two blocks."""
    counted = np.concatenate([[0], np.cumsum(is_new)])
    return np.asarray(counted[2 * n_values :] - counted[: -2 * n_values] > 0)


def _measure_gaps(column: Values, n_values: int) -> Floats:
    """The time between the two blocks of each move, in usual steps of time."""
    steps = np.diff(column.at).astype("timedelta64[ns]").astype(np.float64)
    usual = float(np.median(steps)) or 1.0
    last = len(column.at) - n_values
    return np.asarray(steps[n_values - 1 : last] / usual)


def _widen(limit: float, scale: Scale, gaps: Floats, n_values: int) -> Floats:
    """The bound across a gap in time grows as that of a random walk; a factor of 8 is asked about all the same."""
    spans = np.maximum(gaps / n_values, 1.0)
    wide = limit * np.where(spans > 3, np.sqrt(spans), 1.0)
    return np.minimum(wide, max(limit, GAP)) if scale == "ratio" else np.maximum(wide, 1e-300)


def _describe(column: Values, usual: Mapping[str, float], scale: Scale, n_values: int, place: int) -> Jump:
    middle = place + n_values
    largest, name = usual[f"{scale}_{n_values}_largest"], f"{scale}_{n_values}_moves"
    return Jump(
        column=column.name,
        at=pd.Timestamp(column.at[middle]),
        before=float(np.median(column.values[place:middle])),
        after=float(np.median(column.values[middle : middle + n_values])),
        n_values=n_values,
        scale=scale,
        largest=exp(largest) if scale == "ratio" else largest,
        n_moves=int(usual[name]),
        sizes=(exp(usual.get("log_low", 0.0)), exp(usual.get("log_high", 0.0))),
    )


def is_same_jump(jump: Jump, accepted: Sequence[float]) -> bool:
    """Whether a jump goes from about the same level to about the same level as one that a person has accepted."""
    pairs = list(zip((jump.before, jump.after), accepted, strict=True))
    return all(now == then or (now * then > 0 and max(now / then, then / now) <= 2) for now, then in pairs)


def measure_noise(n_values: int) -> float:
    """Standard error of a median of n normal values, in their standard deviations."""
    return 1.2533 / sqrt(n_values)
