"""What Okawari serves of a public table, in memory: the guessed case, its contest, the refit, the later part's answers.

The table's known rows are written to a CSV, as a user has them, and read as `okawari new` and the ingest flow read
them. Then all candidates are fitted at the origins of the training, the gate chooses, and the winner is fitted again.

Shapes: B questions of the later part, H columns of an answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.public_tables import PublicTable
from okawari.case import Case
from okawari.contract.case_words import allow_missing, know_contract, learn_words, start_contract
from okawari.data.files import TableFile
from okawari.data.tabular import read_table
from okawari.data.validation import check_readings, judge_rows
from okawari.dataset.arrays import to_array
from okawari.dataset.folds import plan_folds
from okawari.dataset.steps import lay_out_steps
from okawari.dataset.windows import cut_windows, read_times
from okawari.evaluation.candidates import Contender, choose_candidates
from okawari.evaluation.contest import Contest, hold_contest
from okawari.evaluation.refit import Refit, refit_contender
from okawari.graph.inference import Answer, Graph
from okawari.models.fit_context import no_progress
from okawari.models.windows import Values
from okawari.scaffold.guess import Guess, Wish
from okawari.scaffold.infer import guess_case

NOW = datetime.now(UTC)
_ROW = "place in the later part"


@dataclass(frozen=True)
class Questions:
    """Questions about the later part, their true values (NaN where unknown), and the place of each among the later
    rows: that of the first true value of a series, or that of the record.
    """

    x_BTF: Values
    true_BH: Values
    row_B: NDArray[np.int64]


def serve_table(table: PublicTable, names: Sequence[str] = ()) -> dict[str, Any]:
    """Hold the contest of a table's guessed case, and ask its champion for the later part.

    `names` are the candidates of the contest beside the baseline; all of them if empty.
    """
    with tempfile.TemporaryDirectory() as folder:
        guess = guess_table(table, Path(folder))
        readings = _read_known(guess.case, table)
        case = _know(guess.case, readings)
        questions = _ask_records(case, table) if table.time is None else _ask_series(case, table, Path(folder))
    case = replace(case, candidates=choose_candidates(case, names))
    folds = plan_folds(cut_windows(lay_out_steps(readings, case), case), case)
    contest = hold_contest(case, folds)
    refit = refit_contender(contest.challenger, case, folds, no_progress)
    facts = {"n_readings": len(readings), "history": case.history, "horizon": case.task.width, "plan": guess.plan}
    return {
        "case": facts,
        "left_out": dict(guess.left_out),
        "labels": list(case.target.labels),
        **_ask(refit.graph, questions),
        **_describe_contest(contest, refit, questions),
    }


def guess_table(table: PublicTable, folder: Path) -> Guess:
    """The case that `okawari new` writes for the known rows."""
    path = folder / "known.csv"
    table.known.to_csv(path, index=False)
    source = TableFile(path, time=None)
    raw = read_table(source)
    wish = Wish(name=table.name, target=table.target, time=table.time)
    return guess_case(raw.frame, replace(source, format=raw.format), wish, NOW)


def _read_known(case: Case, table: PublicTable) -> pd.DataFrame:
    good = check_readings(read_table(case.source).frame, case, NOW).good
    return case.layout.stamp_records(good, case.time) if table.time is None else good


def _know(case: Case, readings: pd.DataFrame) -> Case:
    """The case with the words of its readings, as the first contract has them."""
    contract = learn_words(start_contract(case), case, readings)
    return allow_missing(know_contract(case, contract), readings)


def _read_rows(case: Case, frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Rows that were kept away, read as the case reads its table."""
    frame.to_csv(path, index=False)
    return read_table(replace(case.source, path=path)).frame  # type: ignore[type-var]


def _ask_records(case: Case, table: PublicTable) -> Questions:
    """Later records that the case does not refuse."""
    with tempfile.TemporaryDirectory() as folder:
        raw = _read_rows(case, table.later, Path(folder) / "later.csv")
    typed, reasons = judge_rows(raw[list(case.reading_names)].reset_index(drop=True), case, NOW)
    good = typed.assign(**{_ROW: typed.index}).drop(index=list(reasons)).reset_index(drop=True)
    stamped = case.layout.stamp_records(good, case.time)
    windows = cut_windows(stamped, case)
    assert len(windows) == len(stamped), "each valid record is a window"
    return Questions(windows.x_BTF, windows.true_BH, stamped[_ROW].to_numpy())


def _ask_series(case: Case, table: PublicTable, folder: Path) -> Questions:
    """The readings before each later row, also before those whose horizon reaches beyond the table."""
    raw = _read_rows(case, table.frame, folder / "whole.csv")
    laid_out = lay_out_steps(check_readings(raw, case, NOW).good, case)
    x_NF, times_N = to_array(laid_out, case), read_times(laid_out, case)
    level_N = x_NF[:, case.column_names.index(case.target.name)]
    all_times = pd.to_datetime(table.frame[table.time]).to_numpy("datetime64[ns]")
    n_known = len(all_times) - len(table.later_B)
    is_asked = (times_N >= all_times[n_known - 1]) & (times_N < times_N[-1]) & ~np.isnan(level_N)
    places = np.flatnonzero(is_asked)
    ahead_NH = sliding_window_view(np.append(level_N, np.full(case.horizon, np.nan)), case.horizon)
    x_BTF = np.stack([x_NF[place - case.history + 1 : place + 1] for place in places])
    return Questions(x_BTF, ahead_NH[places + 1], np.searchsorted(all_times, times_N[places]) + 1 - n_known)


def _ask(graph: bytes, questions: Questions) -> dict[str, Any]:
    answer = Graph.load(graph).answer(questions.x_BTF)
    return {
        "rows": questions.row_B.tolist(),
        "mean": answer.mean_BH.tolist(),
        "coverage": _cover(answer, questions.true_BH),
    }


def _describe_contest(contest: Contest, refit: Refit, questions: Questions) -> dict[str, Any]:
    """What serves and why, and the seconds of the fits."""
    contest_s = sum(each.fit_s for each in contest.contenders)
    return {
        "candidate": contest.challenger.recipe.name,
        "fault": refit.fault,
        "fit_s": round(contest_s + refit.fit_s, 2),
        "contest_s": round(contest_s, 2),
        "refit_s": round(refit.fit_s, 2),
        "board": [_describe(each, contest.contenders[0], questions) for each in contest.contenders],
    }


def _describe(contender: Contender, floor: Contender, questions: Questions) -> dict[str, Any]:
    """A row of the leaderboard, with the candidate's answers to the later part before any refit.

    `ratio` is the contest's loss in units of the baseline's: of squared errors, the mean of all steps ahead.
    """
    mean_BH = Graph.load(contender.graph).answer(questions.x_BTF).mean_BH
    ratio_K = contender.scores.losses_BK.mean(axis=0) / floor.scores.losses_BK.mean(axis=0)
    return {
        "candidate": contender.recipe.name,
        "ratio": float(ratio_K.mean()),
        "loss": contender.scores.loss,
        "members": {each.contender.recipe.name: round(each.weight, 3) for each in contender.members},
        "fit_s": round(contender.fit_s, 2),
        "fault": contender.interval_fault,
        "mean": mean_BH.tolist(),
    }


def _cover(answer: Answer, true_BH: Values) -> float | None:
    """The share of known true values between the bounds; None for labels."""
    if answer.lower_BH is None or answer.upper_BH is None:
        return None
    is_inside = (answer.lower_BH <= true_BH) & (true_BH <= answer.upper_BH)
    return float(np.mean(is_inside[~np.isnan(true_BH)]))
