"""The process that checks large bodies, one at a time: `bentos.large_bodies` starts it and ends it.

It reads from standard input a line of JSON (kind, case, size) and the body, and writes frames to standard output: eight
bytes with the size, then the content. The first frame of an answer is JSON with the number of further ones: the array
of a question, or its outcomes in several parts. It ends when its input ends, so it never outlives the service.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from functools import cache
from typing import Any, BinaryIO

from pydantic_core import to_json

from bentos.errors import Refused
from bentos.requests import Reader
from okawari.cases.loader import load_case

MEMORY_BYTES = 2**30
"""The worst body of 8 MB takes 0.3 GB here, beside 0.2 GB of the process itself."""
_OUTCOMES_IN_FRAME = 500


@cache
def _find_reader(case_name: str) -> Reader:
    return Reader(load_case(case_name))


def check(kind: str, case_name: str, body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The header of the answer and its other frames."""
    reader = _find_reader(case_name)
    try:
        if kind == "outcomes":
            outcomes = reader.read_outcomes(body)
            starts = range(0, len(outcomes), _OUTCOMES_IN_FRAME)
            return {}, [to_json(outcomes[start : start + _OUTCOMES_IN_FRAME]) for start in starts]
        question = reader.read_question(body)
        header = {
            "shape": question.x_BTF.shape,
            "levels": question.levels,
            "as_of": question.as_of,
            "keys": question.keys,
            "words": question.words,
        }
        return header, [question.x_BTF.tobytes()]
    except Refused as refused:
        return {"error": str(refused), "detail": refused.detail}, []


def _write_frame(out: BinaryIO, content: bytes) -> None:
    out.write(len(content).to_bytes(8) + content)


def main() -> None:
    """Check bodies until the input ends."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    source, out = sys.stdin.buffer, sys.stdout.buffer
    _write_frame(out, b"ready")
    out.flush()
    while line := source.readline():
        asked = json.loads(line)
        header, frames = check(asked["kind"], asked["case"], source.read(asked["size"]))
        for content in (to_json({**header, "n_frames": len(frames)}), *frames):
            _write_frame(out, content)
        out.flush()


if __name__ == "__main__":
    main()
