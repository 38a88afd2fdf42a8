"""Checks of the loop: settings, cases, servers, and whether the champion of each case serves."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator

import httpx

from okawari.case import Case
from okawari.cases.loader import load_cases
from okawari.clients.prediction_service import Client
from okawari.clients.wire import CaseInfo
from okawari.errors import OkawariError
from okawari.local.findings import Finding, note_ok, note_problem, note_warning
from okawari.local.programs import GROUP_MARK, PROGRAM_MARK, build_environment
from okawari.registry import versions
from okawari.registry.client import limit_waiting, require_server
from okawari.security.tls import trust_own
from okawari.settings import Settings
from okawari.storage import delivery_log
from okawari.storage.group_lock import explain_absence, is_group_running, name_server

_HEALTH = {"prefect": "/api/health", "mlflow": "/health", "service": "/readyz"}
_TIMEOUT_S = 5.0


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Variables that no setting reads, and settings without effect."""
    found = [*_find_unknown(), *_find_overridden(settings), *_find_idle(settings)]
    if found:
        yield from found
    else:
        yield note_ok("settings", "every OKAWARI_ variable has an effect")


def _find_unknown() -> Iterator[Finding]:
    known = [f"OKAWARI_{name.upper()}" for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith("OKAWARI_") and name.upper() not in (*known, GROUP_MARK, PROGRAM_MARK):
            near = difflib.get_close_matches(name.upper(), known, n=1)
            advice = f"Is {near[0]} meant? " if near else ""
            yield note_warning("settings", f"nothing reads {name}", f"{advice}Correct or unset it.")


def _find_overridden(settings: Settings) -> Iterator[Finding]:
    """Variables of the engines that `okawari up` replaces."""
    if not (settings.state_dir / "secrets").is_dir():
        return  # the environment has passwords, which are made at the first start
    ours = build_environment(settings)
    for name in ("PREFECT_API_URL", "PREFECT_HOME", "MLFLOW_TRACKING_URI", "BENTOML_HOME", "OMP_NUM_THREADS"):
        if name in os.environ and os.environ[name] != ours[name]:
            seen = f"{name} has no effect on the programs of okawari up, which get {ours[name]}"
            yield note_warning("settings", seen, "Unset it, and use the setting of Okawari instead.")


def _find_idle(settings: Settings) -> Iterator[Finding]:
    is_default = settings.cases_dir == Settings.model_fields["cases_dir"].default
    if not is_default and not settings.cases_dir.is_dir():
        yield note_warning("settings", f"OKAWARI_CASES_DIR: there is no folder {settings.cases_dir}", "Correct it.")
    cases, _ = load_cases(settings.case_names)
    known = {recipe.name for case in cases.values() for recipe in case.candidates}
    if idle := [name for name in settings.candidate_names if cases and name not in known]:
        advice = f"The candidates of these cases are {', '.join(sorted(known))}."
        yield note_warning("settings", f"OKAWARI_CANDIDATES: no case has {', '.join(idle)}", advice)


def check_cases(settings: Settings) -> Iterator[Finding]:
    """Whether each case can be loaded."""
    cases, broken = load_cases(settings.case_names)
    for name, case in cases.items():
        yield note_ok(f"case {name}", case.title)
    for name, error in broken.items():
        yield note_problem(f"case {name}", str(error), "Correct the case, then start okawari up again.")
    if not cases and not broken:
        yield note_problem("cases", "OKAWARI_CASES names no case", "Name at least one, such as aapl.")


def check_servers(settings: Settings) -> Iterator[Finding]:
    """Whether each server answers."""
    is_local = not (settings.prefect_url and settings.mlflow_url and settings.service_url)
    if is_local and not is_group_running(settings):
        yield note_warning("servers", f"okawari up does not run on {settings.state_dir}", "Start it with: okawari up.")
        return
    for program, path in _HEALTH.items():
        yield _check_server(settings, program, path)


def _check_server(settings: Settings, program: str, path: str) -> Finding:
    server = name_server(program)
    try:
        httpx.get(f"{server.base}{path}", timeout=_TIMEOUT_S, verify=trust_own(settings)).raise_for_status()
    except httpx.HTTPError as error:
        return note_problem(server.title, str(explain_absence(server, error)), "See its log.")
    return note_ok(server.title, f"answers at {server.base}")


def check_champions(settings: Settings) -> Iterator[Finding]:
    """Whether the champion of each case serves; nothing where a server does not answer."""
    limit_waiting()
    try:
        require_server()
        with Client(timeout=_TIMEOUT_S) as client:
            served = {case.name: case for case in client.cases()}
    except OkawariError:
        return  # the check of the servers says so
    for name, case in load_cases(settings.case_names)[0].items():
        yield _check_champion(case, served.get(name))


def check_deliveries(settings: Settings) -> Iterator[Finding]:
    """Whether a delivery of a case is held; nothing where no state exists yet, because a check writes nothing."""
    if not settings.state_dir.is_dir():
        return
    for name in load_cases(settings.case_names)[0]:
        held = delivery_log.find_held(name)
        if held is not None:
            seen = f"{held.id} of {held.at:%Y-%m-%d} is held: {held.reason}"
            yield note_warning(f"deliveries of {name}", seen, delivery_log.advise(name, held.id))


def _check_champion(case: Case, served: CaseInfo | None) -> Finding:
    subject, champion = f"champion of {case.name}", versions.load_champion(case.name)
    mend = f"Run: okawari run {case.name}."
    if champion is None:
        return note_warning(subject, "there is none yet", mend)
    if served is None:
        advice = "Start okawari up again: the service reads OKAWARI_CASES once."
        return note_problem(subject, f"the service does not serve {case.name}", advice)
    if served.model is None or served.model.version != champion.version:
        serving = "nothing" if served.model is None else f"version {served.model.version}"
        refused = f"; the service refused: {served.refused}" if served.refused else ""
        return note_problem(subject, f"version {champion.version}, but {serving} serves{refused}", mend)
    return note_ok(subject, f"version {champion.version} serves")
