"""Reads the bodies of requests within limits of size, time and memory.

A body is read before its request takes a slot (`bentos.http`), so a slow client holds a connection and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from bentos.body_limits import SMALL_BYTES, format_bytes
from bentos.errors import Disconnected, Overloaded, TooLarge, TooSlow

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

BUDGET_BYTES = 64 * 2**20
"""Memory for all large bodies in progress. A body's first 64 kB are not counted: the connections bound them."""
LARGE_BYTES_PER_S = 64 * 2**20
"""All large bodies together are read at this rate: reading 8 MB takes the event loop some 20 ms."""
BODY_S = 10.0
BODY_BYTES_PER_S = 2**20
"""A body may take 10 s, and a second more for each MB that has arrived."""


class BodyReader:
    """Reads the bodies of all requests of a service."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES, body_s: float = BODY_S) -> None:
        self._budget, self._held, self._body_s = budget_bytes, 0, body_s
        self._pace = asyncio.Lock()

    @asynccontextmanager
    async def read(self, receive: Receive, announced: str, limit: int) -> AsyncIterator[bytearray]:
        """Read a body and hold its memory during the block.

        Args:
            receive: the request's ASGI function.
            announced: its Content-Length header, or "".
            limit: the most bytes allowed.

        Raises:
            TooLarge: it has more bytes than allowed.
            TooSlow: it did not arrive in time.
            Overloaded: the bodies in progress hold all the memory for bodies.
            Disconnected: the client ended the connection.
        """
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(limit)
        body = bytearray()
        counted = 0
        try:
            started = asyncio.get_running_loop().time()
            async with _convert_timeout(body), asyncio.timeout_at(started + self._body_s) as deadline:
                async for part in _receive_parts(receive):
                    body += part
                    if len(body) > limit:
                        raise _too_large(limit)
                    if (size := len(body) - SMALL_BYTES - counted) > 0:
                        await self._wait_for_turn(size)
                        counted += self._take(size)
                    deadline.reschedule(started + self._body_s + len(body) / BODY_BYTES_PER_S)
            yield body
        finally:
            self._held -= counted

    async def _wait_for_turn(self, size: int) -> None:
        """Wait as long as `size` bytes take at the rate for all large bodies."""
        async with self._pace:
            await asyncio.sleep(size / LARGE_BYTES_PER_S)

    def _take(self, size: int) -> int:
        """Count `size` more bytes of large bodies; returns `size`."""
        if self._held + size > self._budget:
            raise Overloaded(
                f"Bodies of {format_bytes(self._held)} are in progress, and {format_bytes(self._budget)} is the most "
                "allowed; send this one again in a second."
            )
        self._held += size
        return size


async def _receive_parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected("The client ended the connection before its body was complete.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


@asynccontextmanager
async def _convert_timeout(body: bytearray) -> AsyncIterator[None]:
    try:
        yield
    except TimeoutError:
        raise TooSlow(
            f"Only {len(body)} bytes of the body arrived in time; a body may take {BODY_S:g} s, and a second more for "
            f"each {format_bytes(BODY_BYTES_PER_S)}. Send a smaller one, or send it faster."
        ) from None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is over {format_bytes(limit)}, the most allowed; send it in several requests.")
