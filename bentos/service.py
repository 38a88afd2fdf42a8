"""The BentoML service: one process that serves the cases of `OKAWARI_CASES`.

    bentoml serve bentos.service:Okawari --host 127.0.0.1 --port 3000
    bentoml serve okawari:latest         --host 127.0.0.1 --port 3000      (a built Bento, from any folder)

BentoML adds `/healthz`, `/livez`, `/readyz` and `/metrics` to the routes of `bentos.http`. The service has one worker,
because several could serve different versions at the same time. Run more replicas instead.
"""

from __future__ import annotations

import gc
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import bentoml
from pydantic import BaseModel

from bentos import connections
from bentos.batching import Runner
from bentos.case_service import CaseService
from bentos.http import build_app
from bentos.large_bodies import LargeBodies
from bentos.loading import Engine
from bentos.model_store import KEY_FILE, home_path
from bentos.store_watcher import Watcher
from okawari.cases.loader import load_cases
from okawari.errors import require
from okawari.security.access import Access
from okawari.security.guard import Guard
from okawari.security.key_check import KeyCheck
from okawari.security.origins import Names
from okawari.security.reverse_proxy import ReverseProxy
from okawari.settings import Settings, load_settings


class Arguments(BaseModel):
    """The build arguments stored in a Bento: the cases whose models it holds."""

    cases: str = ""


def _load_settings() -> Settings:
    """Settings of this process. The working directory of a built Bento is its own source folder, which must not hold
    state: without `OKAWARI_HOME`, state is stored beside BentoML's stores. A built Bento carries the key of its models.
    """
    source = Path(__file__).parents[1]
    if (source.parent / "bento.yaml").is_file():
        os.environ.setdefault("OKAWARI_HOME", str(home_path() / "okawari"))
        if (key := source / KEY_FILE).is_file():
            os.environ.setdefault("OKAWARI_SIGNING_KEY", key.read_text())
    return load_settings()


def _choose_cases(settings: Settings) -> tuple[str, ...]:
    """`OKAWARI_CASES` if set, else the cases that the Bento was built for, else the default."""
    built = bentoml.use_arguments(Arguments).cases
    if built and "cases" not in settings.model_fields_set:
        return tuple(built.split(","))
    return settings.case_names


def _choose_engine(settings: Settings) -> Engine:
    """The GPU only if the settings name it: a CPU computes one window of a small graph faster."""
    return Engine("cuda" if settings.device.startswith("cuda") else "cpu", settings.threads)


def _build_services(settings: Settings) -> dict[str, CaseService]:
    """The service of each case that can be loaded; the others are logged, and stop none.

    Raises:
        InvalidInput: none can be loaded.
    """
    cases, broken = load_cases(_choose_cases(settings))
    for name, error in broken.items():
        _log.error("Case %s is not served: %s", name, error)
    require(bool(cases), "\n".join(map(str, broken.values())) or "OKAWARI_CASES names no case; name at least one.")
    engine, worker = _choose_engine(settings), ThreadPoolExecutor(max_workers=1, thread_name_prefix="okawari-graph")
    journal, large_bodies = settings.state_dir / "journal", LargeBodies()
    return {
        name: CaseService(case, Runner(case, engine, worker), journal, large_bodies) for name, case in cases.items()
    }


_log = logging.getLogger("bentoml.okawari")
connections.install()
_settings = _load_settings()
os.environ["FORWARDED_ALLOW_IPS"] = ""  # uvicorn's own reading of X-Forwarded-*; `ReverseProxy` does it here
_services = _build_services(_settings)
_options: dict[str, Any] = {"resources": {"gpu": 1}} if _choose_engine(_settings).device == "cuda" else {}


@bentoml.service(
    name="okawari",
    workers=1,
    traffic={"timeout": 60},
    http={"host": _settings.host},
    logging={"access": {"enabled": False}},
    metrics={"enabled": True},
    **_options,
)
@bentoml.asgi_app(build_app(_services), path="/")
class Okawari:
    """Serves the models, watches the model store, and closes the journals on shutdown."""

    def __init__(self) -> None:
        self._watcher = Watcher([service.runner for service in _services.values()])
        self._watcher.start()
        # The objects loaded so far live as long as the process, so the garbage collector can skip them: without this,
        # a full collection delayed requests by 120 to 160 ms, about once in a thousand requests.
        gc.collect()
        gc.freeze()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop watching and close the journals."""
        self._watcher.close()
        for service in _services.values():
            service.close()


def _add_layers(service: Any, settings: Settings) -> None:
    """Add the layers that each request passes, the outermost first; they also cover the routes that BentoML adds."""
    service.add_asgi_middleware(ReverseProxy, trusted=settings.trusted_proxies, root_path=settings.service_prefix)
    service.add_asgi_middleware(Guard, names=Names.of(settings))
    service.add_asgi_middleware(KeyCheck, access=Access.of(settings))


_add_layers(Okawari, _settings)
