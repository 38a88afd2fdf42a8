"""Score: predict every row of a file with a version's graph, like `okawari score`.

The command runs in its own process and needs no Prefect; a schedule or another system starts this flow. A killed run
leaves complete parts, and the next run with the same parameters continues from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from flows.publish import ProgressArtifacts, show_table
from okawari.cases.loader import load_case
from okawari.progress import Step
from okawari.scoring.job import check_job, score_file
from okawari.scoring.model import load_model


@flow(name="score", flow_run_name="score {case}")
def score(
    case: str,
    source: Path,
    target: Path,
    version: str | None = None,
    overwrite: bool = False,
    journal: bool = False,
) -> dict[str, Any]:
    """Predict every row of a table of readings; returns the counts of answered and refused rows.

    Args:
        case: name of the case.
        source: a .csv or .parquet file, rows in the order of time; an absolute path on the runner's machine.
        target: the .csv or .parquet file to write.
        version: a registered version; the champion, if None.
        overwrite: replace an existing output, or the unfinished parts of another job.
        journal: record the answers as predictions, each with an id, so that outcomes can be sent for them.
    """
    problem, logger = load_case(case), get_run_logger()
    check_job(problem, source, target, overwrite=overwrite)
    model = load_model(problem, version)
    progress = ProgressArtifacts()

    def show_progress(step: Step) -> None:
        progress.show(problem, step)

    scored = score_file(problem, model, source, target, overwrite=overwrite, journal=journal, watch=show_progress)
    done = {
        "version": model.version,
        "rows": scored.rows,
        "answered": scored.answered,
        "refused": scored.refused,
        "early": scored.early,
        "new_words": dict(scored.new_words),
        "target": str(target),
    }
    show_table(problem, "scored", [done], scored.reason)
    logger.info("%s: %s: %s", case, target, scored.reason)
    return done
