"""Checks large bodies in a process of its own, so that no body delays the other requests.

The process (`bentos.large_body_worker`) starts with the first large body, runs at a low priority and checks one
body at a time. A process that dies or takes too long is replaced.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import numpy as np

from bentos.errors import Overloaded, Refused
from bentos.requests import Question, Record
from okawari.case import Case

Kind = Literal["question", "outcomes"]

MAX_LARGE = 16
"""Large bodies in progress: one is checked, the others wait."""
_WAIT_S, _START_S, _CHECK_S = 15.0, 20.0, 20.0
_WRITE_BYTES = 256 * 2**10


class LargeBodies:
    """Checks large bodies of all cases, one after the other."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._n, self._turn = 0, asyncio.Lock()

    async def read_question(self, case: Case, body: bytes | bytearray) -> Question:
        """Like `Reader.read_question`; raises `Overloaded` as well, if too many large bodies wait."""
        header, frames = await self._check("question", case, body)
        x_BTF = np.frombuffer(frames[0], dtype=np.float64).reshape(header["shape"])
        words = {name: tuple(found) for name, found in header["words"].items()}
        return Question(x_BTF, header["levels"], header["as_of"], header["keys"], words)

    async def read_outcomes(self, case: Case, body: bytes | bytearray) -> list[Record]:
        """Like `Reader.read_outcomes`; raises `Overloaded` as well, if too many large bodies wait."""
        _, frames = await self._check("outcomes", case, body)
        found: list[Record] = []
        for frame in frames:
            found += json.loads(frame)
            await asyncio.sleep(0)
        return found

    def close(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        self._process = None

    async def _check(self, kind: Kind, case: Case, body: bytes | bytearray) -> tuple[dict[str, Any], list[bytes]]:
        asked = {"kind": kind, "case": case.name, "size": len(body)}
        async with self._take_turn():
            was_running = self._process is not None
            try:
                header, frames = await self._ask(asked, body)
            except (EOFError, ConnectionError):
                if not was_running:
                    raise
                self.close()  # it died since the last body; a new one takes this body
                header, frames = await self._ask(asked, body)
        if "error" in header:
            raise Refused(header["error"], detail=header["detail"])
        return header, frames

    async def _ask(self, asked: dict[str, Any], body: bytes | bytearray) -> tuple[dict[str, Any], list[bytes]]:
        process = await self._find_process()
        async with asyncio.timeout(_CHECK_S):
            await _send(process, asked, body)
            header = json.loads(await _read_frame(process))
            return header, [await _read_frame(process) for _ in range(header["n_frames"])]

    @asynccontextmanager
    async def _take_turn(self) -> AsyncIterator[None]:
        """Wait for the process. If the block fails, its process ends: it may still write the answer."""
        if self._n >= MAX_LARGE:
            raise Overloaded(
                f"{self._n} large bodies are in progress, the most allowed; send this one again in a second."
            )
        self._n += 1
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._turn.acquire()
            try:
                yield
            except BaseException:
                self.close()
                raise
            finally:
                self._turn.release()
        except (OSError, EOFError) as failed:  # a TimeoutError is an OSError
            raise Overloaded(
                f"The body was not checked ({type(failed).__name__}): it waited over {_WAIT_S:g} s, or its check took "
                f"over {_CHECK_S:g} s or ended. Send it again, in several requests."
            ) from failed
        finally:
            self._n -= 1

    async def _find_process(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            async with asyncio.timeout(_START_S):
                self._process = await _start()
                await _read_frame(self._process)
        return self._process


async def _start() -> Process:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = (sys.executable, "-m", "bentos.large_body_worker")
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment)


async def _send(process: Process, header: dict[str, Any], body: bytes | bytearray) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(header).encode() + b"\n")
    for start in range(0, len(body), _WRITE_BYTES):
        process.stdin.write(bytes(body[start : start + _WRITE_BYTES]))
        await process.stdin.drain()


async def _read_frame(process: Process) -> bytes:
    assert process.stdout is not None
    size = int.from_bytes(await process.stdout.readexactly(8))
    return await process.stdout.readexactly(size)
