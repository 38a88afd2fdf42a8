"""Batch scoring: run a table of any length through the graph of one version, in bounded memory and resumable.

The file is read in chunks (`okawari.data.chunked_reader`). The row filter selects the valid rows (`row_filter`). Rows
are turned into questions (`questions`), which may reach back into the previous chunk, and the graph answers them.
Answers and refused rows are written as parts (`checkpoint`) and joined at the end. The graph is the registered file.

`okawari.scoring.output` documents the columns of the output.

Shapes: N good rows, B questions, F columns, H columns of an answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.data.chunked_reader import Chunk, count_rows, require_ending
from okawari.data.file_format import NOTHING_STATED, Stated
from okawari.data.validation import count_new_words, require_columns
from okawari.dataset.arrays import find_levels, is_absent
from okawari.errors import DataRefused, InvalidInput
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import Graph, require_answers
from okawari.progress import Step, Watch, ignore_step
from okawari.scoring.checkpoint import Parts, Place, clear_parts, open_parts, require_free
from okawari.scoring.identity import find_key, find_renamed, identify_job, label_output
from okawari.scoring.input_file import InputFile, open_input
from okawari.scoring.model import Model
from okawari.scoring.output import identify_rows, lay_out_answers, lay_out_refused, name_answers, name_step_times
from okawari.scoring.progress import Progress, Scored, empty_rows
from okawari.scoring.questions import build_questions, choose_questions
from okawari.scoring.recorder import Answers, Recorder
from okawari.scoring.row_filter import filter_rows, show_refused
from okawari.scoring.row_keys import read_keys

CHUNK_ROWS = 65_536
"""Rows in memory at a time, and rows of a part. A kill loses at most one part: five seconds of a 2 x 64 LSTM."""
BATCH = 128
"""Questions in one run of the graph. An LSTM of 2 x 64 takes 82 us a window from 16 to 128, and 272 at 4096."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """The case and the model of a job, and the recorder of its answers, if they are recorded."""

    case: Case
    model: Model
    given: InputFile
    recorder: Recorder | None = None


def check_job(
    case: Case, source: Path, target: Path, *, overwrite: bool = False, stated: Stated = NOTHING_STATED
) -> InputFile:
    """Check the arguments before a model is loaded; returns how the file is written.

    Raises:
        InvalidInput: the file has not the columns of the case, or the output exists or cannot be written.
    """
    require_ending(target)
    if source.resolve() == target.resolve():
        raise InvalidInput(f"{target} is the input and the output; give the output another name.")
    given = open_input(case, source, stated)
    require_columns([*given.names, *find_renamed(case, given)], case, case.question_names)
    require_free(Place(target), overwrite=overwrite)
    return given


def score_file(
    case: Case,
    model: Model,
    source: Path,
    target: Path,
    *,
    overwrite: bool = False,
    journal: bool = False,
    stated: Stated = NOTHING_STATED,
    watch: Watch = ignore_step,
) -> Scored:
    """Answer every row of a table and write the answers. An interrupted job resumes after its last complete part.

    Args:
        case: the case of the readings.
        model: the version that answers.
        source: a table with rows ordered by time.
        target: a .csv or .parquet file; see `okawari.scoring.output` for its columns.
        overwrite: whether an existing output may be replaced, once the new one is complete.
        journal: whether the answers are recorded as predictions, each with an id, so that they may have outcomes.
        stated: what a person states about the file; the rest is found out.
        watch: called with the progress, at most once for each percent of the rows.

    Raises:
        InvalidInput: the file is not such a table, the output exists, or the parts belong to another job.
        DataRefused: no row could be answered.
        OkawariError: the output cannot be written, for example because the disk is full.
    """
    place = Place(target)
    given = check_job(case, source, target, overwrite=overwrite, stated=stated)
    require_answers(model.graph, case)
    own = know_graph(case, model.graph.labels)
    begin = Progress(
        scored=Scored(),
        checked_at=datetime.now(UTC),
        carried=empty_rows(case),
        nonce=secrets.token_hex(16) if journal else "",
    )
    layouts = {"answers": lay_out_answers(own, model.graph, journal=journal), "refused": lay_out_refused(case)}
    job = {**identify_job(case, model, given), "journal": journal}
    with open_parts(place, job, layouts, begin.describe(case.time), overwrite=overwrite) as parts:  # type: ignore[arg-type]
        scored = _score_chunks(own, model, given, parts, watch)
        if not scored.answered:
            clear_parts(place.folder)
            raise DataRefused(_describe_no_answer(case, source, scored))
        parts.join(label_output(case, model), overwrite=overwrite)
    return scored


def _score_chunks(case: Case, model: Model, given: InputFile, parts: Parts, watch: Watch) -> Scored:
    progress = Progress.restore(parts.progress, case.time)
    job = _Job(case=case, model=model, given=given, recorder=_make_recorder(case, model, progress.nonce))
    planned, shown_share = max(1, count_rows(given.path)), -1.0
    told = find_renamed(case, given)
    names = [*case.question_names, *find_key(case, given)]
    for chunk in given.read(names, told, size=CHUNK_ROWS, after=progress.last_row):
        answers, refused, progress = _score_chunk(job, chunk, progress)
        parts.add({"answers": answers, "refused": refused}, progress.describe(case.time))
        scored = progress.scored
        planned = max(planned, scored.rows)
        if scored.rows / planned - shown_share >= 0.01 or scored.rows == planned:
            shown_share = scored.rows / planned
            text = f"{scored.rows} of {planned}, {scored.answered} answered, {scored.refused} refused"
            watch(Step("score", shown_share, text))
    return progress.scored


def _make_recorder(case: Case, model: Model, nonce: str) -> Recorder | None:
    made_by = {"version": model.version, "graph_sha256": model.graph.sha256, "variant": model.variant}
    known = know_graph(case, model.graph.labels)
    return Recorder(case=known, nonce=nonce, outputs=model.outputs, made_by=made_by) if nonce else None


def _score_chunk(job: _Job, chunk: Chunk, before: Progress) -> tuple[pd.DataFrame, pd.DataFrame, Progress]:
    case = job.case
    questions = choose_questions(case)
    last_at = before.carried[case.time].iloc[-1] if case.time in before.carried and len(before.carried) else None
    filtered = filter_rows(
        chunk, case, before.checked_at, last_at=last_at, ordered=questions.n_before > 0, writing=job.given.writing
    )
    keys, unfit = read_keys(chunk.rows, case)
    good = filtered.good.drop(index=list(unfit), errors="ignore")
    known = pd.concat([before.carried, good]) if len(before.carried) else good
    answers, reasons = _answer(job, known, len(before.carried), keys)
    reasons |= _join_reasons(unfit, filtered.reasons)
    refused = show_refused(chunk, reasons).reindex(columns=list(lay_out_refused(case)))
    first = before.scored.first_reason or (f"row {min(reasons)}: {reasons[min(reasons)]}" if reasons else "")
    scored = replace(
        before.scored,
        rows=before.scored.rows + len(chunk),
        answered=before.scored.answered + len(answers),
        refused=before.scored.refused + len(refused),
        early=before.scored.early + len(chunk) - len(answers) - len(refused),
        first_reason=first,
    ).add_words(count_new_words(good[good.index.isin(answers.index)], case))
    carried = known.iloc[max(0, len(known) - questions.n_before) :]
    return answers, refused, replace(before, scored=scored, carried=carried, last_row=chunk.last)


def _join_reasons(*found: Mapping[int, str]) -> dict[int, str]:
    numbers = sorted({number for reasons in found for number in reasons})
    return {number: "; ".join(reasons[number] for reasons in found if number in reasons) for number in numbers}


def _answer(
    job: _Job, known: pd.DataFrame, n_carried: int, keys: Mapping[int, str]
) -> tuple[pd.DataFrame, dict[int, str]]:
    """Answers of all rows with enough rows before them, and reasons for those whose answer is not finite.

    The first `n_carried` rows are those of earlier chunks: where steps are missing between them, one may have enough
    steps before it, and it was answered there already.
    """
    case, model = job.case, job.model
    x, rows = build_questions(known, case, choose_questions(case))
    first_own = int(np.searchsorted(rows, n_carried))  # a slice copies no window
    x, asked = x[first_own:], known.iloc[rows[first_own:]]
    numbers = np.concatenate([_empty_answers(case, model), *_run(model.graph, x)])
    answers = name_answers(case, model.graph, numbers).set_axis(asked.index)
    levels = find_levels(x, case)
    for place, (name, values) in enumerate(identify_rows(case, asked, keys, levels).items()):
        answers.insert(place, name, values)
    for name, texts in name_step_times(case, asked).items():
        answers[name] = texts
    answers["model_version"], answers["graph_sha256"] = model.version, model.graph.sha256
    is_finite, has_level = (
        np.isfinite(numbers).all(axis=1),
        np.array([not is_absent(each) for each in levels], dtype=bool),
    )
    reasons = dict.fromkeys(map(int, answers.index[~is_finite]), "the model's answer is not a finite number")
    no_level = f"no {case.target.name} in the {case.history} rows that end here, so there is no level to start from"
    reasons |= dict.fromkeys(map(int, answers.index[~has_level]), no_level)
    is_finite &= has_level
    answers = answers[is_finite]
    if job.recorder is not None:
        asked_x = [x[place] for place in np.flatnonzero(is_finite)]
        given = Answers(rows=asked[is_finite], numbers_NM=numbers[is_finite], questions=asked_x, keys=keys)
        answers = answers.join(job.recorder.record(given))
    return answers, reasons


def _empty_answers(case: Case, model: Model) -> np.ndarray[Any, Any]:
    n_outputs = len(model.outputs)
    return np.empty((0, n_outputs * case.task.width), dtype=np.float64)


def _run(graph: Graph, x: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Means and bounds of every batch, side by side."""
    for start in range(0, len(x), BATCH):
        answer = graph.answer(x[start : start + BATCH])
        yield np.concatenate(
            [part for part in (answer.mean_BH, answer.lower_BH, answer.upper_BH) if part is not None], axis=1
        )


def _describe_no_answer(case: Case, source: Path, scored: Scored) -> str:
    n_good = scored.rows - scored.refused
    first = f" First refused: {scored.first_reason}." if scored.refused else ""
    return (
        f"{source} has {n_good} valid rows of {scored.rows}; case {case.name} needs "
        f"{choose_questions(case).n_before + 1} in a row for an answer. Nothing was written; add rows.{first}"
    )
