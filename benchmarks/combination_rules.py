"""How the weights of a combination are best chosen, on drawn series and drawn records.

    python -m benchmarks.combination_rules

Every contest has a baseline and six to eight simple methods, fitted anew before each block of judged rows, and later
rows that no rule has seen. A rule gets the out-of-sample predictions of the judged rows, and gives weights. The table
has the later loss of each rule as a share of the baseline's, for each kind of data (geometric means), and as a share of
the loss of the candidate that was best on the judged rows. The last lines say how far losses on the judged rows are
from later ones: those of fixed candidates, which learn from fewer rows, and those of the combination's honest answers.

Shapes: M methods, J judged rows, H columns, N rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from okawari.evaluation.combination import Judged, choose_weights, is_preferred, predict_out_of_sample, select_greedily
from okawari.models.combination import mix_predictions
from okawari.schema.heads import Head, LabelHead, NumberHead

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Rule = Callable[[Judged], Array]
SEASON, HORIZON, HISTORY, LATER, BLOCKS = 12, 4, 14, 36, 4
SERIES = ("walk", "airline", "trend_season", "autoregression", "local_level", "break")
RECORDS = ("numbers", "labels")
KINDS = (*SERIES, *RECORDS)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The judged rows with the block of each, and the later rows, predicted after a fit on all judged ones."""

    kind: str
    judged: Judged
    block_J: Places
    later: Judged


# --- rules ---------------------------------------------------------------------------------------------------------


def rank(judged: Judged) -> tuple[Places, Array]:
    """Places of the candidates, best first, and their losses."""
    losses_M = np.array([judged.measure(said_JH) for said_JH in judged.said_MJH])
    return np.argsort(losses_M), losses_M


def weigh_inversely(judged: Judged, most: int, power: float) -> Array:
    """Weights of the best, proportional to a power of the inverse loss; equal ones for the power 0."""
    order, losses_M = rank(judged)
    weight_M = np.zeros(len(losses_M))
    weight_M[order[:most]] = losses_M[order[:most]] ** -power
    weighed: Array = weight_M / weight_M.sum()
    return weighed


def weigh_greedily(judged: Judged, most: int) -> Array:
    return select_greedily(judged, rank(judged)[0][:most])


def weigh_as_served(judged: Judged, most: int) -> Array:
    """The rule of `okawari.evaluation.combination`; the best candidate alone where it gives no combination."""
    weight_M = choose_weights(judged, most)
    return weight_M if weight_M.any() else weigh_inversely(judged, 1, 0)


RULES: dict[str, Rule] = {
    "the best": partial(weigh_inversely, most=1, power=0),
    **{f"equal weights of {most}": partial(weigh_inversely, most=most, power=0) for most in (2, 3, 4)},
    **{f"inverse squared of {most}": partial(weigh_inversely, most=most, power=2) for most in (3, 4)},
    **{f"greedy of {most}": partial(weigh_greedily, most=most) for most in (3, 9)},
    **{f"as served, of {most}": partial(weigh_as_served, most=most) for most in (2, 3, 4)},
}
SERVED = 3
CHOICES = ("if its loss is lowest", "if preferred")
"""When the combination serves instead of the best candidate."""

# --- drawn contests ------------------------------------------------------------------------------------------------


def draw_series(kind: str, n: int, random: np.random.Generator) -> Array:
    noise, time = random.normal(size=n + 60), np.arange(n + 60)
    if kind == "walk":
        level = np.cumsum(noise)
    elif kind == "airline":
        mixed = noise.copy()
        mixed[1:] -= 0.4 * noise[:-1]
        mixed[SEASON:] -= 0.6 * noise[:-SEASON]
        seasonal = mixed.copy()
        for place in range(SEASON, len(mixed)):
            seasonal[place] += seasonal[place - SEASON]
        level = np.cumsum(seasonal)
    elif kind == "trend_season":
        season = random.normal(0, 3, SEASON)
        level = 0.05 * time + season[time % SEASON] + noise * 1.5
    elif kind == "autoregression":
        level = noise.copy()
        for place in range(2, len(noise)):
            level[place] += 0.9 * level[place - 1] - 0.25 * level[place - 2]
    elif kind == "local_level":
        level = np.cumsum(0.3 * noise) + random.normal(size=n + 60)
    else:
        season = random.normal(0, 2, SEASON)
        level = season[time % SEASON] + noise + np.where(time > random.uniform(0.5, 0.9) * n, 3.0, 0.0)
    return level[60:]


def forecast_all(y: Array, origin: int, places: NDArray[np.int64]) -> Array:
    """Forecasts [M, B, H] of HORIZON steps after each place, fitted on y[:origin]."""
    steps = np.arange(1, HORIZON + 1)
    taught = np.arange(HISTORY, origin - HORIZON)
    moved = np.stack([y[taught + h] - y[taught] for h in steps], axis=1)
    last = y[places][:, None]
    walk = np.repeat(last, HORIZON, axis=1)
    naive = np.stack([y[places + h - SEASON] for h in steps], axis=1)
    drift = walk + steps * (y[origin - 1] - y[0]) / (origin - 1)
    said = [walk, naive, drift, _smooth(y, origin, places), _regress_time(y, origin, places)]
    lagged = np.stack([y[taught - lag] - y[taught] for lag in range(1, HISTORY)], axis=1)
    asked = np.stack([y[places - lag] - y[places] for lag in range(1, HISTORY)], axis=1)
    for lags, penalty in ((2, 1.0), (HISTORY - 1, 1.0), (HISTORY - 1, 60.0)):
        said.append(last + _ridge(lagged[:, :lags], moved, asked[:, :lags], penalty))
    seasonal = np.stack([y[taught + h - SEASON] - y[taught - SEASON] for h in steps], axis=1)
    seasonal_asked = np.stack([y[places + h - SEASON] - y[places - SEASON] for h in steps], axis=1)
    said.append(last + seasonal_asked + _ridge(lagged[:, -2:], moved - seasonal, asked[:, -2:], 1.0))
    return np.stack(said)


def _smooth(y: Array, origin: int, places: NDArray[np.int64]) -> Array:
    best, chosen = np.inf, np.zeros(1)
    for rate in (0.1, 0.2, 0.4, 0.6, 0.8):
        level, total = np.empty(len(y)), 0.0
        level[0] = y[0]
        for place in range(1, len(y)):
            total += (y[place] - level[place - 1]) ** 2 if place < origin else 0.0
            level[place] = level[place - 1] + rate * (y[place] - level[place - 1])
        if total < best:
            best, chosen = total, level
    return np.repeat(chosen[places][:, None], HORIZON, axis=1)


def _regress_time(y: Array, origin: int, places: NDArray[np.int64]) -> Array:
    def design(time: Array) -> Array:
        columns = [time / 100, *[(time % SEASON == each) for each in range(SEASON)]]
        designed: Array = np.column_stack(columns).astype(np.float64)
        return designed

    weight, *_ = np.linalg.lstsq(design(np.arange(origin, dtype=np.float64)), y[:origin], rcond=None)
    return np.stack([design(places.astype(np.float64) + h) @ weight for h in range(1, HORIZON + 1)], axis=1)


def _ridge(x: Array, y: Array, asked: Array, penalty: float) -> Array:
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, asked = (x - mean) / spread, (asked - mean) / spread
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - y.mean(axis=0)))
    said: Array = asked @ weight + y.mean(axis=0)
    return said


def contest_series(kind: str, random: np.random.Generator) -> Contest:
    n = int(random.choice([90, 140, 250]))
    y = draw_series(kind, n + LATER + HORIZON, random)
    places = np.arange(n - max(16, n // 4) - 1, n - HORIZON)
    blocks = np.array_split(places, BLOCKS)
    said_MJH = np.concatenate([forecast_all(y, int(block[0]) + 1, block) for block in blocks], axis=1)
    later = np.arange(n - 1, n - 1 + LATER)
    head = NumberHead(name="y", start=0, n_steps=HORIZON)
    return Contest(
        kind=kind,
        judged=_judge(said_MJH, _look_ahead(y, places), head),
        block_J=np.concatenate([np.full(len(block), number) for number, block in enumerate(blocks)]),
        later=_judge(forecast_all(y, n, later), _look_ahead(y, later), head),
    )


def _look_ahead(y: Array, places: Places) -> Array:
    return np.stack([y[places + h] for h in range(1, HORIZON + 1)], axis=1)


def _judge(said_MJH: Array, true_JH: Array, head: Head) -> Judged:
    """The first method is the baseline."""
    return Judged(said_MJH=said_MJH[1:], floor_JH=said_MJH[0], true_JH=true_JH, heads=(head,))


def contest_records(kind: str, random: np.random.Generator) -> Contest:
    n, is_label, n_later = int(random.choice([120, 400])), kind == "labels", 1500
    x = random.normal(size=(n + n_later, 8))
    bend, spread = random.choice([0.0, 0.5, 1.0]), random.choice([0.5, 1.5])
    signal = x[:, 0] - x[:, 1] + 0.5 * x[:, 2] + bend * (2 * x[:, 3] * x[:, 4] + 2 * np.sin(2 * x[:, 5]))
    value = signal + random.normal(0, spread, len(x))
    y = (value > 0).astype(np.float64) if is_label else value
    true_NH = np.column_stack([1 - y, y]) if is_label else y[:, None]
    head = LabelHead(name="y", start=0, words=("no", "yes")) if is_label else NumberHead(name="y", start=0)
    block_J = random.permutation(np.arange(n) % BLOCKS)
    said = [predict_all(x[:n][block_J != each], y[:n][block_J != each], x[:n], is_label) for each in range(BLOCKS)]
    said_MJH = np.stack(said)[block_J, :, np.arange(n)].swapaxes(0, 1)
    later = _judge(predict_all(x[:n], y[:n], x[n:], is_label), true_NH[n:], head)
    return Contest(kind=kind, judged=_judge(said_MJH, true_NH[:n], head), block_J=block_J, later=later)


def predict_all(x: Array, y: Array, asked: Array, is_label: bool) -> Array:
    """Predictions [M, N, H] of all methods, labels as logits; the first one knows the mean alone."""
    fitted = [each.fit(x, y) for each in (list_classifiers() if is_label else list_regressors())]
    if not is_label:
        return np.stack([np.full(len(asked), y.mean()), *[each.predict(asked) for each in fitted]])[:, :, None]
    floor = np.tile([1 - y.mean(), y.mean()], (len(asked), 1))
    shares = np.stack([floor, *[each.predict_proba(asked) for each in fitted]])
    logits: Array = np.log(np.maximum(shares, 1e-6))
    return logits


def list_regressors() -> list[Any]:
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures
    from sklearn.svm import SVR

    forest = RandomForestRegressor(60, min_samples_leaf=3, random_state=1)
    bent = make_pipeline(PolynomialFeatures(2), Ridge(10.0))
    return [Ridge(), bent, forest, HistGradientBoostingRegressor(max_iter=80), KNeighborsRegressor(8), SVR(C=5.0)]


def list_classifiers() -> list[Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures

    forest = RandomForestClassifier(60, min_samples_leaf=3, random_state=1)
    bent = make_pipeline(PolynomialFeatures(2), LogisticRegression(C=0.1, max_iter=500))
    boosting = HistGradientBoostingClassifier(max_iter=60)
    return [LogisticRegression(), bent, forest, boosting, KNeighborsClassifier(15), GaussianNB()]


# --- the table -----------------------------------------------------------------------------------------------------


def draw_contests(kinds: Sequence[str], seeds: int) -> Iterator[Contest]:
    for kind in kinds:
        draw = contest_records if kind in RECORDS else contest_series
        for seed in range(seeds):
            yield draw(kind, np.random.default_rng([seed, KINDS.index(kind)]))


def plan_blocks(contest: Contest) -> list[tuple[Places, Places]]:
    """As `okawari.evaluation.combination.plan_blocks`."""
    rows_J = np.arange(len(contest.block_J))
    if contest.kind in RECORDS:
        return [(rows_J[contest.block_J == each], rows_J[contest.block_J != each]) for each in range(BLOCKS)]
    stretches = np.array_split(rows_J, 8)
    before = [rows_J[: max(0, rows[0] - HORIZON + 1)] for rows in stretches]
    after = [rows_J[rows[-1] + HORIZON :] for rows in stretches]
    return [
        (rows, known if len(known) >= 10 else rest) for rows, known, rest in zip(stretches, before, after, strict=True)
    ]


def mix(judged: Judged, weight_M: Array) -> Array:
    used = np.flatnonzero(weight_M)
    return mix_predictions(judged.said_MJH[used], tuple(weight_M[used]), judged.heads)


def choose(contest: Contest) -> tuple[float, bool, bool]:
    """The combination's honest loss on the judged rows, and whether it is chosen: as the lowest loss, as preferred."""
    judged, blocks = contest.judged, plan_blocks(contest)
    mixed_JH = predict_out_of_sample(judged, blocks, SERVED)
    own = judged.measure(mixed_JH)
    return own, bool(own < rank(judged)[1].min()), is_preferred(judged, mixed_JH, blocks)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Rules for the weights of a combination.")
    parser.add_argument("--seeds", type=int, default=60, help="contests of each kind (%(default)s)")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS, help="kinds of data")
    given = parser.parse_args(arguments)
    names = (*RULES, *CHOICES)
    logs: dict[tuple[str, str], list[float]] = {(name, kind): [] for name in names for kind in given.kinds}
    fixed, honest = [], []
    for contest in draw_contests(given.kinds, given.seeds):
        for name, rule in RULES.items():
            loss = contest.later.measure(mix(contest.later, rule(contest.judged)))
            logs[name, contest.kind].append(np.log(loss))
        fixed.append(np.mean(np.log(rank(contest.judged)[1]) - np.log(rank(contest.later)[1])))
        both = [logs[name, contest.kind][-1] for name in ("the best", f"as served, of {SERVED}")]
        own, *is_chosen = choose(contest)
        for name, is_combined in zip(CHOICES, is_chosen, strict=True):
            logs[name, contest.kind].append(both[is_combined])
        honest.append(np.log(own) - both[1])
    best = np.mean([logs["the best", kind] for kind in given.kinds])
    print(f"{'rule':24s}", *[f"{kind[:9]:>9s}" for kind in given.kinds], f"{'/ the best':>11s}")
    for name in names:
        means = [np.exp(np.mean(logs[name, kind])) for kind in given.kinds]
        ratio = np.exp(np.mean([logs[name, kind] for kind in given.kinds]) - best)
        print(f"{name:24s}", *[f"{mean:9.3f}" for mean in means], f"{ratio:11.3f}")
    for name, found in (("fixed candidates", fixed), (f"as served, of {SERVED}", honest)):
        error = np.std(found) / np.sqrt(len(found))
        print(f"{name}: judged loss {np.mean(found):+.1%} from the later one (standard error {error:.1%})")


if __name__ == "__main__":
    main()
