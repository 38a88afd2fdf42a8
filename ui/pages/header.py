"""The top of the page: name, purpose, and state of the service."""

from __future__ import annotations

from ui.markup import Markup, render
from ui.view_model import Facts

PROMISE = "Keeps a good model serving: checks new data, retrains when there is a reason, promotes only what is better."

Badge = tuple[str, str]  # tone and text


def write_header(facts: Facts, mark: str) -> str:
    """Name, purpose in one line, and badges for the service and the served version.

    `mark` is the SVG of the logo, our own file and therefore trusted.
    """
    return render("header", mark=Markup(mark), promise=PROMISE, badges=_list_badges(facts))


def write_trouble(facts: Facts) -> str:
    """One notice per fact that could not be read; empty if there is none."""
    notes = [*facts.trouble]
    if facts.served is not None and facts.served.refused:
        notes.append(f"The service refused a newer version: {facts.served.refused}")
    return render("trouble", notes=notes)


def write_links(facts: Facts) -> str:
    """Links to the other pages."""
    pages = (
        ("Runs in Prefect", facts.links.prefect),
        ("Models in MLflow", facts.links.mlflow),
        ("Service and its API", f"{facts.links.service}/docs"),
    )
    return render("links", pages=pages, sign_out=facts.links.sign_out)


def _list_badges(facts: Facts) -> list[Badge]:
    return [_service_badge(facts), *_version_badges(facts), *_delivery_badges(facts)]


def _delivery_badges(facts: Facts) -> list[Badge]:
    """An amber badge while a delivery is held, because the shown forecast does not know the newest readings."""
    held = facts.forecast.stale if facts.forecast is not None else None
    if held is None and facts.state is not None and facts.state.held is not None:
        held = "a delivery is held"
    return [("wait", f"Forecast is stale: {held}")] if held is not None else []


def _service_badge(facts: Facts) -> Badge:
    if facts.served is None:
        return "bad", "Service not reachable"
    return ("good", "Service ready") if facts.served.ready else ("wait", "Service up, no model yet")


def _version_badges(facts: Facts) -> list[Badge]:
    model = facts.served.model if facts.served else None
    if model is None:
        return []
    champion = facts.state.champion if facts.state else None
    text = f"Serving version {model.version}"
    if champion and str(champion.get("version")) != model.version:
        return [("wait", f"{text}, champion is {champion.get('version')}")]
    return [("plain", text)]
