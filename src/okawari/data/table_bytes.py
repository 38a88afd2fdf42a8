"""The bytes of a table's file, whatever it is packed in: its kind, a stream of its content, and its first bytes."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

from okawari.errors import InvalidInput

Kind = Literal["csv", "parquet", "spreadsheet", "lines"]
KINDS: dict[str, Kind] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".tab": "csv", ".parquet": "parquet", ".xlsx": "spreadsheet",
    ".xls": "spreadsheet", ".ods": "spreadsheet", ".jsonl": "lines", ".ndjson": "lines",
}  # fmt: skip
"""The kind of each ending; `csv` is text with any separator, `lines` has one JSON object in each line."""
PACKED = (".gz", ".zip")
READABLE = ".csv, .tsv, .txt, .jsonl, .ndjson (each also as .gz or .zip), .parquet, .xlsx, .xls and .ods"
_BLOCK_BYTES = 1 << 20


def find_kind(path: Path) -> Kind | None:
    """The kind of a file by its ending; None if Okawari reads no such files."""
    name = path.name.lower()
    if name.endswith(".zip") and path.is_file():
        name = find_member(path).lower()
    elif name.endswith(".gz"):
        name = name.removesuffix(".gz")
    return KINDS.get(Path(name).suffix)


def find_member(path: Path) -> str:
    """The name of the one file in a .zip.

    Raises:
        InvalidInput: it is no .zip, or holds no file or several.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            files = [each.filename for each in packed.infolist() if not each.is_dir()]
    except (zipfile.BadZipFile, OSError) as damage:
        raise InvalidInput(f"{path} cannot be read as a .zip: {damage}. Pack it again.") from damage
    names = [name for name in files if "__MACOSX" not in name]
    if len(names) != 1:
        raise InvalidInput(
            f"{path} holds {len(names)} files: {names[:5]}; it has to hold one table. Unpack it into a folder."
        )
    return names[0]


@contextmanager
def open_content(path: Path) -> Iterator[IO[bytes]]:
    """A stream of the unpacked content.

    Raises:
        OSError: the file or what it is packed in is damaged.
    """
    ending = path.suffix.lower()
    if ending == ".gz":
        with gzip.open(path) as stream:
            yield cast(IO[bytes], stream)
    elif ending == ".zip":
        with zipfile.ZipFile(path) as packed, packed.open(find_member(path)) as stream:
            yield stream
    else:
        with path.open("rb") as stream:
            yield stream


def read_content(path: Path) -> bytes:
    """The whole unpacked content; raises like `open_content`."""
    with open_content(path) as stream:
        return stream.read()


def read_head(path: Path, size: int) -> bytes:
    """The first `size` bytes of the content; if they are ASCII, then also the first later ones that are not.

    The later bytes begin at a line, after a line break.
    """
    with open_content(path) as stream:
        head = stream.read(size)
        rest = b"" if not head.isascii() or len(head) < size else _find_beyond_ascii(stream)
    return head[: head.rfind(b"\n") + 1] + rest if rest else head


def _find_beyond_ascii(stream: IO[bytes]) -> bytes:
    while block := stream.read(_BLOCK_BYTES):
        if not block.isascii():
            return block[block.find(b"\n") + 1 : block.rfind(b"\n") + 1]
    return b""


def ends_in_line(path: Path) -> bool:
    """Whether the last line ends in a line break, as all others do; True for an empty file."""
    last = b"\n"
    with open_content(path) as stream:
        if path.suffix.lower() not in PACKED:
            stream.seek(max(0, path.stat().st_size - 4))
        while block := stream.read(_BLOCK_BYTES):
            last = block
    return last.rstrip(b"\0").endswith((b"\n", b"\r"))
