"""A load generator: a thread sends requests to the service during a rehearsal and counts failures."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from okawari.clients.prediction_service import Client
from okawari.errors import OkawariError

_REQUESTS_PER_S = 5.0


@dataclass
class LoadGenerator:
    """Sends forecast requests at a steady rate inside a `with` block; counts them and keeps failures and versions."""

    case_name: str
    n_requests: int = 0
    failures: list[str] = field(default_factory=list)
    versions: dict[str, datetime] = field(default_factory=dict)
    """Every version that answered, in order, with the time of its first answer."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> LoadGenerator:
        self._thread = threading.Thread(target=self._send_requests, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _send_requests(self) -> None:
        with Client() as client:
            while not self._stop.wait(1 / _REQUESTS_PER_S):
                self._send_request(client)

    def _send_request(self, client: Client) -> None:
        self.n_requests += 1
        try:
            answer = client.forecast(self.case_name)
        except OkawariError as failed:
            self.failures.append(str(failed))
            return
        self.versions.setdefault(answer.model.version, datetime.now(UTC))
