"""What the gate's rule costs and how often it errs: later losses of public series, equals promoted, gains missed.

    python -m benchmarks.gate [--parts levels equals power seasonal quiet]

levels    the level against the baseline, settled on simulated series (`benchmarks.simulated_contests`)
equals    contests of equally good recipes against a champion: false promotions at `Gate.alpha`
power     contests whose challenger is truly 2, 5 and 10 % better
seasonal  public seasonal series: guess, folds, gate and refit in memory; later loss over that of the last value
quiet     series without signal, the same way

The LSTM is left out of `seasonal` and `quiet`, because it would take hours.

Shapes: B origins or records, K steps ahead.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.model_scores import score_results
from benchmarks.public_tables import PublicTable, draw_without_signal, load_contests
from benchmarks.served import guess_table, serve_table
from benchmarks.simulated_contests import WITH_SIGNAL, WITHOUT_SIGNAL, Array, SimulatedContest, simulate_contests
from okawari.case import Gate
from okawari.evaluation.evidence import Design, Origins, Records, compare, compare_pair
from okawari.policy.decision import Action
from okawari.policy.promotion import Card, choose_challenger, decide_promotion

PARTS = ("levels", "equals", "power", "seasonal", "quiet")
LEVELS = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0)
GAINS = (0.02, 0.05, 0.1)
SIZES = (15, 20, 30, 45, 60, 120, 300)
BAD = 1.05
_LEFT_OUT = "lstm"
_GATE = Gate()

# --- the level against the baseline -------------------------------------------------------------------------------


def judge_simulated(contest: SimulatedContest, gate: Gate) -> dict[float, float]:
    """The later loss of what each level serves, over the random walk's."""
    floor, *names = contest.losses
    losses = [contest.losses[name] for name in names]
    design = Origins(overlap=losses[0].shape[1] - 1, n_fits=5)
    found = compare(contest.losses[floor], losses, design)
    cards = [Card(candidate=name, loss=1.0, over_floor=each) for name, each in zip(names, found, strict=True)]
    baseline = Card(candidate=floor, loss=1.0)
    served = {level: choose_challenger(baseline, cards, replace(gate, floor_level=level)) for level in LEVELS[:-1]}
    best = max([*found], key=lambda each: each.gain_share)
    any_gain = names[found.index(best)] if best.plain_gain_share >= gate.min_gain_share else floor
    return {**{level: contest.later[card.candidate] for level, card in served.items()}, 1.0: contest.later[any_gain]}


def print_levels(n_each: int, seed: int) -> None:
    """Print what each level costs where there is signal, and where there is none."""
    print(f"{n_each} simulated series of each kind; level: later loss over the random walk's, geometric mean")
    found = {}
    for title, kinds in (("signal", WITH_SIGNAL), ("none", WITHOUT_SIGNAL)):
        found[title] = [judge_simulated(each, _GATE) for each in simulate_contests(kinds, n_each, seed)]
    for level in LEVELS:
        texts = [f"{title} {describe_later([each[level] for each in found[title]])}" for title in found]
        print(f"{level:4.2f}" if level < 1 else "any gain", *texts, sep="   ")


def describe_later(later: Sequence[float]) -> str:
    """Geometric mean, worst, share of the baseline served and share of bad choices."""
    value = np.array(later)
    mean, is_floor, is_bad = np.exp(np.log(value).mean()), np.mean(value == 1), np.mean(value > BAD)
    return f"{mean:.4f} (worst {value.max():.2f}, baseline serves {is_floor:.1%}, above {BAD} {is_bad:.1%})"


# --- against a champion -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of drawn contest: autocorrelation of errors, steps ahead, and whether the rows are origins in time."""

    name: str
    shares: tuple[float, ...] = (0.0,)
    horizons: tuple[int, ...] = (1,)
    in_time: bool = True

    def draw(self, random: np.random.Generator, n_methods: int, n: int) -> tuple[Array, Design]:
        """Errors [n_methods, B, K] of equally good methods, and the design of the rows."""
        horizon, share = int(random.choice(self.horizons)), float(random.choice(self.shares))
        likeness = float(random.choice([0.5, 0.8, 0.95]))
        if not self.in_time:
            common, own = random.standard_t(3, (n, 1)), random.standard_t(3, (n_methods, n, 1))
            return np.sqrt(likeness) * common + np.sqrt(1 - likeness) * own, Records(n_fits=5)
        own = _autoregress(random, (n_methods, n), share)[:, :, np.newaxis]
        design = Origins(overlap=horizon - 1, n_fits=5)
        if horizon == 1:
            return np.sqrt(likeness) * _autoregress(random, (n, 1), share, axis=0) + np.sqrt(1 - likeness) * own, design
        path = np.cumsum(random.standard_normal(n + horizon))
        missed = np.stack([path[step : step + n] - path[:n] for step in range(1, horizon + 1)], axis=1)
        return 0.8 * missed + 0.6 * own * np.sqrt(np.arange(1, horizon + 1)), design


KINDS = (
    Kind(name="records, heavy tails", in_time=False),
    Kind(name="one step, autocorrelated", shares=(0.5, 0.7, 0.8, 0.9)),
    Kind(name="overlapping horizons", shares=(0.5, 0.7, 0.8, 0.9), horizons=(5, 12)),
)


def _autoregress(random: np.random.Generator, shape: tuple[int, int], share: float, axis: int = 1) -> Array:
    """Autoregressive errors of variance 1 along an axis."""
    warm_up = 50
    shocks = np.moveaxis(random.standard_normal(shape), axis, -1)
    shocks = np.concatenate([random.standard_normal((*shocks.shape[:-1], warm_up)), shocks], axis=-1)
    for t in range(1, shocks.shape[-1]):
        shocks[..., t] += share * shocks[..., t - 1]
    scaled: Array = np.moveaxis(shocks[..., warm_up:] * np.sqrt(1 - share**2), -1, axis)
    return scaled


def challenge(kind: Kind, n: int, gain: float, random: np.random.Generator) -> bool:
    """Whether the best of 1, 3 or 6 challengers is promoted, all of which are truly better by `gain`."""
    n_rivals = int(random.choice([1, 1, 3, 6]))
    errors, design = kind.draw(random, n_rivals + 2, n)
    floor, champion, *rivals = errors * np.array([1.5, 1.0, *[1 - gain] * n_rivals])[:, np.newaxis, np.newaxis]
    best, *others = sorted(rivals, key=lambda each: float((each**2 / (floor**2).mean(axis=0)).mean()))
    points = compare_pair(best**2, champion**2, floor**2, design, rivals=[each**2 for each in others])
    half = float(np.quantile(np.abs(champion), 0.9))
    scores = [2 * half + 20 * np.maximum(np.abs(each) - half, 0) for each in (best, champion)]
    intervals = compare_pair(scores[0], scores[1], scores[1], design, loss_name="interval score")
    card = Card(candidate="any", loss=1.0, interval_score=1.0)
    return decide_promotion(card, card, card, _GATE, points, intervals=intervals).action == Action.PROMOTE


def count_promotions(n_contests: int, gain: float, seed: int) -> dict[tuple[str, int], list[bool]]:
    """The promotions of contests that cycle through kinds and sizes."""
    found: dict[tuple[str, int], list[bool]] = {(kind.name, n): [] for kind in KINDS for n in SIZES}
    random = np.random.default_rng([seed, int(1000 * gain)])
    for number in range(n_contests):
        kind, n = KINDS[number % len(KINDS)], SIZES[number // len(KINDS) % len(SIZES)]
        found[kind.name, n].append(challenge(kind, n, gain, random))
    return found


def print_promotions(n_contests: int, gain: float, seed: int) -> None:
    """Print the rate of promotions: false ones without a gain, power with one."""
    found = count_promotions(n_contests, gain, seed)
    everything = [each for some in found.values() for each in some]
    n_promoted = sum(everything)
    upper = stats.beta.ppf(0.95, n_promoted + 1, max(1, len(everything) - n_promoted))
    print(f"true gain {gain:.0%}: {n_promoted} of {len(everything)} promoted, upper 95 % bound {upper:.3f}")
    for title, groups in (("", [kind.name for kind in KINDS]), ("n = ", SIZES)):
        rates = [(group, [each for key, some in found.items() if group in key for each in some]) for group in groups]
        print("   ", ", ".join(f"{title}{group} {np.mean(each):.3f}" for group, each in rates if each))


# --- public series ------------------------------------------------------------------------------------------------


def judge_table(table: PublicTable) -> tuple[str, float]:
    """What the gate serves for a series, and its later loss over that of the last value, over the whole horizon."""
    with tempfile.TemporaryDirectory() as folder:
        candidates = guess_table(table, Path(folder)).case.candidates
    names = [each.name for each in candidates if not each.name.startswith(_LEFT_OUT)]
    result = serve_table(table, names)
    # Questions near the end know fewer steps, so the last value's own loss is not exactly 1.
    found = score_results(table, {"served": result, "walk": {"mean": _walk(table, len(result["mean"][0]))}}, "served")
    return result["candidate"], found["served"].loss / found["walk"].loss


def _walk(table: PublicTable, horizon: int) -> list[list[float]]:
    """The last value before each later row, for each step ahead."""
    values = table.frame[table.target].to_numpy(dtype=float)
    before_B = values[len(values) - len(table.later_B) - 1 : -1]
    repeated: list[list[float]] = np.repeat(before_B[:, np.newaxis], horizon, axis=1).tolist()
    return repeated


def print_tables(tables: Sequence[PublicTable], title: str) -> None:
    """Print the later loss of what the gate serves for each series, and its mean."""
    later = []
    for table in tables:
        started = time.perf_counter()
        name, ratio = judge_table(table)
        later.append(ratio)
        seconds = time.perf_counter() - started
        print(f"{table.name:28} {len(table.known):5} rows  {name:28} later {ratio:.3f}  ({seconds:.0f} s)", flush=True)
    print(f"{len(later)} {title}: later loss over the last value's {describe_later(later)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What the gate costs, and how often it errs.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--series", type=int, default=60, help="simulated series of each kind (%(default)s)")
    parser.add_argument("--contests", type=int, default=1000, help="contests of equals, and of each gain (%(default)s)")
    parser.add_argument("--tables", type=int, default=36, help="public series of each part (%(default)s)")
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args(arguments)
    started = time.perf_counter()
    if "levels" in given.parts:
        print_levels(given.series, given.seed)
    if "equals" in given.parts:
        print_promotions(given.contests, 0.0, given.seed)
    for gain in GAINS if "power" in given.parts else ():
        print_promotions(given.contests, gain, given.seed)
    if "seasonal" in given.parts:
        print_tables(load_contests()[: given.tables], "seasonal contests")
    if "quiet" in given.parts:
        print_tables(draw_without_signal(given.tables), "series without signal")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
