"""The drift test of words: a contingency test of two samples that knows no order of the words.

The p-value comes from random splits of both samples together into two of the same sizes, so it needs no smallest
expected count and holds for rare and for new words. Knows no report, no clock, no file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SPLITS = 9999
"""Random splits: the smallest p-value is 1 / (1 + SPLITS) = 0.0001, Holm's first level for 500 columns at 5%."""
MOST_WORDS = 200
"""Words that are counted one by one; the rarest of more words are counted together."""

Counts = npt.NDArray[np.int64]


def measure_contingency(
    reference_N: npt.NDArray[np.object_], current_W: npt.NDArray[np.object_]
) -> tuple[float, float]:
    """Total variation distance of two samples of words (0 to 1), and its p-value by random splits.

    The statistic of the test is Pearson's chi-square. Its distribution is that of tables with the same margins: if
    nothing has changed, each split of all rows is as likely as the observed one. Source: Agresti, Categorical Data
    Analysis, 2013, section 16.5.

    Returns:
        The distance, half the sum of the differences in shares, and the share of splits at least as far out. Equal
        samples give equal numbers, because the splits are drawn from a fixed seed.

    Example:
        >>> same = np.array(["a", "b"] * 50, dtype=object)
        >>> measure_contingency(same, same)
        (0.0, 1.0)
    """
    counts_2C = _count(reference_N, current_W)
    n, width = (int(total) for total in counts_2C.sum(axis=1))
    distance = float(np.abs(counts_2C[0] / n - counts_2C[1] / width).sum() / 2)
    if counts_2C.shape[1] < 2:
        return distance, 1.0
    totals_C = counts_2C.sum(axis=0)
    splits_BC = np.random.default_rng(0).multivariate_hypergeometric(totals_C, width, size=SPLITS)
    observed = _measure_squares(counts_2C[1][None], totals_C, width)[0]
    n_far = int((_measure_squares(splits_BC, totals_C, width) >= observed * (1 - 1e-9)).sum())
    return distance, (1 + n_far) / (1 + SPLITS)


def _count(reference_N: npt.NDArray[np.object_], current_W: npt.NDArray[np.object_]) -> Counts:
    """Counts of each word in both samples [2, C], common words first, the rarest together in the last column."""
    words, places = np.unique(np.concatenate([reference_N, current_W]).astype(str), return_inverse=True)
    counts_2C = np.stack(
        [np.bincount(part, minlength=len(words)) for part in np.split(places.ravel(), [len(reference_N)])]
    )
    ordered_2C = counts_2C[:, np.argsort(-counts_2C.sum(axis=0), kind="stable")]
    rest_21 = ordered_2C[:, MOST_WORDS:].sum(axis=1, keepdims=True)
    joined: Counts = ordered_2C if len(words) <= MOST_WORDS else np.hstack([ordered_2C[:, :MOST_WORDS], rest_21])
    return joined.astype(np.int64)


def _measure_squares(current_BC: Counts, totals_C: Counts, width: int) -> npt.NDArray[np.float64]:
    """The chi-square of each split, up to a factor that is the same for all."""
    expected_C = totals_C * (width / totals_C.sum())
    squares_B: npt.NDArray[np.float64] = ((current_BC - expected_C) ** 2 / expected_C).sum(axis=1)
    return squares_B
