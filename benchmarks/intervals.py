"""Do intervals hold, and at what width: rolling origins of bundled cases, drawn series and records, and public tables.

    python -m benchmarks.intervals [--storm] [--cases] [--drawn] [--tables]

Each judged stretch has the interval of the errors before it (records: of the other folds), once with the scale that
these errors choose and once with constant width. Printed are the measured coverage with its 95% interval (moving blocks
of judged windows for series: Kunsch, The Jackknife and the Bootstrap for General Stationary Observations, 1989), and
the interval score (Winkler) relative to constant width. `--storm`: `aapl` over the trading days of 2008, with the width
factor that follows each day's outcomes.

Shapes: J judged windows, H columns of an answer, N trading days.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.case import ARRIVED, Case, Change, Column, Forecast, Gate, Regress
from okawari.cases.loader import load_case
from okawari.dataset.folds import Folds, plan_folds
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows
from okawari.evaluation.adaptive_width import adapt_width
from okawari.evaluation.backtest import backtest
from okawari.evaluation.conformal import calibrate_interval
from okawari.evaluation.scales import fit_interval
from okawari.models.cores import Interval
from okawari.models.fit_context import no_progress
from okawari.models.linear import Linear
from okawari.models.protocols import Recipe
from okawari.models.random_walk import RandomWalk
from okawari.models.seasonal_naive import SeasonalNaive
from okawari.models.windows import Floats, Values, WindowSet
from okawari.schema.heads import mark_shares
from okawari.schema.transforms import Learns

SHARE = 0.9
_STRETCHES = 8
_RESAMPLES = 2000
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """Judged windows of a table: hits and interval scores of each window and column, [J, H], and the scales chosen."""

    name: str
    hit_JH: Values
    score_JH: Values
    constant_JH: Values
    scales: tuple[str, ...]
    is_ordered: bool
    constant_hit_JH: Values

    @property
    def relative_score(self) -> float:
        """Interval score as a share of that of constant width, the mean over the columns."""
        return float(np.mean(self.score_JH.mean(axis=0) / self.constant_JH.mean(axis=0)))


def resample_coverage(hit_JH: Values, *, in_order: bool, seed: int = 0) -> Values:
    """Coverages of resampled windows: by moving blocks where windows depend on each other."""
    hit_J, n = hit_JH.mean(axis=1), len(hit_JH)
    length = min(n, max(2 * hit_JH.shape[1], round(3 * n ** (1 / 3)))) if in_order else 1
    random = np.random.default_rng(seed)
    starts = random.integers(0, n - length + 1, size=(_RESAMPLES, -(-n // length)))
    sums = np.concatenate([[0.0], np.cumsum(hit_J)])
    means: Values = ((sums[starts + length] - sums[starts]) / length).mean(axis=1)
    return means


def judge(name: str, case: Case, recipe: Recipe, frame: pd.DataFrame) -> Judged:
    """Out-of-sample predictions of a recipe, with intervals from the errors at other judged windows."""
    stamped = case.layout.stamp_records(frame, case.time)
    folds = plan_folds(cut_windows(lay_out_steps(stamped, case), case), case)
    r_JH = backtest(recipe, case, folds, no_progress).r_JH
    assert r_JH is not None, "a backtest keeps its predictions"
    columns = ~mark_shares(case.task.heads, case.task.width)
    parts, scales = [], []
    for rows, others in _list_stretches(folds):
        own, known = folds.judged.pick(rows), folds.judged.pick(others)
        local = fit_interval(known, r_JH[others], case)
        assert local is not None, "cases here have numbers"
        fixed = calibrate_interval(known.r_BH, r_JH[others], SHARE)
        parts.append([each[:, columns] for each in (*_score(local, own, r_JH[rows]), *_score(fixed, own, r_JH[rows]))])
        scales.append(local.scale.name)
    hit_JH, score_JH, start_JH, constant_JH = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Judged(name, hit_JH, score_JH, constant_JH, tuple(scales), not folds.is_dealt, start_JH)


def _score(interval: Interval, windows: WindowSet, r_BH: Floats) -> tuple[Values, Values]:
    """Hits and interval scores in the unit of what models learn, [B, H]."""
    half_BH = interval.half_width_H * interval.scale.measure(windows, r_BH)
    error_BH = np.abs(windows.r_BH.astype(np.float64) - r_BH)
    return (error_BH <= half_BH).astype(float), 2 * half_BH + 2 / (1 - SHARE) * np.maximum(error_BH - half_BH, 0)


def _list_stretches(folds: Folds) -> Iterator[tuple[Places, Places]]:
    if folds.is_dealt:
        for place, fold in enumerate(folds.parts):
            others = [each.rows_J for each in folds.parts[:place] + folds.parts[place + 1 :]]
            yield fold.rows_J, np.concatenate(others)
        return
    rows_J = np.arange(len(folds.judged))
    for rows in np.array_split(rows_J[max(folds.n_unpriced, 9 + folds.gap) :], _STRETCHES):
        if len(rows):
            yield rows, rows_J[: rows[0] - max(0, folds.gap - 1)]


# --- what is judged ---


def list_bundled() -> Iterator[Judged]:
    """The bundled cases of numbers, each with a recipe that is quick to fit at many origins."""
    aapl = load_case("aapl")
    for until in (date(2004, 12, 31), date(2009, 12, 31), date(2013, 3, 1)):
        case = replace(aapl, gate=Gate(holdout=750, calibration=250, origins=1))
        yield judge(f"aapl to {until.year}", case, RandomWalk(), case.source.read(until))
    cpi = load_case("cpi")
    yield judge("cpi", cpi, Linear(penalty=1.0), cpi.source.read())
    diabetes = load_case("diabetes")
    yield judge("diabetes", diabetes, Linear(), diabetes.source.read())


def list_drawn(n_seeds: int) -> Iterator[Judged]:
    """Series and records with known errors: equal ones, changing ones, counts with many zeros, and skewed amounts."""
    for name, draw in DRAWN.items():
        for seed in range(n_seeds):
            level_N = draw(np.random.default_rng(seed))
            case = _plan_series(name, level_N, season=7 if name == "week with gaps" else 0)
            recipe: Recipe = SeasonalNaive(season=7) if name == "week with gaps" else RandomWalk()
            if name.startswith(("counts", "parts")):
                recipe = Linear(penalty=10.0)
            days = pd.date_range("2010-01-01", periods=len(level_N))
            frame = pd.DataFrame({"date": days, "level": level_N})
            yield judge(name, case, recipe, frame.dropna().reset_index(drop=True))
    for seed in range(n_seeds):
        yield _judge_revenue(seed)


def _plan_series(name: str, level_N: Values, *, season: int) -> Case:
    counts = name.startswith(("counts", "parts"))
    return Case(
        name="drawn", title=name, source=load_case("aapl").source, frequency="D",
        columns=(Column(name="level", minimum=0 if counts else None),),
        features=(Change(name="change", column="level"),),
        task=Forecast(target="level", history=max(28, 2 * season), horizon=3, learns="difference"),
        candidates=(RandomWalk(),), gate=Gate(holdout=370, calibration=250, origins=1),
    )  # fmt: skip


def _draw_garch(random: np.random.Generator) -> Values:
    variance, moves = 1.0, np.empty(1500)
    for place in range(len(moves)):
        moves[place] = np.sqrt(variance) * random.standard_t(6) / np.sqrt(1.5)
        variance = 0.02 + 0.1 * moves[place] ** 2 + 0.88 * variance
    return np.cumsum(moves)


def _draw_regimes(random: np.random.Generator) -> Values:
    spread_N = np.repeat(random.choice([0.5, 1.0, 3.0], size=15, p=[0.4, 0.4, 0.2]), 100)
    return np.cumsum(spread_N * random.normal(size=1500))


def _draw_weeks(random: np.random.Generator) -> Values:
    day_N = np.arange(1500)
    level_N = 100 + 20 * np.sin(day_N * 2 * np.pi / 7) + random.normal(0, 1, 1500)
    return np.where(random.random(1500) < 0.14, np.nan, level_N)


def _draw_counts(random: np.random.Generator) -> Values:
    return random.poisson(4 * np.exp(1.2 * np.sin(np.arange(1500) * 2 * np.pi / 120))).astype(float)


def _draw_parts(random: np.random.Generator) -> Values:
    return np.where(random.random(1500) < 0.7, 0.0, random.poisson(2.0, 1500) + 1.0)


DRAWN = {
    "random walk": lambda random: np.cumsum(random.normal(size=1500)),
    "walk, heavy tails": lambda random: np.cumsum(random.standard_t(3, size=1500)),
    "GARCH": _draw_garch,
    "regimes of 100": _draw_regimes,
    "week with gaps": _draw_weeks,
    "counts": _draw_counts,
    "parts, 70% zeros": _draw_parts,
}


def _judge_revenue(seed: int) -> Judged:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(2, 1200))
    frame = pd.DataFrame({"x": x, "y": y, "revenue": np.exp(4 + x + 0.7 * y + random.normal(0, 0.5, 1200))})
    case = Case(
        name="drawn", title="Revenue", source=load_case("diabetes").source, time=ARRIVED,
        columns=(Column(name="x"), Column(name="y")), task=Regress(target=Column(name="revenue", above=0)),
        candidates=(RandomWalk(),), gate=Gate(holdout=200, calibration=200),
    )  # fmt: skip
    return judge("skewed amounts, learned as they are", case, Linear(), frame)


def list_public() -> Iterator[Judged]:
    """Public tables of series and of numbers, with quick recipes; their kept part is not read."""
    from benchmarks.public_tables import list_tables, load_table

    for name, group in list_tables().items():
        table = load_table(name)
        if group == "series":
            yield _judge_series(name, table.known, table.time or "date", table.target, table.season)
        elif group == "numbers":
            yield _judge_records(name, table.known, table.target)


def _judge_series(name: str, frame: pd.DataFrame, time: str, target: str, season: int) -> Judged:
    known = frame[[time, target]].rename(columns={time: "date", target: "level"}).dropna().reset_index(drop=True)
    n, is_positive = len(known), bool((known["level"] > 0).all())
    learns: Learns = "growth" if is_positive else "difference"
    history, horizon = max(13, min(season + 1, 53)), 2
    n_judged = min(750, (n - history - horizon) // 2)
    case = Case(
        name="public", title=name, source=load_case("aapl").source,
        columns=(Column(name="level", above=0 if is_positive else None),),
        features=(Change(name="change", column="level"),),
        task=Forecast(target="level", history=history, horizon=horizon, learns=learns),
        candidates=(RandomWalk(),), gate=Gate(holdout=2 * n_judged // 3, calibration=n_judged // 3, origins=1),
    )  # fmt: skip
    recipe: Recipe = SeasonalNaive(season=season) if 1 < season < history else RandomWalk()
    return judge(name, case, recipe, known.astype({"level": float}))


def _judge_records(name: str, frame: pd.DataFrame, target: str) -> Judged:
    numbers = frame.select_dtypes("number").astype(float).dropna()
    columns = [column for column in numbers if column != target and numbers[column].nunique() > 1]
    named = {column: f"c{place}" for place, column in enumerate(columns)} | {target: "truth"}
    case = Case(
        name="public", title=name, source=load_case("diabetes").source, time=ARRIVED,
        columns=tuple(Column(name=named[column]) for column in columns),
        task=Regress(target=Column(name="truth", above=0 if (numbers[target] > 0).all() else None)),
        candidates=(RandomWalk(),), gate=Gate(holdout=max(6, len(numbers) // 5), calibration=max(9, len(numbers) // 5)),
    )  # fmt: skip
    return judge(
        name, case, Linear(penalty=1.0), numbers[[*columns, target]].rename(columns=named).reset_index(drop=True)
    )


# --- the storm ---


def run_storm() -> pd.DataFrame:
    """`aapl` over 2008, by one random walk with an interval from 2007: hits of each trading day at steps 1 and 5."""
    case = load_case("aapl")
    windows = cut_windows(case.source.read(date(2009, 2, 28)), case)
    n_known = case.gate.calibration + case.gate.holdout
    before = np.flatnonzero(windows.at_B < np.datetime64("2008-01-01"))[-n_known - case.horizon : -case.horizon]
    days = np.flatnonzero((windows.at_B >= np.datetime64("2007-12-31")) & (windows.at_B < np.datetime64("2008-12-31")))
    zeros = np.zeros_like(windows.r_BH)
    known, year = windows.pick(before), windows.pick(days)
    fixed = calibrate_interval(known.r_BH, zeros[before], SHARE)
    local = fit_interval(known, zeros[before], case)
    assert local is not None, "aapl has intervals"
    rows = {"month": year.at_B.astype("datetime64[M]")}
    for step in (0, 4):
        for name, interval in (("constant", fixed), ("scaled", local)):
            half_N = (interval.half_width_H * interval.scale.measure(year, zeros[days]))[:, step]
            score_N = np.abs(year.r_BH[:, step].astype(float)) / half_N
            factor_N = _follow(score_N, step)
            for kind, factors in ((name, np.ones(len(score_N))), (f"{name}, adaptive", factor_N)):
                rows[f"step {step + 1}: {kind}"] = score_N <= factors
                rows[f"width {step + 1}: {kind}"] = half_N * factors
    return pd.DataFrame(rows)


def _follow(score_N: Values, delay: int) -> Values:
    """The factor of each day, from the outcomes that were known on it: those of a later step come later."""
    path_N = adapt_width(score_N, SHARE).path_N
    return np.concatenate([np.ones(min(delay, len(path_N))), path_N])[: len(path_N)]


# --- printing ---


def print_judged(found: Sequence[Judged]) -> None:
    """One row for each name and one for all: coverage with its 95% interval, score against constant width, scales."""
    print("| what | windows | coverage, 95% interval | holds | constant width covers | score / constant | scales |")
    print("|---|---|---|---|---|---|---|")
    names = list(dict.fromkeys(each.name for each in found))
    for name in names:
        _print_row(name, [each for each in found if each.name == name])
    if len(names) > 1:
        _print_row("all, of equal weight", found)


def _print_row(name: str, same: Sequence[Judged]) -> None:
    resampled = [
        resample_coverage(each.hit_JH, in_order=each.is_ordered, seed=place) for place, each in enumerate(same)
    ]
    low, high = np.quantile(np.mean(resampled, axis=0), [0.025, 0.975])
    coverage, constant = (
        np.mean([getattr(each, part).mean() for each in same]) for part in ("hit_JH", "constant_hit_JH")
    )
    ratio = float(np.exp(np.mean([np.log(each.relative_score) for each in same])))
    chosen = pd.Series([scale for each in same for scale in each.scales]).value_counts()
    scales = ", ".join(f"{scale} {count}" for scale, count in chosen.items())
    holds = "yes" if low <= SHARE <= high else "no"
    n_windows = sum(len(each.hit_JH) for each in same)
    print(
        f"| {name} | {n_windows} | {coverage:.3f} [{low:.3f}, {high:.3f}] | {holds} | {constant:.3f} | {ratio:.3f} | "
        f"{scales} |", flush=True,
    )  # fmt: skip


def print_storm(year: pd.DataFrame) -> None:
    """Coverage by month and over the year, and the mean width relative to the constant one."""
    hits = [name for name in map(str, year) if name.startswith("step")]
    table = year.assign(month=year["month"].astype(str).str[:7]).groupby("month")[hits].mean()
    table.loc["2008"] = year[hits].mean()
    for step in (1, 5):
        base = year[f"width {step}: constant"].mean()
        widths = {name: year[name.replace("step", "width")].mean() / base for name in hits if name[5] == str(step)}
        print(", ".join(f"{name} width {width:.2f}" for name, width in widths.items()))
    print(table.to_string(float_format="{:.2f}".format))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Do intervals hold, and at what width?")
    parts = ("storm", "cases", "drawn", "tables")
    for part in parts:
        parser.add_argument(f"--{part}", action="store_true", help="this part alone, or with other named ones")
    parser.add_argument("--seeds", type=int, default=5, help="drawn tables of each kind (%(default)s)")
    given = parser.parse_args(arguments)
    chosen = [part for part in parts if getattr(given, part)] or list(parts)
    if "storm" in chosen:
        print_storm(run_storm())
    if "cases" in chosen:
        print_judged(list(list_bundled()))
    if "drawn" in chosen:
        print_judged(list(list_drawn(given.seeds)))
    if "tables" in chosen:
        tables = list(list_public())
        print_judged([each for each in tables if each.is_ordered])
        print_judged([each for each in tables if not each.is_ordered])


if __name__ == "__main__":
    main()
