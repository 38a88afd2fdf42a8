"""Checks of the machine: Python and packages, ports, disk, processor and device."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from okawari.errors import OkawariError
from okawari.local.findings import Finding, note_ok, note_problem, note_warning
from okawari.local.processes import belongs_to_group, find_holder, is_free, name_holder
from okawari.local.programs import Program, list_programs
from okawari.security.exposure import check_exposure
from okawari.settings import Settings

_EXTRAS = ("serve", "train", "flows", "monitoring", "ui", "cli", "sql")
_FEW_BYTES, _LOW_BYTES = 200_000_000, 2_000_000_000
"""Below the first, programs fail within hours; below the second, within days: an idle day writes some 10 to 100 MB."""
_FEW_INODES, _LOW_INODES = 2_000, 50_000
_SHOWN = 5


def check_python(settings: Settings) -> Iterator[Finding]:
    """Whether this Python is one that the package admits."""
    allowed = SpecifierSet(metadata("okawari")["Requires-Python"])
    own = ".".join(map(str, sys.version_info[:3]))
    if allowed.contains(own):
        yield note_ok("Python", own)
    else:
        yield note_problem("Python", f"{own}; allowed is {allowed}", "Install Okawari into another Python.")


def check_packages(settings: Settings) -> Iterator[Finding]:
    """Whether installed packages are within the bounds of the package, and those that its lock names."""
    wrong = [text for line in requires("okawari") or () if (text := _find_fault(Requirement(line))) is not None]
    if wrong:
        advice = "Install with the versions of requirements.lock: pip install -c requirements.lock 'okawari[all]'."
        yield note_problem("packages", _shorten(wrong), advice)
    other = _list_unlocked(settings.root / "requirements.lock")
    if other:
        advice = "Tests ran with the versions of requirements.lock; install those if something fails."
        yield note_warning("packages", _shorten(other), advice)
    if not wrong and not other:
        yield note_ok("packages", "as in requirements.lock")


def _find_fault(wanted: Requirement) -> str | None:
    """What is wrong with the package of a requirement; None where it fits, or is not needed here."""
    if wanted.marker is not None and not any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *_EXTRAS)):
        return None
    try:
        installed = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is missing"
    fits = wanted.specifier.contains(installed, prereleases=True)
    return None if fits else f"{wanted.name} is {installed}, allowed is {wanted.specifier}"


def _list_unlocked(lock: Path) -> list[str]:
    """Installed packages whose version differs from the lock's."""
    lines = lock.read_text().splitlines() if lock.is_file() else []
    pins = [match.groups() for line in lines if (match := re.fullmatch(r"([\w.-]+)==([\w.!]+)", line))]
    return [
        f"{name} is {installed}, locked is {pin}"
        for name, pin in pins
        if (installed := _find_version(name)) is not None and installed.partition("+")[0] != pin
    ]


def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _shorten(parts: list[str]) -> str:
    rest = f" and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return "; ".join(parts[:_SHOWN]) + rest


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Whether each port is free, or held by this installation."""
    for program in list_programs(settings):
        if program.port is not None:
            yield _check_port(settings, program)


def _check_port(settings: Settings, program: Program) -> Finding:
    subject = f"port {program.port}"
    if is_free(settings.host, program.port or 0):
        return note_ok(subject, f"free ({program.title})")
    holder = find_holder(program.port)
    if holder is not None and belongs_to_group(holder, settings):
        return note_ok(subject, f"held by this installation's {program.title}")
    seen = f"taken{name_holder(program.port) or ' by a process that this user cannot see'}"
    return note_problem(subject, seen, f"Stop it, or set {program.port_setting} to another number.")


def check_reach(settings: Settings) -> Iterator[Finding]:
    """Whether other machines reach the servers with a key only."""
    try:
        check_exposure(settings)
    except OkawariError as error:
        yield note_problem("exposure", str(error), "okawari up does not start before.")
    else:
        yield note_ok("exposure", f"servers listen on {settings.host}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Space and inodes that are left for the state folder."""
    folder = next(path for path in (settings.state_dir, *settings.state_dir.parents) if path.is_dir())
    found = os.statvfs(folder)
    n_bytes, n_inodes = found.f_bavail * found.f_frsize, found.f_favail
    advice = f"Free space on the disk of {folder}, or move the state folder and set OKAWARI_HOME."
    yield _grade("disk space", f"{n_bytes / 1e9:.1f} GB free", n_bytes, (_FEW_BYTES, _LOW_BYTES), advice)
    if found.f_files:  # some file systems have no fixed number of them
        yield _grade("inodes", f"{n_inodes} free", n_inodes, (_FEW_INODES, _LOW_INODES), advice)


def _grade(subject: str, seen: str, left: int, limits: tuple[int, int], advice: str) -> Finding:
    few, low = limits
    if left < few:
        return note_problem(subject, seen, advice)
    return note_warning(subject, seen, advice) if left < low else note_ok(subject, seen)


def check_compute(settings: Settings) -> Iterator[Finding]:
    """Whether the device exists and the threads fit the processors that this process may use."""
    n_cores = len(os.sched_getaffinity(0))
    seen = f"{settings.threads} for each process, on {n_cores} cores"
    if settings.threads > n_cores:
        yield note_warning("threads", seen, f"Set OKAWARI_THREADS to at most {n_cores}: more only compete.")
    else:
        yield note_ok("threads", seen)
    if not settings.device.startswith("cuda"):
        yield note_ok("device", settings.device)
        return
    from okawari.models.torch_training import choose_device

    yield note_ok("device", str(choose_device(settings.device)))
