"""Checks of the state folder: writable, of this version, with private secrets, and with no record of the future."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from okawari.cases.loader import load_cases
from okawari.errors import OkawariError
from okawari.local.findings import Finding, note_ok, note_problem, note_warning
from okawari.settings import Settings
from okawari.storage.decision_log import load_decisions
from okawari.storage.disk_faults import DiskFault, require_writable
from okawari.storage.state_version import STATE_FILE, STATE_VERSION, read_state_version

_SKEW = timedelta(minutes=2)
_RELEASED = datetime(2026, 1, 1, tzinfo=UTC)
"""No right clock is before this."""


def check_folder(settings: Settings) -> Iterator[Finding]:
    """Whether the state folder can be written."""
    folder = settings.state_dir
    if not folder.exists():
        yield note_warning("state folder", f"{folder} does not exist yet", "Start with: okawari up.")
        return
    try:
        require_writable(folder)
    except DiskFault as fault:
        sentence, _, advice = str(fault).partition(". ")
        yield note_problem("state folder", sentence, advice)
    else:
        yield note_ok("state folder", f"{folder} is writable")


def check_state_version(settings: Settings) -> Iterator[Finding]:
    """Whether the state has the version that this program reads."""
    found = read_state_version(settings.state_dir)
    if found == STATE_VERSION:
        yield note_ok("state version", str(found))
    elif found is not None:
        advice = "Run: okawari migrate." if found < STATE_VERSION else "Install the newer Okawari that wrote it."
        yield note_problem("state version", f"{found}; this Okawari reads {STATE_VERSION}", advice)
    elif (settings.state_dir / "data").exists():
        yield note_problem("state version", f"{STATE_FILE} is missing", "Restore it from a copy of the state folder.")


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Whether only their owner can read the files of secrets."""
    folder = settings.state_dir / "secrets"
    files = [folder, *folder.rglob("*")] if folder.is_dir() else []
    open_files = [path for path in files if path.stat().st_mode & 0o077]
    if open_files:
        names = ", ".join(map(str, open_files))
        yield note_problem("secrets", f"others can read {names}", f"Run: chmod -R go= {folder}.")
    elif files:
        yield note_ok("secrets", "private")


def check_clock(settings: Settings) -> Iterator[Finding]:
    """Whether the clock is plausible: no record is of the future."""
    now = datetime.now(UTC)
    seen = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    advice = "Set the clock right, for example with: timedatectl set-ntp true."
    late = [(at, what) for at, what in _list_times(settings) if at > now + _SKEW]
    if now < _RELEASED:
        yield note_problem("clock", f"{seen} is before this program was written", advice)
    elif late:
        at, what = max(late)
        yield note_problem("clock", f"{seen}, but {what} is of {at:%Y-%m-%d %H:%M:%S}", advice)
    else:
        yield note_ok("clock", seen)


def _list_times(settings: Settings) -> Iterator[tuple[datetime, str]]:
    """Times at which the newest things were written, with what they are."""
    mark = settings.state_dir / STATE_FILE
    if not mark.exists():
        return
    yield _written_at(mark), STATE_FILE
    for log in settings.logs_dir.glob("*.log"):
        yield _written_at(log), f"the log {log.name}"
    for name in load_cases(settings.case_names)[0]:
        try:
            for row in load_decisions(name, 1):
                yield row["at"], f"the newest decision on {name}"
        except OkawariError:
            continue  # damaged tables have their own message, in `okawari status`


def _written_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
