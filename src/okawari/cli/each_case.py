"""Work on several cases, one after the other: one that fails, or whose file is broken, stops no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import typer

from okawari.cases.loader import load_cases
from okawari.errors import CasesFailed, DeliveryHeld, InvalidInput, OkawariError
from okawari.storage.disk_faults import explain_disk_fault

Failures = dict[str, str]
"""One sentence for each case that failed, by its name."""


def attempt_each(names: Iterable[str], act: Callable[[str], object]) -> Failures:
    """Call `act` with each name; returns the failures."""
    failed = {}
    for name in names:
        try:
            act(name)
        except Exception as error:  # a case's own code, a library or a server may raise anything
            failed[name] = describe_failure(error)
    return failed


def require_loadable(names: Sequence[str]) -> tuple[tuple[str, ...], Failures]:
    """The names of the cases that can be loaded, and why the others cannot.

    Raises:
        InvalidInput: no case is named.
        CasesFailed: none can be loaded.
    """
    if not names:
        raise InvalidInput("OKAWARI_CASES names no case; set it to one or more names, such as aapl,blobs.")
    cases, broken = load_cases(names)
    failed = {name: describe_failure(error) for name, error in broken.items()}
    if not cases:
        raise_all(failed)
    return tuple(cases), failed


def raise_all(failed: Mapping[str, str]) -> None:
    """Raise one error for all failures.

    Raises:
        CasesFailed: always.
    """
    raise CasesFailed("\n".join(f"{name}: {sentence}" for name, sentence in failed.items()))


def show_failures(failed: Mapping[str, str]) -> None:
    """Print each failure as one line on stderr."""
    for name, sentence in failed.items():
        print(f"okawari: {name}: {sentence}", file=sys.stderr)


def describe_failure(error: Exception) -> str:
    """An error in one sentence: our own ones as they are, a disk fault with what to do, others with their type."""
    if isinstance(error, OkawariError):
        return str(error)
    return explain_disk_fault(error) or f"{type(error).__name__}: {error}"


def do_each(case: str | None, names: Sequence[str], act: Callable[[str], object]) -> Failures:
    """Call `act` with each name and return the failures; with the one case that was asked for, if any, and raise."""
    if case is None:
        return attempt_each(names, act)
    act(case)
    return {}


def end_command(failed: Failures, held: Failures | None = None) -> None:
    """Print the failures and the held deliveries; exit with code 1 or 3 if there are any."""
    show_failures({**failed, **(held or {})})
    if failed or held:
        raise typer.Exit(1 if failed else DeliveryHeld.exit_code)
