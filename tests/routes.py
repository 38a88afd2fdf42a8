"""Prints every route of an engine as JSON: `python -m tests.routes prefect|mlflow|page|service`.

A process of its own, because importing an engine's server changes the process that does it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

Route = tuple[str, str]  # method (WEBSOCKET for a socket) and path


def list_routes(engine: str) -> list[Route]:
    """Every route, with "x" for each part of a path that may vary."""
    return sorted({(method, _fill(path)) for method, path in _LISTERS[engine]()})


def _list_prefect() -> Iterator[Route]:
    from prefect.server.api.server import create_app

    yield from _walk(create_app().routes)


def _list_mlflow() -> Iterator[Route]:
    from mlflow.server import app as flask
    from mlflow.server.fastapi_app import app

    yield from _walk(app.routes)
    for rule in flask.url_map.iter_rules():
        yield from ((method, rule.rule) for method in rule.methods or ())


def _list_page() -> Iterator[Route]:
    import gradio as gr

    from okawari.settings import load_settings
    from ui.server import build_app

    with gr.Blocks() as page:
        gr.HTML("")
    app: Any = build_app(page.queue(), load_settings())
    while not hasattr(app, "routes"):  # the layers around the server
        app = app._app
    yield from _walk(app.routes)


def _list_service() -> Iterator[Route]:
    from bentos.service import Okawari

    for path in ("/healthz", "/livez", "/readyz", "/metrics", "/docs.json", "/schema.json"):
        yield from ((method, path) for method in ("GET", "POST"))
    for app, prefix, _ in Okawari.mount_apps:  # type: ignore[attr-defined]
        yield from _walk(app.routes, prefix.rstrip("/"))


def _walk(routes: list[Any], prefix: str = "") -> Iterator[Route]:
    for route in routes:
        if included := getattr(route, "effective_route_contexts", None):  # FastAPI's include_router since 0.130
            yield from _walk([_Effective(context) for context in included()], prefix)
            continue
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "routes", None) or getattr(getattr(route, "app", None), "routes", None)
        if inner:
            yield from _walk(inner, path)
        elif "WebSocket" in getattr(route, "kind", type(route).__name__):
            yield "WEBSOCKET", path
        else:
            yield from ((method, path or "/") for method in getattr(route, "methods", None) or ("GET", "POST"))


class _Effective:
    """A route of an included router, with the path that it has there."""

    def __init__(self, context: Any) -> None:
        self.path = (context.starlette_route or context).path
        self.methods = getattr(context.original_route, "methods", None)
        self.kind = type(context.original_route).__name__


def _fill(path: str) -> str:
    return re.sub(r"\{[^}]+\}|<[^>]+>", "x", path) or "/"


_LISTERS = {"prefect": _list_prefect, "mlflow": _list_mlflow, "page": _list_page, "service": _list_service}

if __name__ == "__main__":
    print(json.dumps(list_routes(sys.argv[1])))
