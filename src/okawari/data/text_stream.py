"""The content of a text file as a stream of UTF-8 for PyArrow, whatever its encoding and packing."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from okawari.data.file_format import PLAIN, FileFormat
from okawari.data.table_bytes import open_content

Content = Path | bytes
"""A file, or its unpacked content."""


class CsvError(ValueError):
    """Bytes that are not CSV; the message has the reason and the remedy, and the caller adds the source."""


class _Repair:
    """Turns blocks of bytes into UTF-8; what is no text becomes U+FFFD, because PyArrow would drop the reason of such a
    line.
    """

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._is_first = True

    def __call__(self, block: Any) -> bytes:
        content = bytes(block)
        text = self._decoder.decode(content, final=not content)
        if self._is_first and text:
            text, self._is_first = text.removeprefix("\ufeff"), False
        return text.encode("utf-8")


@contextmanager
def open_utf8(content: Content, format: FileFormat = PLAIN) -> Iterator[Any]:
    """A stream for PyArrow of the content in UTF-8, without a byte order mark."""
    if isinstance(content, bytes):
        yield pa.TransformInputStream(pa.BufferReader(content), _Repair(format.encoding))
        return
    with open_content(content) as stream:
        yield pa.TransformInputStream(pa.PythonFile(stream, mode="r"), _Repair(format.encoding))


def read_blocks(content: Content, size: int) -> Iterator[bytes]:
    """The unpacked content in blocks of `size` bytes."""
    if isinstance(content, bytes):
        yield from (content[start : start + size] for start in range(0, len(content), size))
        return
    with open_content(content) as stream:
        while block := stream.read(size):
            yield block


def require_text(content: Content, encoding: str, size: int) -> None:
    """Check that all bytes are text in the encoding.

    Raises:
        CsvError: some are not.
    """
    decoder, line = codecs.getincrementaldecoder(encoding)(), 1
    for block in read_blocks(content, size):
        decode_strictly(block, decoder, encoding, line)
        line += block.count(b"\n")
    decode_strictly(b"", decoder, encoding, line, final=True)


def decode_strictly(
    block: bytes, decoder: codecs.IncrementalDecoder, encoding: str, line: int, *, final: bool = False
) -> None:
    """Decode a block; `line` is the number of its first line.

    Raises:
        CsvError: it is no text.
    """
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as bad:
        line += bad.object.count(b"\n", 0, bad.start)
        title = "UTF-8" if encoding == "utf-8" else encoding
        raise CsvError(
            f"line {line} of the file holds the byte {bad.object[bad.start]:#04x}, which is not {title}; save it as "
            "UTF-8"
        ) from None
