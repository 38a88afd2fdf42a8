"""Signals that stop a command which has started servers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Make SIGTERM and a closed terminal stop the servers as Ctrl-C does, and exit without a traceback on each."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # A shell that starts a process in the background makes it ignore SIGINT, so the handler is set explicitly.
    stops = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup lets a program outlive its terminal
        stops.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in stops}
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            print("Stopped.", flush=True)
        raise SystemExit(130) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
