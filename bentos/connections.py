"""Limits of connections: their number, the size of a request's head, and the time that each part may take.

Uvicorn limits none of these. BentoML does not let a service choose the protocol class, so `install` replaces the
default one before BentoML starts the server.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any, ClassVar

from uvicorn import config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS = 1536
"""Twelve times the requests in progress; the rest are refused with a sentence, not with a broken connection."""
_OTHER_FILES = 256
HEAD_S = 10.0
"""A request's head is complete this long after the connection opened or the head began."""
REQUEST_S = 90.0
"""A request is answered, and its answer is read, this long after its head."""
REST_S = 10.0
"""The rest of a body that was refused arrives this long after the answer."""
MAX_HEAD_BYTES = 64 * 2**10


def install() -> None:
    """Use `LimitedProtocol` for every server that this process starts later, and allow it as many open files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(MAX_CONNECTIONS + _OTHER_FILES, hard), hard))
    config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{LimitedProtocol.__name__}"


class LimitedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with a deadline for each part of a request.

    A new connection over the limit closes the one that has waited longest for its client: for a request, or for the
    rest of one. If all requests are complete, the new connection is refused with status 503.
    """

    _waiting: ClassVar[dict[LimitedProtocol, None]] = {}
    """Connections that wait for their clients; the one that has waited longest is first."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = 0
        self._is_complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a connection over the limit; give any other one time for its first request."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS and not self._close_oldest():
            self._refuse(503, "The service has too many connections; try again in a second.", "Retry-After: 1")
            return
        self._wait()
        self._set_deadline(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._set_deadline(None)
        self._waiting.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a head that is too long."""
        super().data_received(data)
        if self._head_bytes is None:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"The request's head has over {MAX_HEAD_BYTES // 2**10} kB; send a shorter one.")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._head_bytes, self._is_complete = 0, False
        self._wait()
        if not self._is_answering():
            self._set_deadline(HEAD_S)

    def on_headers_complete(self) -> None:
        """The head is complete; the body and the answer follow."""
        self._head_bytes = None
        self._set_deadline(REQUEST_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is complete, too."""
        self._is_complete = True
        self._waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, wait for one, or give the rest of a refused body some time."""
        super().on_response_complete()
        if self._is_answering():
            self._set_deadline(REQUEST_S)
        elif self._is_complete:
            self._wait()
            self._set_deadline(None)
        else:
            self._set_deadline(REST_S)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._waiting.pop(self, None)
        self._waiting[self] = None

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        """Close at once, whatever is still to be sent: the client may read nothing."""
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()

    def _close_oldest(self) -> bool:
        """Close the connection that has waited longest for its client; returns whether there is one."""
        oldest = next(iter(self._waiting), None)
        if oldest is None:
            return False
        self._waiting.pop(oldest)
        oldest._end()
        return True

    def _refuse(self, status: int, message: str, *headers: str) -> None:
        """Answer without the application and close."""
        body = f'{{"error":"{message}","detail":[]}}'
        lines = [f"HTTP/1.1 {status} Refused", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        head = "\r\n".join([*lines, *headers, "Connection: close"])
        self.transport.write(f"{head}\r\n\r\n{body}".encode())
        self.transport.close()
