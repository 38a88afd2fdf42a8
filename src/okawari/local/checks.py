"""All checks of an installation, in the order of `okawari doctor`. They change nothing and need no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from okawari.local import loop_checks, machine_checks, state_checks
from okawari.local.findings import Finding, note_problem
from okawari.settings import Settings

Check = Callable[[Settings], Iterator[Finding]]

CHECKS: dict[str, Check] = {
    "Python": machine_checks.check_python,
    "packages": machine_checks.check_packages,
    "settings": loop_checks.check_settings,
    "state folder": state_checks.check_folder,
    "disk": machine_checks.check_disk,
    "state version": state_checks.check_state_version,
    "secrets": state_checks.check_secrets,
    "clock": state_checks.check_clock,
    "threads and device": machine_checks.check_compute,
    "exposure": machine_checks.check_reach,
    "ports": machine_checks.check_ports,
    "cases": loop_checks.check_cases,
    "servers": loop_checks.check_servers,
    "deliveries": loop_checks.check_deliveries,
    "champions": loop_checks.check_champions,
}


def examine(settings: Settings) -> list[Finding]:
    """Run all checks. One that fails is a finding as well, and stops no other."""
    return [finding for subject, check in CHECKS.items() for finding in _run(subject, check, settings)]


def _run(subject: str, check: Check, settings: Settings) -> list[Finding]:
    try:
        return list(check(settings))
    except Exception as error:  # whatever is wrong with the installation may show here first
        return [note_problem(subject, f"cannot be checked: {error}", "Mend this first.")]
