"""What a paired comparison has shown: by how much one recipe's losses are lower than another's, and how sure that is.

The numbers come from `okawari.evaluation.evidence`.
"""

from __future__ import annotations

from dataclasses import dataclass

from okawari.formats import format_number, format_share

CONFIDENCE_SHARE = 0.95
"""Coverage of `low_share` to `high_share`."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The losses of a recipe against those of a reference (the baseline or the champion) at the same origins.

    A gain is the share by which the loss is lower; below 0 it is higher. One observation is one origin of a series (the
    loss of its whole horizon) or one record. Of a panel, it is the mean loss of all series at one origin: series of one
    panel move together, so they are no independent observations.
    """

    n_origins: int
    gain_share: float
    """Gain of the loss in which no origin counts more than ten times the mean of the others."""
    low_share: float | None
    """Lower bound of the gain, with 95 % confidence; None if the observations are too few for one."""
    high_share: float | None
    """Upper bound of the gain, with 95 % confidence; None with the lower one."""
    p_value: float
    """One-sided p-value of the gain, corrected for the number of candidates compared."""
    plain_gain_share: float
    """Gain of the loss in which every origin counts as it is."""
    n_compared: int = 1
    """Candidates that were compared, and from which the best was chosen."""
    n_fits: int = 1
    """Fits of each recipe, each on another past or on other folds."""
    loss_name: str = "loss"
    noun: str = "origin"
    """What one observation is: an origin or a record."""

    @property
    def relative_loss(self) -> float:
        """The loss in units of the reference's: below 1 is better."""
        return 1 - self.gain_share

    @property
    def is_better(self) -> bool:
        """Whether the loss is lower, with and without a bound on what one origin counts."""
        return self.gain_share > 0 and self.plain_gain_share > 0

    @property
    def is_surely_worse(self) -> bool:
        """Whether the whole interval of the gain lies below 0."""
        return self.high_share is not None and self.high_share < 0


def describe_gain(comparison: Comparison, reference: str) -> str:
    """The gain with its uncertainty, as a sentence.

    >>> shown = Comparison(
    ...     n_origins=60, gain_share=0.29, low_share=0.18, high_share=0.38, p_value=0.0012, plain_gain_share=0.3,
    ...     n_compared=7, n_fits=5, loss_name="horizon loss",
    ... )
    >>> describe_gain(shown, "the baseline's")  # doctest: +NORMALIZE_WHITESPACE
    "horizon loss 0.71 of the baseline's (29% better; between 18% and 38% with 95% confidence;
    p = 0.0012 after correction for 7 candidates)"
    """
    relative = format_number(comparison.relative_loss, 3)
    details = "; ".join([describe_size(comparison.gain_share), describe_doubt(comparison)])
    return f"{comparison.loss_name} {relative} of {reference} ({details})"


def describe_size(gain_share: float) -> str:
    """A gain in words, in full percents from a tenth on.

    >>> describe_size(0.29), describe_size(-0.0123), describe_size(0.0), describe_size(-0.00001)
    ('29% better', '1.2% worse', 'equal', 'less than 0.1% worse')
    """
    if gain_share == 0:
        return "equal"
    return f"{_format_size(gain_share)} {'better' if gain_share > 0 else 'worse'}"


def _format_size(gain_share: float) -> str:
    size = format_share(abs(gain_share), 0 if abs(gain_share) >= 0.0995 else 1)
    return "less than 0.1%" if size == "0%" else size


def describe_doubt(comparison: Comparison) -> str:
    """The interval of the gain and its p-value.

    >>> shown = Comparison(
    ...     n_origins=60, gain_share=0.01, low_share=-0.04, high_share=0.06, p_value=0.31, plain_gain_share=0.01
    ... )
    >>> describe_doubt(shown)
    'between 4.0% worse and 6.0% better with 95% confidence; p = 0.31'
    """
    low, high, p_value = comparison.low_share, comparison.high_share, describe_p(comparison)
    if low is None or high is None:
        return p_value
    if low < 0 < high:
        between = f"between {describe_size(low)} and {describe_size(high)}"
    else:
        near, far = sorted([low, high], key=abs)
        between = f"between {_format_size(near)} and {_format_size(far)}{' worse' if far < 0 else ''}"
    return f"{between} with {format_share(CONFIDENCE_SHARE)} confidence; {p_value}"


def describe_p(comparison: Comparison) -> str:
    """The p-value, and how many candidates it is corrected for."""
    p = comparison.p_value
    value = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    return value if comparison.n_compared == 1 else f"{value} after correction for {comparison.n_compared} candidates"


def describe_basis(comparison: Comparison) -> str:
    """How many observations from how many fits.

    >>> describe_basis(
    ...     Comparison(
    ...         n_origins=200, gain_share=0.1, low_share=0.0, high_share=0.2, p_value=0.05, plain_gain_share=0.1,
    ...         n_fits=1, noun="record",
    ...     )
    ... )
    '200 records from 1 fit'
    """
    n, n_fits = comparison.n_origins, comparison.n_fits
    return f"{n} {comparison.noun}{_end_plural(n)} from {n_fits} fit{_end_plural(n_fits)}"


def _end_plural(n: int) -> str:
    return "" if n == 1 else "s"
