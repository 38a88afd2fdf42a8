"""Texts for numbers, shares, gains and intervals in messages. All percent signs come from here, so all have one format.

Independent of cases, policy and markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_MOST_DIGITS = 12
"""More digits of a number would show how float64 rounds."""


def format_number(value: float, digits: int = 5, *, beside: Sequence[float] = ()) -> str:
    """A number with the digits that matter, without trailing zeros.

    These are `digits` significant ones, all before the point, and those that tell it from the numbers `beside` it.

    >>> format_number(1204012345.678), format_number(0.0123456), format_number(2.0), format_number(1.5e-9)
    ('1204012346', '0.012346', '2', '1.5e-09')
    >>> format_number(1000.011, beside=[1000.012, 1000.013]), format_number(1204012345.678, beside=[1204012340.1])
    ('1000.011', '1204012345.68')
    """
    if not math.isfinite(value) or not 1e-4 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    last = math.floor(math.log10(abs(value)))
    known = [value, *(each for each in beside if math.isfinite(each))]
    spread = max(known) - min(known)
    wanted = max(digits - 1 - last, 2 - math.floor(math.log10(spread)) if spread > 0 else 0)
    decimals = max(0, min(wanted, _MOST_DIGITS - 1 - last))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def format_share(share: float, digits: int = 0, *, signed: bool = False) -> str:
    """A share (0 to 1) as percent; zero has neither sign nor decimals.

    >>> format_share(0.853), format_share(0.0123, 1), format_share(0.02, 1, signed=True)
    ('85%', '1.2%', '+2.0%')
    >>> format_share(-0.0001, 1), format_share(-0.0001, 2), format_share(float("nan"))
    ('0%', '-0.01%', 'unknown')
    """
    if math.isnan(share):
        return "unknown"
    percent = f"{abs(share):.{digits}%}"
    if not float(percent.removesuffix("%")):
        return "0%"
    return f"{'-' if share < 0 else '+' if signed else ''}{percent}"


def format_gain(gain_share: float, digits: int = 1, *, than: str = "") -> str:
    """Compare a loss with another one, given the share by which it is smaller (negative where it is larger).

    >>> format_gain(0.0862), format_gain(-0.01), format_gain(0.0)
    ('8.6% lower', '1.0% higher', 'equal')
    >>> format_gain(0.02, than="the baseline's"), format_gain(0.0, than="the baseline's")
    ("2.0% lower than the baseline's", "equal to the baseline's")
    >>> format_gain(-0.0001), format_gain(float("nan"))
    ('less than 0.1% higher', 'not comparable')

    The share of a loss over a perfect one is infinite, so only its side is written:

    >>> format_gain(-math.inf, than="the champion's")
    "higher than the champion's"
    """
    if math.isnan(gain_share):
        return f"not comparable with {than}" if than else "not comparable"
    if gain_share == 0:
        return f"equal to {than}" if than else "equal"
    size = "" if math.isinf(gain_share) else format_share(abs(gain_share), digits)
    if size == "0%":
        size = f"less than {10.0**-digits:.{digits}f}%"
    return f"{size} {'lower' if gain_share > 0 else 'higher'}{f' than {than}' if than else ''}".lstrip()


def format_coverage(coverage_share: float, measured_share: float | None) -> str:
    """The intended share of true values in an interval, and its share of held-out values; both 0 to 1.

    >>> format_coverage(0.9, 0.83)
    'The interval is meant to contain 90% of the true values; it contained 83% of the held-out ones.'
    >>> format_coverage(0.9, None)
    'The interval is meant to contain 90% of the true values.'
    """
    measured = "" if measured_share is None else f"; it contained {format_share(measured_share)} of the held-out ones"
    return f"The interval is meant to contain {format_share(coverage_share)} of the true values{measured}."


def start_sentence(text: str) -> str:
    """The text with a capital first letter; the rest is unchanged, so names and units keep their case.

    >>> start_sentence("log loss"), start_sentence("RMSE"), start_sentence("")
    ('Log loss', 'RMSE', '')
    """
    return text[:1].upper() + text[1:]
