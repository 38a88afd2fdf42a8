"""Output in the terminal: progress lines, tables, trees. Only home of rich."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from okawari.cases.loader import load_case
from okawari.cli.standing import list_standing
from okawari.formats import format_gain, format_number, format_share
from okawari.loop.lineage import Lineage
from okawari.loop.status import LoopState
from okawari.policy.decision import describe_outcome
from okawari.progress import Step
from okawari.scoring.checkpoint import Place

if TYPE_CHECKING:
    from okawari.case import Case
    from okawari.clients.wire import ModelInfo
    from okawari.evaluation.variants import Compared
    from okawari.scoring.progress import Scored
    from okawari.simulation.checks import Link, Month
    from okawari.storage.snapshots import Snapshot

_STEPS_AHEAD = re.compile(r"_step_(\d+)$")
_SHARED_COLUMNS = {"joint_loss", "relative_loss", "p_value", "fit_s", "graph_bytes", "members"}
"""Columns of a leaderboard that belong to no target, not even to one named `p`."""

_VERSION_VERDICTS = ("drift", "performance")
"""Verdicts about one version, which may no longer be the champion."""

# A pipe has no width; tables of a dozen columns need more than the usual 80 characters. Names and reasons may contain
# brackets: as markup, rich would drop a column's name as an unknown style.
console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 130)


class Reporter:
    """A live display: lines are printed above it, and each piece of work has a bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._bars: dict[str, TaskID] = {}
        self._waiting = progress.add_task("starting", total=None)

    def __call__(self, line: str) -> None:
        """Print one line."""
        self._progress.console.print(line)
        self._progress.update(self._waiting, description=line.split(":")[0])

    def show_step(self, step: Step) -> None:
        """Move the bar of a piece of work."""
        bar = self._bars.get(step.what)
        if bar is None:
            bar = self._bars[step.what] = self._progress.add_task(step.what, total=1.0)
        self._progress.update(bar, completed=step.share, description=f"{step.what} {step.text}")

    def pause_text(self, text: str) -> None:
        """Show what the command waits for."""
        self._progress.update(self._waiting, description=text)


@contextmanager
def report_progress() -> Iterator[Reporter]:
    """Show a live display during the block; plain lines if the output is not a terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Reporter(progress)


def show_urls(urls: Mapping[str, str]) -> None:
    """Print the addresses of the servers."""
    table = Table.grid(padding=(0, 2))
    for name, url in urls.items():
        table.add_row(Text(name, "bold"), Text(url, f"link {url}"))
    console.print()
    console.print(table)
    console.print()


def show_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print rows with equal keys as a table."""
    if title:
        console.print(title)
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    formatted = _format_cells(rows)
    for place, name in enumerate(rows[0]):
        is_number = all(isinstance(row[name], int | float | None) for row in rows)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        # A truncated name or number could be mistaken for another one, so both stay on one line, even if the table
        # becomes wider than the terminal. Other text wraps.
        # A heading breaks between its words only.
        heading = str(name).replace("_", " ")
        values = [cells[name] for cells in formatted] if is_number or place == 0 else []
        widest = max(map(len, [*values, *heading.split()]), default=None)
        table.add_column(heading, justify=justify, overflow="fold", no_wrap=place == 0, min_width=widest)
    for cells in formatted:
        table.add_row(*cells.values())
    console.print(table, crop=False)


def show_leaderboard(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print a leaderboard. The columns of a forecast's last step, and of each of several targets, get their own table,
    so that each table fits a terminal.
    """
    parts = _split_columns(list(rows[0]))
    apart = {"members", *(name for part in parts.values() for name in part)}
    show_table([{name: value for name, value in row.items() if name not in apart} for row in rows], title)
    for heading, part in parts.items():
        cells = [{"candidate": row["candidate"], **{short: row[name] for name, short in part.items()}} for row in rows]
        show_table(cells, heading)
    show_members({row["candidate"]: row.get("members") for row in rows})


def show_members(members: Mapping[str, str | None]) -> None:
    """Print what each combination is made from, by the name of the candidate; None for all others."""
    for name, text in members.items():
        if text:
            console.print(f"{name} is the weighted mean of {text}")


def _split_columns(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Columns of each additional table by its heading: full name -> name in that table."""
    parts: dict[str, dict[str, str]] = {}
    # Longest match first, because the name of one target may be a prefix of another.
    targets = sorted((name.removesuffix("_skill_share") for name in names if name.endswith("_skill_share")), key=len)
    for name in names:
        step = _STEPS_AHEAD.search(name)
        target = next((each for each in reversed(targets) if name.startswith(f"{each}_")), None)
        if step is not None:
            parts.setdefault(f"{step[1]} steps ahead", {})[name] = name[: step.start()]
        elif target is not None and name not in _SHARED_COLUMNS:
            parts.setdefault(target, {})[name] = name.removeprefix(f"{target}_")
    return parts


def show_state(state: LoopState, serving: ModelInfo | None, problem: str | None = None) -> None:
    """Print the state of the loop of a case; `problem` is why the service could not be asked what it serves."""
    tree = Tree(Text.assemble((state.case, "bold"), f"  {state.title}"))
    snapshot, champion = state.snapshot, state.champion
    tree.add(
        "nothing ingested yet"
        if snapshot is None
        else f"{_describe_snapshot(state.case, snapshot)}, {state.quarantined} in quarantine"
    )
    absent = "no champion yet" if state.problem is None else "champion unknown"
    tree.add(absent if champion is None else (
        f"champion version {champion['version']}: {champion['candidate']} ({champion['variant']}), "
        f"{champion['loss_name']} {format_number(champion['loss'], 4)}, "
        + format_gain(champion["skill_share"], than="the baseline's")
    ))  # fmt: skip
    idle = "the service serves no version" if problem is None else "served version unknown"
    tree.add(idle if serving is None else f"serving version {serving.version}")
    for name in ("quality", "drift", "performance", "decision", "request"):
        row = getattr(state, name)
        if row is not None:
            past = f", on version {row['model_version']}" if name in _VERSION_VERDICTS and state.is_past(row) else ""
            outcome = describe_outcome(row["kind"], row["action"])
            tree.add(f"{name}: {outcome} ({row['at']:%Y-%m-%d %H:%M} UTC{past}): {row['reason']}")
    if state.refused_outcome is not None:
        tree.add(f"outcomes: {state.refused_outcomes} refused; the newest: {state.refused_outcome['reason']}")
    for line in list_standing(state):
        tree.add(line)
    if state.held is not None:
        tree.add(Text(state.held, "yellow"))
    for sentence in filter(None, (state.alarm, state.problem, problem)):
        tree.add(Text(sentence, "red"))
    console.print(tree)


def show_lineage(lineage: Lineage) -> None:
    """Print the lineage of a prediction."""
    prediction, version, snapshot = lineage.prediction, lineage.version, lineage.snapshot
    key = f" (key {prediction['key']})" if prediction.get("key") else ""
    named = Text.assemble("prediction ", (prediction["id"], "bold"), f"{key} of {prediction['at']}: {lineage.answer}")
    tree = Tree(named)
    made = tree.add(
        f"model {version.case} version {version.version}: {version.candidate} ({version.variant}), "
        f"sha256 {version.graph_sha256[:12]}, digest holds"
    )
    if prediction.get("interval_version"):
        factors = ", ".join(format_number(each, 3) for each in prediction["width_factor"])
        made.add(f"intervals {prediction['interval_version']}: {factors} times the calibrated width, by outcomes")
    run = made.add(f"run {version.run_id}  {lineage.run_url}")
    run.add(f"{_describe_snapshot(version.case, snapshot)}, sha256 {snapshot.digest[:12]}, digest holds")
    branch = made
    for row in lineage.decisions:
        outcome = describe_outcome(row["kind"], row["action"])
        branch = branch.add(f"{row['kind']}: {outcome} ({row['at']:%Y-%m-%d %H:%M:%S} UTC): {row['reason']}")
    console.print(tree)


def show_scored(scored: Scored, version: str, target: Path) -> None:
    """Print the counts of a scored file and the paths of its predictions and its refused rows."""
    console.print(f"{target}: {scored.reason} (version {version})", soft_wrap=True)
    if scored.refused:
        console.print(f"{Place(target).refused}: the refused rows with their reasons", soft_wrap=True)


def show_exported(case: Case, snapshot: Snapshot, target: Path) -> None:
    """Print the snapshot that was written to a file."""
    console.print(f"{target}: {_describe_snapshot(case.name, snapshot)}", soft_wrap=True)


def _describe_snapshot(case_name: str, snapshot: Snapshot) -> str:
    """Version, row count and times of a snapshot; the times of records are arrival times."""
    span = f"{load_case(case_name).layout.span_prefix}{snapshot.first_at} to {snapshot.last_at}"
    return f"snapshot {snapshot.version}: {snapshot.rows} rows, {span}"


def show_variants(compared: Compared) -> None:
    """Print a candidate's variants and which of them would serve; the reason alone, if there is only one variant."""
    found = compared.comparison
    counts = f"fitted on {compared.n_train} rows, scored on {compared.n_holdout} held-out rows"
    title = f"{compared.candidate}, {counts}"
    console.print()
    if len(found.rows) > 1:
        show_table([_describe_variant(row) for row in found.table], title)
        title = f"{found.decision.action} serves"
    console.print(f"{title}: {found.decision.reason}", soft_wrap=True)


def _describe_variant(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the comparison with readable column names; measures that do not apply to the target are left out."""
    line = {
        "variant": row["variant"],
        "parameters": row["parameters"],
        "bytes": row["n_bytes"],
        "of fp32": format_share(row["size_share"], 1),
        "load ms": row["load_ms"],
        "latency ms": row["latency_ms"],
        row["loss_name"]: row["loss"],
    }
    for name, heading in (("accuracy", "accuracy"), ("r2", "R2"), ("mse", "MSE")):
        if name in row:
            line[heading] = row[name]
        if f"{name}_lost" in row:
            line[f"{heading} lost"] = row[f"{name}_lost"]
    if "flips_share" in row:
        line["flips"] = format_share(row["flips_share"], 1)
    return line


def show_rehearsal(months: Sequence[Month], links: Sequence[Link]) -> None:
    """Print the simulated months and the checks."""
    show_table([_describe_month(month) for month in months])
    show_table([{"held": "yes" if link.held else "NO", "claim": link.claim, "seen": link.seen} for link in links])


def _describe_month(month: Month) -> dict[str, Any]:
    """A simulated month as a row that fits a terminal."""
    return {
        "month": month.month,
        "ended": month.ended_at,
        "snapshot": month.snapshot,
        "requests": month.asked,
        "RMSE": f"{month.rmse:.2f}",
        "covered": format_share(month.coverage),
        "drift": month.drift.replace("not enough data", "too few"),
        "performance": month.performance.replace("not enough data", "too few"),
        "gate": month.gate,
        "serving": f"{month.serving} {month.champion.split(' ', 1)[1]}",
        "swap s": "-" if month.swap_s is None else f"{month.swap_s:.1f}",
        "failed": month.failed_requests,
        "took s": round(month.seconds),
    }


def _format_cells(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The cells as text. The numbers of a column have the digits in which they differ."""
    columns = {name: [row[name] for row in rows if isinstance(row[name], float)] for name in rows[0]}
    return [{name: _format(value, columns[name]) for name, value in row.items()} for row in rows]


def _format(value: Any, beside: Sequence[float]) -> str:
    if value is None:
        return "-"
    return format_number(value, beside=beside) if isinstance(value, float) else str(value)
