"""Checks the model store for all runners."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from bentos.batching import Runner, _log

POLL_S = 0.5


class Watcher:
    """Checks the model store every `POLL_S` seconds for all runners, until closed."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = runners
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="okawari-watcher", daemon=True)

    def start(self) -> None:
        """Check once before returning, so that a ready service has its models; then continue in the background."""
        self._check()
        self._thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._closed.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._closed.wait(POLL_S):
            self._check()

    def _check(self) -> None:
        for runner in self._runners:
            try:
                runner.check_store()
            except Exception:  # a store that cannot be read now must not end the thread
                _log.exception("The model store of %s cannot be read", runner.case.name)
