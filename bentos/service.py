"""The BentoML service: one process that answers for the cases of `OKAWARI_CASES`.

    bentoml serve bentos.service:Okawari --host 127.0.0.1 --port 3000
    bentoml serve okawari:latest         --host 127.0.0.1 --port 3000      (a built Bento, from any folder)

BentoML's own `/healthz`, `/livez`, `/readyz` and `/metrics` stand beside the routes of `bentos.http`. One worker on
purpose: with several, one may serve a new version while another still serves the old one. Run more replicas instead.
"""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bentoml
from pydantic import BaseModel

from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.http import build_app
from bentos.loading import Engine
from bentos.model_store import home_path
from bentos.store_watcher import Watcher
from okawari.cases.loader import load_case
from okawari.settings import Settings, load_settings


class Arguments(BaseModel):
    """What a Bento remembers from its build: the cases that it holds models of."""

    cases: str = ""


def _load_settings() -> Settings:
    """Settings of this process. A built Bento runs with its own source folder as the current one, and state does not
    belong in there: without `OKAWARI_HOME` it lies beside BentoML's stores.
    """
    if (Path(__file__).parents[2] / "bento.yaml").is_file():
        os.environ.setdefault("OKAWARI_HOME", str(home_path() / "okawari"))
    return load_settings()


def _choose_cases(settings: Settings) -> tuple[str, ...]:
    """`OKAWARI_CASES` where it is set, else what the Bento was built for, else the default."""
    built = bentoml.use_arguments(Arguments).cases
    if built and "cases" not in settings.model_fields_set:
        return tuple(built.split(","))
    return settings.case_names


def _choose_engine(settings: Settings) -> Engine:
    """The GPU only when it is asked for by name: one window of a small graph is answered sooner on a CPU."""
    return Engine("cuda" if settings.device.startswith("cuda") else "cpu", settings.threads)


_settings = _load_settings()
_engine = _choose_engine(_settings)
_worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="okawari-graph")
_services = {
    name: CaseService(case, Runner(case, _engine, _worker), _settings.state_dir / "journal")
    for name in _choose_cases(_settings)
    for case in [load_case(name)]
}
_options: dict[str, Any] = {"resources": {"gpu": 1}} if _engine.device == "cuda" else {}


@bentoml.service(
    name="okawari",
    workers=1,
    traffic={"timeout": 30},
    http={"host": _settings.host},
    logging={"access": {"enabled": False}},
    metrics={"enabled": True},
    **_options,
)
@bentoml.asgi_app(build_app(_services), path="/")
class Okawari:
    """Holds the models, watches the model store, and writes the journal's end."""

    def __init__(self) -> None:
        self._watcher = Watcher([service.runner for service in _services.values()])
        self._watcher.start()
        # What lives as long as the process need not be looked through again: without this, a full collection held
        # up every request for 120 to 160 ms every thousand requests or so.
        gc.collect()
        gc.freeze()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop watching and close the journals."""
        self._watcher.close()
        for service in _services.values():
            service.close()
