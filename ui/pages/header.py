"""The top of the page: what this is, and whether it works right now."""

from __future__ import annotations

from html import escape

from ui.view_model import Facts

PROMISE = "Keeps a good model serving: checks new data, retrains when there is a reason, promotes only what is better."


def write_header(facts: Facts, mark: str) -> str:
    """Name, one line of what it does, and badges for the service and the served version.

    `mark` is the SVG of the logo, our own file and therefore trusted.
    """
    return (
        f'<header class="ok-header"><span class="ok-mark">{mark}</span>'
        f"<div class='ok-brand'><h1>Okawari</h1><p>{PROMISE}</p></div>"
        f'<div class="ok-badges" data-testid="badges">{_service_badge(facts)}{_version_badge(facts)}</div></header>'
    )


def write_trouble(facts: Facts) -> str:
    """One notice per thing that could not be read; empty where all is well."""
    notes = [*facts.trouble]
    if facts.served is not None and facts.served.refused:
        notes.append(f"The service refused a newer version: {facts.served.refused}")
    return "".join(f'<p class="ok-notice" role="status">{escape(note)}</p>' for note in notes)


def write_links(facts: Facts) -> str:
    """The pages next door."""
    pages = (
        ("Runs in Prefect", facts.links.prefect),
        ("Models in MLflow", facts.links.mlflow),
        ("Service and its API", f"{facts.links.service}/docs"),
    )
    links = "".join(
        f'<a href="{escape(address, quote=True)}" target="_blank" rel="noopener noreferrer">{text}</a>'
        for text, address in pages
    )
    return f'<nav class="ok-links" aria-label="Other pages">{links}</nav>'


def _service_badge(facts: Facts) -> str:
    if facts.served is None:
        return _badge("bad", "Service not reachable")
    return _badge("good", "Service ready") if facts.served.ready else _badge("wait", "Service up, no model yet")


def _version_badge(facts: Facts) -> str:
    model = facts.served.model if facts.served else None
    if model is None:
        return ""
    champion = facts.state.champion if facts.state else None
    text = f"Serving version {escape(model.version)}"
    if champion and str(champion.get("version")) != model.version:
        return _badge("wait", f"{text}, champion is {escape(str(champion.get('version')))}")
    return _badge("plain", text)


def _badge(tone: str, text: str) -> str:
    return f'<span class="ok-badge ok-{tone}">{text}</span>'
