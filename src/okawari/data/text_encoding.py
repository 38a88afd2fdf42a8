"""The encoding of a text file, from its bytes. Only home of charset-normalizer."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

from okawari.errors import InvalidInput

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def find_encoding(content: bytes) -> tuple[str, str]:
    """The encoding of some text, and the sentence that says so; empty for UTF-8.

    Bytes that are not UTF-8 are read as Windows-1252, the code page of western Europe, if that gives words.

    Raises:
        InvalidInput: that gives no words; or some bytes are UTF-8 and others are not.
    """
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            said = "" if mark == codecs.BOM_UTF8 else "The text is in UTF-16."
            return ("utf-8" if mark == codecs.BOM_UTF8 else name), said
    if wide := _find_utf16(content):
        return wide, "The text is in UTF-16."
    bad = _find_invalid(content)
    if bad is None:
        return "utf-8", ""
    _refuse_mixed(content, bad)
    return _find_code_page(content)


def _find_utf16(content: bytes) -> str:
    """UTF-16 without a mark: every other byte of a header in Latin letters is zero."""
    first = content[:200]
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = first[start::2].count(0)
        if zeros > 0.8 * len(first[start::2]) and first[1 - start :: 2].count(0) == 0:
            return name
    return ""


def _find_invalid(content: bytes) -> int | None:
    """The place of the first byte that is not UTF-8; a letter that is cut at the end is none."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(content)
    except UnicodeDecodeError as bad:
        return bad.start
    return None


def _refuse_mixed(content: bytes, bad: int) -> None:
    letters = re.compile(rb"[\xc3-\xdf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}")
    n_letters = len(letters.findall(content))
    if n_letters > sum(byte > 127 for byte in letters.sub(b"", content)):
        line = content.count(b"\n", 0, bad) + 1
        raise InvalidInput(
            f"line {line} of the file holds the byte {content[bad]:#04x}, which is not UTF-8, while other lines are; "
            "save it as UTF-8"
        )


def _find_code_page(content: bytes) -> tuple[str, str]:
    from charset_normalizer import from_bytes

    sample = b"\n".join([line for line in content.splitlines() if any(byte > 127 for byte in line)][:200])
    name = "latin-1" if any(byte in sample for byte in b"\x81\x8d\x8f\x90\x9d") else "cp1252"
    text = sample.decode(name, errors="replace")
    words = re.findall(r"[^\W\d_]*[^\W\d_\x00-\x7f][^\W\d_]*", text)
    if not (from_bytes(sample, cp_isolation=[name]).best() or _has_western_words(words, text)):
        others = sorted({match.encoding for match in from_bytes(sample)})[:4]
        raise InvalidInput(
            f"its text is not UTF-8, and what else it is cannot be told (perhaps {', '.join(others) or 'no text'}); "
            'save it as UTF-8, or state its encoding, such as --encoding cp1250 or FileFormat(encoding="cp1250")'
        )
    example = f", which gives words such as {words[0]!r}" if words else ""
    title = "Windows-1252" if name == "cp1252" else "Latin-1"
    return name, f"The text is not UTF-8; it is read as {title}{example}. State another with --encoding."


def _has_western_words(words: Sequence[str], text: str) -> bool:
    """Whether the letters beyond ASCII stand between others, and nothing else looks odd."""
    odd = [letter for letter in text if ord(letter) > 127 and not letter.isalpha() and letter not in "€£§°²³µ«»–’“”„…·"]
    strange = [letter for word in words for letter in word if ord(letter) > 127]
    return not odd and len(strange) <= max(len(words), 0.5 * sum(map(len, words)))
