"""The facts that the page shows, loaded once and shared by all open browser tabs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from okawari.case import Case
from okawari.cases.loader import load_case, load_cases
from okawari.clients.prediction_service import Client
from okawari.clients.wire import AnyPrediction, CaseInfo, ForecastAnswer
from okawari.errors import InvalidInput, OkawariError
from okawari.loop.status import LoopState, read_state
from okawari.security.access import needs_keys
from okawari.security.sign_in import SIGN_OUT
from okawari.settings import load_settings
from okawari.storage.decision_log import load_decisions
from okawari.storage.snapshots import load_recent, snapshot_number

Answer = TypeVar("Answer")
Served = ForecastAnswer[AnyPrediction]
SHOWN_READINGS = 250  # a year of trading days
SHOWN_DECISIONS = 12
_TIMEOUT_S = 5.0
_SHARED_S = 3.0  # below the refresh period of the page, so that shown facts are at most one refresh old


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses of the other pages, and the folder of the reports.

    Those of Prefect and MLflow are on our own page, which signs the browser in there. `sign_out` is empty where nobody
    has to sign in.
    """

    prefect: str
    mlflow: str
    service: str
    reports: Path
    sign_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts about one case. `trouble` holds messages about facts that could not be read.

    `recent` holds the newest readings, ascending in time; None if nothing has been ingested.
    """

    case: Case
    links: Links
    recent: pd.DataFrame | None = None
    state: LoopState | None = None
    decisions: tuple[Mapping[str, Any], ...] = ()
    served: CaseInfo | None = None
    forecast: Served | None = None
    trouble: tuple[str, ...] = ()


def load_links() -> Links:
    """Addresses of the other pages, from the settings."""
    settings = load_settings()
    prefix = settings.ui_prefix
    return Links(
        prefect=f"{prefix}/open/prefect",
        mlflow=f"{prefix}/open/mlflow",
        service=settings.service_prefix or settings.service_base,  # a proxy publishes both under one host name
        reports=settings.reports_dir,
        sign_out=f"{prefix}{SIGN_OUT}" if needs_keys(settings) else "",
    )


def list_broken_cases() -> tuple[str, ...]:
    """One notice for each case of OKAWARI_CASES that cannot be loaded. Each file is read once, as the service does."""
    settings = load_settings()
    return _list_broken(settings.case_names, settings.cases_dir.resolve())


@lru_cache(maxsize=4)
def _list_broken(names: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    _, broken = load_cases(names)  # the folder is a key of the cache
    return tuple(f"Case {name} is not served: {error}" for name, error in broken.items())


def load_facts(case: str) -> Facts:
    """Load all facts about a case; facts that cannot be read are None and reported in `trouble`."""
    return _load_facts(case, int(time.monotonic() / _SHARED_S))


@lru_cache(maxsize=16)
def _load_facts(name: str, moment: int) -> Facts:
    case, trouble = load_case(name), [*list_broken_cases()]

    def attempt(load: Callable[[], Answer]) -> Answer | None:
        try:
            return load()
        except (OkawariError, OSError) as error:
            trouble.append(str(error))
            return None

    snapshot_version = attempt(lambda: snapshot_number(case))
    served = attempt(lambda: _find_case(name))
    state = attempt(lambda: read_state(name))
    if state is not None:
        trouble.extend(filter(None, (state.alarm, state.held, state.problem)))
    return Facts(
        case=case,
        links=load_links(),
        recent=None if snapshot_version is None else attempt(lambda: _load_recent(name, snapshot_version)),
        state=state,
        decisions=tuple(attempt(lambda: load_decisions(name, SHOWN_DECISIONS)) or ()),
        served=served,
        forecast=attempt(lambda: _load_forecast(served, snapshot_version, None if state is None else state.held)),
        trouble=tuple(dict.fromkeys(trouble)),
    )


@cache
def _connect() -> Client:
    """The client of this process. Its timeout allows for a service that is loading a model."""
    return Client(timeout=_TIMEOUT_S)


def _find_case(name: str) -> CaseInfo:
    cases = {case.name: case for case in _connect().cases()}
    if name not in cases:
        raise InvalidInput(
            f"The service serves {', '.join(cases) or 'no case'}, not {name}; start it with {name} in OKAWARI_CASES."
        )
    return cases[name]


def _load_forecast(served: CaseInfo | None, snapshot_version: int | None, held: str | None) -> Served | None:
    if served is None or served.model is None or not served.ready:
        return None
    return _request_forecast(served.name, served.model.graph_sha256, served.model.version, snapshot_version, held)


@lru_cache(maxsize=16)
def _request_forecast(
    name: str, graph_sha256: str, version: str, snapshot_version: int | None, held: str | None
) -> Served:
    """Request a forecast once per model, snapshot and held delivery, because the service journals every answer."""
    return _connect().forecast(name)


@lru_cache(maxsize=4)
def _load_recent(name: str, snapshot_version: int) -> pd.DataFrame | None:
    return load_recent(load_case(name), SHOWN_READINGS)  # the version is a key of the cache, so a new snapshot is read
