"""Score: answer every row of a file with a version's graph, as `okawari score` does, for a schedule or another system.

The command works in its own process and needs no Prefect; this flow is for runs that a schedule or another system asks
for. A killed run leaves whole parts, and the next run with the same parameters goes on from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger

from flows.publish import ProgressArtifacts, show_table
from okawari.cases.loader import load_case
from okawari.progress import Step
from okawari.scoring.job import check_job, load_model, score_file


@flow(name="score", flow_run_name="score {case}")
def score(case: str, source: Path, target: Path, version: str | None = None, overwrite: bool = False) -> dict[str, Any]:
    """Answer every row of a table of readings; returns what became of the rows.

    Args:
        case: name of the case.
        source: a .csv or .parquet file, rows in the order of time; an absolute path, as the runner sees it.
        target: the .csv or .parquet file to write.
        version: a registered version; the champion, if None.
        overwrite: replace an output that is there, or the unfinished parts of another job.
    """
    problem, logger = load_case(case), get_run_logger()
    check_job(problem, source, target, overwrite=overwrite)
    model = load_model(problem, version)
    progress = ProgressArtifacts()

    def bars(step: Step) -> None:
        progress.show(problem, step)

    scored = score_file(problem, model, source, target, overwrite=overwrite, watch=bars)
    done = {
        "version": model.version,
        "rows": scored.rows,
        "answered": scored.answered,
        "refused": scored.refused,
        "early": scored.early,
        "target": str(target),
    }
    show_table(problem, "scored", [done], scored.reason)
    logger.info("%s: %s: %s", case, target, scored.reason)
    return done
