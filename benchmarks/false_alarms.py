"""Rates of false alarms and of detected shifts of the drift verdict, on synthetic series.

Each comparison tests 60 or 21 new rows against the 750 rows before them, on three independent columns of one process;
it is an alarm if *any* column alarms. The table also has a common default for reference: a two-sided KS test at 0.05
per column, which Evidently uses for up to 1000 reference rows.

    python -m benchmarks.false_alarms            # under a minute on one core
    python -m benchmarks.false_alarms --seeds 50
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal, stats

from monitoring.drift import measure_drift
from okawari.case import Drift

Array = npt.NDArray[np.float64]

N_REFERENCE, SIZES, COLUMNS = 750, (60, 21), ("a", "b", "c")
BURN_IN = 500
"""Rows discarded at the start: after them, the weight of the first value of AR(0.9) is 0.9**500 < 1e-22."""


@dataclass(frozen=True)
class Rates:
    """Shares of comparisons that alarmed, 0 to 1; only the first column is shifted."""

    quiet_share: float
    variance_doubled_share: float
    mean_shifted_share: float


def draw_autoregressive(share: float) -> Callable[[np.random.Generator, int], Array]:
    """A function that draws x[t] = share * x[t-1] + noise."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        return np.asarray(signal.lfilter([1.0], [1.0, -share], rng.standard_normal(n + BURN_IN))[BURN_IN:])

    return draw


def draw_garch(rng: np.random.Generator, n: int) -> Array:
    """GARCH(1, 1) with the persistence 0.95 of daily returns: variance = 0.05 + 0.08 x^2 + 0.87 variance."""
    noise = rng.standard_normal(n + BURN_IN)
    values, variance = np.empty_like(noise), 1.0
    for step, shock in enumerate(noise):
        values[step] = np.sqrt(variance) * shock
        variance = 0.05 + 0.08 * values[step] ** 2 + 0.87 * variance
    return values[BURN_IN:]


def draw_garch_size(rng: np.random.Generator, n: int) -> Array:
    """Absolute GARCH returns, similar to trading ranges."""
    return np.abs(draw_garch(rng, n))


SERIES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "iid": draw_autoregressive(0.0),
    "AR(0.5)": draw_autoregressive(0.5),
    "AR(0.9)": draw_autoregressive(0.9),
    "GARCH": draw_garch,
    "|GARCH|": draw_garch_size,
}


def alarm_by_rule(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Whether the loop's verdict is "drifted", with the rule's defaults."""
    return measure_drift(reference, current, Drift()).verdict == "drifted"


def alarm_by_default(reference: pd.DataFrame, current: pd.DataFrame) -> bool:
    """Whether a plain KS test at 0.05 alarms on any column."""
    return any(stats.ks_2samp(reference[name], current[name], method="asymp").pvalue < 0.05 for name in COLUMNS)


ALARMS = {"block-calibrated, Holm 0.05": alarm_by_rule, "plain KS 0.05 per column": alarm_by_default}


def measure_rates(draw: Callable[[np.random.Generator, int], Array], width: int, n_seeds: int) -> dict[str, Rates]:
    """Alarm shares of every rule on the same comparisons; shifts only for the first half of the seeds, to save time."""
    hits = {name: np.zeros(3) for name in ALARMS}
    n_shifted = (n_seeds + 1) // 2
    for seed in range(n_seeds):
        rng = np.random.default_rng([seed, width])
        frame = pd.DataFrame({name: draw(rng, N_REFERENCE + width) for name in COLUMNS})
        reference, quiet = frame.iloc[:N_REFERENCE], frame.iloc[N_REFERENCE:]
        samples = (quiet, *shift_first(reference, quiet)) if seed < n_shifted else (quiet,)
        for name, alarm in ALARMS.items():
            hits[name][: len(samples)] += [alarm(reference, current) for current in samples]
    return {name: Rates(*(count / [n_seeds, n_shifted, n_shifted])) for name, count in hits.items()}


def shift_first(reference: pd.DataFrame, quiet: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sample with twice the variance of column `a`, and with its mean one standard deviation higher."""
    mean, spread = reference["a"].mean(), reference["a"].std()
    return quiet.assign(a=mean + np.sqrt(2) * (quiet["a"] - mean)), quiet.assign(a=quiet["a"] + spread)


def print_table(n_seeds: int, names: Sequence[str]) -> None:
    """Measure everything and print one line per series, size and rule."""
    started = time.perf_counter()
    print(
        f"alarms, % of {n_seeds} quiet and {(n_seeds + 1) // 2} shifted comparisons; 3 columns, "
        f"{N_REFERENCE} reference rows (standard error of 5%: {100 * np.sqrt(0.05 * 0.95 / n_seeds):.1f})"
    )
    print(f"{'series':<9}{'rows':>5}  {'rule':<29}{'quiet':>7}{'variance x2':>13}{'mean +1 sd':>12}")
    for series, draw in ((name, SERIES[name]) for name in names):
        for width in SIZES:
            for rule, rates in measure_rates(draw, width, n_seeds).items():
                shares = rates.quiet_share, rates.variance_doubled_share, rates.mean_shifted_share
                quiet, doubled, shifted = (100 * share for share in shares)
                print(f"{series:<9}{width:>5}  {rule:<29}{quiet:>7.1f}{doubled:>13.1f}{shifted:>12.1f}")
    print(f"{time.perf_counter() - started:.0f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="quiet comparisons per line of the table")
    parser.add_argument("--series", nargs="+", choices=list(SERIES), default=list(SERIES), help="which series")
    given = parser.parse_args(arguments)
    print_table(given.seeds, given.series)


if __name__ == "__main__":
    main()
