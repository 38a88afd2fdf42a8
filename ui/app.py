"""The page as a Gradio app: connects the facts (`view_model`) with the parts of the page. Start: `python -m ui.app`.

A part of the page is sent again only if it changed, so an idle page causes little traffic.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any

# Gradio reads this variable on import. It is set before, so that telemetry is off for every order of imports.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr

from okawari.cases.loader import load_case
from okawari.clients.orchestrator import Run, load_run
from okawari.clients.prediction_service import list_case_names
from okawari.errors import OkawariError, ServerUnreachable, require
from okawari.loop.turns import find_unfinished, follow_request, request_training
from okawari.registry.client import limit_waiting
from okawari.security.api_keys import KeyScope
from okawari.security.sign_in import read_caller
from okawari.settings import load_settings
from ui.pages.chart import Figure, draw_ahead, draw_history
from ui.pages.header import write_header, write_links, write_trouble
from ui.pages.loop import write_cards, write_decisions
from ui.pages.outlook import write_ahead_caption, write_heading, write_history_caption, write_outlook
from ui.pages.report import write_report
from ui.pages.retraining import write_refusal, write_run
from ui.server import serve
from ui.theme import load_mark
from ui.view_model import Facts, list_broken_cases, load_facts, load_links

REFRESH_S = 5.0
FOLLOW_S = 2.0
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

Digests = Mapping[str, str]
Part = Callable[[Facts], str | Figure | None]


def list_parts() -> dict[str, Part]:
    """Every part of the page that depends on the facts, by the id of its element."""
    mark = load_mark()
    return {
        "header": lambda facts: write_header(facts, mark),
        "trouble": write_trouble,
        "heading": write_heading,
        "outlook": write_outlook,
        "history_caption": write_history_caption,
        "ahead_caption": write_ahead_caption,
        "history": draw_history,
        "ahead": draw_ahead,
        "cards": write_cards,
        "decisions": write_decisions,
        "links": write_links,
        "report": write_report,
    }


def refresh_parts(facts: Facts, parts: Mapping[str, Part], shown: Digests) -> tuple[list[Any], dict[str, str]]:
    """Content of every part (`gr.skip()` if it is unchanged), and the digests of the shown content."""
    updates, digests = [], {}
    for name, write in parts.items():
        content = write(facts)
        digests[name] = _digest(content)
        updates.append(gr.skip() if shown.get(name) == digests[name] else _show(content))
    return updates, digests


def build_page() -> gr.Blocks:
    """Build the page. Data is read when the page is opened."""
    names = load_settings().case_names
    parts = list_parts()
    with gr.Blocks(title="Okawari", analytics_enabled=False, fill_width=True) as page:
        shown = gr.State({})
        boxes = {"header": gr.HTML(elem_id="header")}
        case = _build_case_choice(names)
        boxes["trouble"] = gr.HTML(elem_id="trouble")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Overview", id="loop"):
                boxes |= _build_chart()
                retrain = _build_retraining()
                boxes |= {name: gr.HTML(elem_id=name) for name in ("cards", "decisions", "links")}
            with gr.Tab("Data report", id="report"):
                boxes["report"] = gr.HTML(elem_id="report")
        _follow_facts(page, case, shown, parts, boxes)
        _follow_training(page, case, *retrain)
        page.load(_refresh_choice, None, case, **_QUIET)
    return page


def main() -> None:
    """Serve the page until interrupted."""
    limit_waiting()
    serve(build_page().queue(default_concurrency_limit=4, max_size=64))


def _build_case_choice(names: tuple[str, ...]) -> gr.Dropdown:
    choices = _list_choices(names)
    require(bool(choices), "\n".join(list_broken_cases()) or "OKAWARI_CASES names no case; name at least one.")
    value, many = choices[0][1], len(choices) > 1
    return gr.Dropdown(choices, value=value, label="Case", visible=many, elem_id="case", filterable=False)


def _list_choices(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Title and name of each case that can be loaded here; a remote service may serve others."""
    known = []
    for name in names:
        with suppress(OkawariError):
            known.append((load_case(name).title, name))
    return known


def _refresh_choice() -> gr.Dropdown:
    """The current cases: without OKAWARI_CASES, those that the service serves."""
    choices = _list_choices(list_case_names()) or _list_choices(load_settings().case_names)
    return gr.Dropdown(choices, value=choices[0][1], visible=len(choices) > 1) if choices else gr.skip()


def _build_chart() -> dict[str, gr.Component]:
    with gr.Column(elem_id="chart", elem_classes="ok-panel"):
        boxes: dict[str, gr.Component] = {name: gr.HTML(elem_id=name) for name in ("heading", "outlook")}
        with gr.Row(elem_id="figures", equal_height=False):
            for name, scale in (("history", 8), ("ahead", 5)):
                with gr.Column(scale=scale, min_width=300, elem_classes="ok-figure"):
                    boxes[f"{name}_caption"] = gr.HTML(elem_id=f"{name}-caption")
                    boxes[name] = gr.Plot(elem_id=name, show_label=False)
    return boxes


def _build_retraining() -> tuple[gr.HTML, gr.Button]:
    with gr.Row(elem_id="retraining"):
        gr.HTML('<h2 class="ok-title">The loop</h2>', elem_id="loop-title")
        line = gr.HTML(elem_id="run")
        button = gr.Button("Retrain now", elem_id="retrain", variant="primary", size="sm", scale=0, min_width=130)
    return line, button


def _follow_facts(
    page: gr.Blocks, case: gr.Dropdown, shown: gr.State, parts: Mapping[str, Part], boxes: Mapping[str, gr.Component]
) -> None:
    def refresh(name: str, before: Digests) -> list[Any]:
        updates, digests = refresh_parts(load_facts(name), parts, before)
        return [*updates, gr.skip() if digests == before else digests]

    outputs = [*(boxes[name] for name in parts), shown]
    wiring: dict[str, Any] = {"fn": refresh, "inputs": [case, shown], "outputs": outputs}
    page.load(**wiring, **_QUIET)
    case.change(**wiring, **_QUIET)
    gr.Timer(REFRESH_S).tick(**wiring, **_QUIET, concurrency_limit=2)


def _follow_training(page: gr.Blocks, case: gr.Dropdown, line: gr.HTML, button: gr.Button) -> None:
    run_id = gr.State("")
    clock = gr.Timer(FOLLOW_S, active=False)
    outputs = [run_id, line, button, clock]

    def show(run: Run | None) -> list[Any]:
        busy = run is not None and (run.queued or not run.ended)
        text = write_run(run, load_links().prefect) if run else ""
        return [run.id if run and busy else "", text, gr.Button(interactive=not busy), gr.Timer(active=busy)]

    def show_error(error: OkawariError) -> list[Any]:
        return ["", write_refusal(error), gr.Button(interactive=True), gr.Timer(active=False)]

    def guarded(load: Callable[[str], Run | None]) -> Callable[[str], list[Any]]:
        def load_and_show(value: str) -> list[Any]:
            try:
                return show(load(value))
            except OkawariError as error:
                return show_error(error)

        return load_and_show

    def retrain(name: str, request: gr.Request) -> list[Any]:
        return guarded(partial(_request_training, request))(name)

    button.click(lambda: gr.Button(interactive=False), None, button, **_QUIET).then(retrain, case, outputs, **_QUIET)
    clock.tick(guarded(lambda known: follow_request(load_run(known)) if known else None), run_id, outputs, **_QUIET)
    page.load(guarded(_find_unfinished), case, outputs, **_QUIET)
    case.change(guarded(_find_unfinished), case, outputs, **_QUIET)


def _request_training(request: gr.Request, name: str) -> Run:
    """Request a training for the person who clicked.

    Raises:
        OkawariError: this person's key has not the scope `admin`, or no Prefect server answers.
    """
    caller = read_caller(request.request.scope)
    caller.require(KeyScope.ADMIN)
    return request_training(name, "asked", "requested on the page")


def _find_unfinished(name: str) -> Run | None:
    """The unfinished training of a case, however it was requested; None if Prefect does not answer."""
    try:
        return find_unfinished(name)
    except ServerUnreachable:
        return None


def _show(content: str | Figure | None) -> Any:
    return str(content) if isinstance(content, str) else gr.Plot(content, visible=content is not None)


def _digest(content: str | Figure | None) -> str:
    text = content if isinstance(content, str) else content.to_json() if content is not None else ""
    return sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
