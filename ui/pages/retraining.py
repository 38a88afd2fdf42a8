"""Messages of the page about a requested training."""

from __future__ import annotations

from okawari.clients.orchestrator import Run
from ui.markup import render

_WORDS = {
    "SCHEDULED": "waits for the flow runner",
    "PENDING": "starts",
    "RUNNING": "is running",
    "COMPLETED": "has finished; see the newest decisions for its result",
    "FAILED": "has failed",
    "CRASHED": "has crashed",
    "CANCELLING": "is being cancelled",
    "CANCELLED": "was cancelled",
}


def write_run(run: Run, prefect: str) -> str:
    """One line about a run, with a link to its page in Prefect."""
    return render(
        "run",
        run=run,
        words=_WORDS.get(run.state, run.state.lower()),
        address=f"{prefect}?path=/runs/flow-run/{run.id}",
        message=run.message if run.ended and not run.succeeded else "",
        tone="busy" if not run.ended else "good" if run.succeeded else "bad",
    )


def write_refusal(error: Exception) -> str:
    """Why a training could not be requested or followed."""
    return render("refusal", error=str(error))
