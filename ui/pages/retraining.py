"""What the page says about a training that somebody asked for."""

from __future__ import annotations

from html import escape

from okawari.clients.orchestrator import Run

_WORDS = {
    "SCHEDULED": "waits for the flow runner",
    "PENDING": "starts",
    "RUNNING": "is running",
    "COMPLETED": "has finished; the newest decisions say what came of it",
    "FAILED": "has failed",
    "CRASHED": "has crashed",
    "CANCELLING": "is being cancelled",
    "CANCELLED": "was cancelled",
}


def write_run(run: Run, prefect: str) -> str:
    """One line about a run, with a link to its page in Prefect."""
    words = _WORDS.get(run.state, escape(run.state.lower()))
    address = escape(f"{prefect}/runs/flow-run/{run.id}", quote=True)
    message = f": {escape(run.message)}" if run.ended and not run.succeeded and run.message else ""
    tone = "busy" if not run.ended else "good" if run.succeeded else "bad"
    return (
        f'<p class="ok-run ok-{tone}" role="status" data-state="{escape(run.state, quote=True)}"><span>Training '
        f'<a href="{address}" target="_blank" rel="noopener noreferrer">{escape(run.name)}</a> {words}{message}.'
        "</span></p>"
    )


def write_refusal(error: Exception) -> str:
    """Why a training could not be asked for or followed."""
    return f'<p class="ok-run ok-bad" role="alert"><span>{escape(str(error))}</span></p>'
