"""The benchmark of models as Markdown: every table with every method, the geometric means, the losses, the seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.model_scores import (
    Losses,
    Ratio,
    choose_best,
    choose_block,
    compare,
    measure_geometric_mean,
    score_results,
)
from benchmarks.public_tables import PublicTable

OWN = "okawari"
GOAL = 0.97

NAMED: Mapping[str, tuple[str, float]] = {
    "wineind": ("AutoTheta", 1744),
    "airpassengers": ("AutoARIMA", 17.44),
    "ausbeer": ("AutoETS", 14.62),
    "co2": ("LightGBM", 0.386),
    "titanic": ("HistGB", 0.468),
    "cars": ("forest", 2.725),
}
"""The best peer of an earlier measurement by table, and its loss: RMSE of the first step, RMSE, log loss.

The series had the same later rows, up to one of ausbeer; the records had another random quarter.
"""


@dataclass(frozen=True)
class Measured:
    """A table with the results and the losses of all methods."""

    table: PublicTable
    results: Mapping[str, dict[str, Any]]
    losses: Mapping[str, Losses]

    @property
    def served(self) -> str:
        """The candidate that serves."""
        return str(self.results[OWN]["candidate"])

    @property
    def horizon(self) -> int:
        return len(self.results[OWN]["mean"][0]) if self.table.group == "series" else 1

    def compare_with(self, method: str) -> Ratio:
        """Okawari's loss over that of a method."""
        return compare(self.losses[OWN], self.losses[method], choose_block(self.table, self.horizon))

    @property
    def best_peer(self) -> str:
        """The peer with the least loss, chosen with hindsight."""
        return min((name for name in self.losses if name != OWN), key=lambda name: self.losses[name].loss)


def measure_table(table: PublicTable, results: Mapping[str, dict[str, Any]]) -> Measured:
    """A table's losses; all methods are scored on the rows that Okawari answers."""
    return Measured(table, results, score_results(table, results, OWN))


def write_tables(measured: Sequence[Measured]) -> str:
    """All tables of the benchmark."""
    groups = [[each for each in measured if each.table.group == group] for group in ("series", "numbers", "labels")]
    present = [group for group in groups if group]
    parts = [part for group in present for part in (write_losses(group), write_seconds(group))]
    return "\n\n".join((*parts, write_means(present), write_named(measured)))


def _write_rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _format(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else f"{value:,.0f}"


def write_losses(group: Sequence[Measured]) -> str:
    """Every table of a group with the losses of every method; the best single method is marked in the heading."""
    best = choose_best([each.losses for each in group], OWN)
    methods = [name for name in group[0].losses if name != OWN]
    head = ["table", "known / later rows", "steps", "serves", "okawari"]
    head += [f"**{name}**" if name == best else name for name in methods]
    head += [f"okawari / {best} (95 %)", "best peer in hindsight (ratio)"]
    return _write_rows(head, (_list_losses(each, methods, best) for each in group))


def _list_losses(each: Measured, methods: Sequence[str], best: str) -> list[str]:
    ratio, hindsight = each.compare_with(best), each.best_peer
    n_judged, n_later = len(each.losses[OWN].row_B), len(each.table.later_B)
    later = f"{n_later}" if n_judged == n_later else f"{n_later} ({n_judged} judged)"
    lost = ", **lost**" * ratio.is_lost
    return [
        each.table.name,
        f"{len(each.table.known)} / {later}",
        str(each.horizon),
        each.served,
        _format(each.losses[OWN].loss),
        *(_format(each.losses[name].loss) for name in methods),
        f"{ratio.value:.3f} ({ratio.lower:.2f} to {ratio.upper:.2f}{lost})",
        f"{hindsight} ({each.losses[OWN].loss / each.losses[hindsight].loss:.2f})",
    ]


def write_seconds(group: Sequence[Measured]) -> str:
    """The seconds of the fits: Okawari's contest of all candidates with its refit, and each peer's single fit."""
    methods = [name for name in group[0].losses if name != OWN]
    head = ["fit, s", "okawari, contest", "okawari, refit", *methods]
    return _write_rows(
        head,
        (
            [
                each.table.name,
                f"{each.results[OWN]['contest_s']:.1f}",
                f"{each.results[OWN]['refit_s']:.1f}",
                *(f"{each.results[name]['fit_s']:.2f}" for name in methods),
            ]
            for each in group
        ),
    )


def write_means(groups: Sequence[Sequence[Measured]]) -> str:
    """The geometric mean of Okawari's loss over the best single method of each group, and over all tables."""
    rows, ratios = [], []
    for group in groups:
        best = choose_best([each.losses for each in group], OWN)
        found = [each.losses[OWN].loss / each.losses[best].loss for each in group]
        lost = [each.table.name for each in group if each.compare_with(best).is_lost]
        ratios += found
        rows.append([group[0].table.group, str(len(group)), best, *_describe_mean(found), ", ".join(lost) or "none"])
    return _write_rows(
        [
            "group",
            "tables",
            "best single method",
            "okawari / it, geometric mean",
            "goal",
            "lost by > 10 %, significantly",
        ],
        [*rows, ["all", str(len(ratios)), "of each group", *_describe_mean(ratios), ""]],
    )


def _describe_mean(ratios: Sequence[float]) -> tuple[str, str]:
    mean = measure_geometric_mean(ratios)
    return f"{mean:.3f}", "met" if mean <= GOAL else f"missed ({GOAL})"


def write_named(measured: Sequence[Measured]) -> str:
    """The tables with a named best peer: what serves must be within 5 % of it at the first step."""
    rows = []
    for each in measured:
        peer, before = NAMED.get(each.table.name, ("", 0.0))
        if peer not in each.losses:
            continue
        own, here = each.losses[OWN].first_loss, each.losses[peer].first_loss
        within = "yes" if own <= 1.05 * here else "no"
        rows.append(
            [
                each.table.name,
                each.served,
                _format(own),
                peer,
                _format(here),
                f"{own / here:.3f}",
                within,
                _format(before),
            ]
        )
    head = [
        "table",
        "serves",
        "first step",
        "named peer",
        "its first step",
        "ratio",
        "within 5 %",
        "it, measured before",
    ]
    return _write_rows(head, rows)


def write_board(each: Measured) -> str:
    """The candidates of a table's contest: their loss there in units of the baseline's (the root of it where errors are
    squared), and the loss on the later part before any refit.
    """
    board = sorted(each.results[OWN]["board"], key=lambda row: row["ratio"])
    rows = [
        [
            row["candidate"] + " (serves)" * (row["candidate"] == each.served),
            _format(row["ratio"] if each.table.group == "labels" else row["ratio"] ** 0.5),
            _format(_score_later(each, row["mean"])),
            f"{row['fit_s']:.1f}",
            ", ".join(f"{name} {weight:.0%}" for name, weight in row["members"].items()),
        ]
        for row in board
    ]
    return _write_rows([f"{each.table.name}: candidate", "contest", "later", "fits, s", "weights"], rows)


def _score_later(each: Measured, mean: Sequence[Sequence[float]]) -> float:
    return score_results(each.table, {OWN: {**each.results[OWN], "mean": mean}}, OWN)[OWN].loss
