"""Options of `okawari new` about its table: where it is, and how its values are written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.errors import InvalidInput, require

if TYPE_CHECKING:
    from okawari.data.file_format import FileFormat, Stated
    from okawari.data.files import Table

TablePath = Annotated[
    Path | None,
    typer.Option("--csv", "--file", metavar="FILE", help="A .csv, .parquet, .xlsx or .jsonl table, or a folder."),
]  # fmt: skip
DatabaseUrl = Annotated[
    str | None, typer.Option("--sql", metavar="URL", help="URL of a database, such as sqlite:///shop.db.")
]
DatabaseVariable = Annotated[
    str | None, typer.Option("--sql-env", metavar="VARIABLE", help="Environment variable that holds the URL.")
]
Query = Annotated[str | None, typer.Option("--query", metavar="SQL", help="Query to read from the database.")]
Separator = Annotated[
    str, typer.Option(metavar="MARK", show_default=False, help="Separator of the file's fields: , ; | or tab.")
]
Thousands = Annotated[
    str, typer.Option(metavar="MARK", show_default=False, help="Mark between thousands, such as , or . or space.")
]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", show_default=False, help="Encoding of the file, such as cp1252.")
]
MissingWords = Annotated[
    str,
    typer.Option(
        "--missing", metavar="WORDS", show_default=False, help='Words that mean an empty field, such as "NA,-".'
    ),
]
Zone = Annotated[
    str, typer.Option(metavar="ZONE", show_default=False, help="Time zone of times without offset, as Europe/Berlin.")
]
Frequency = Annotated[
    str, typer.Option(metavar="ALIAS", show_default=False, help="Step of a series: D, B, W-SUN, MS, ME, QE, h, 15min.")
]
Holidays = Annotated[
    str, typer.Option(metavar="PLACE", show_default=False, help="Place whose holidays are no working days: DE, NYSE.")
]
Key = Annotated[
    str, typer.Option(metavar="COLUMN", show_default=False, help="Column with your own key of a row; it is no input.")
]
_NAMED = {"tab": "\t", "\\t": "\t", "space": " ", "none": ""}


def state_format(separator: str, decimal: str, encoding: str) -> Stated:
    """What the options state about a file; the rest is found out when the file is read."""
    from okawari.data.file_format import Stated

    return Stated(separator=_NAMED.get(separator, separator), decimal=decimal, encoding=encoding)


def list_words(missing: str) -> tuple[str, ...]:
    """The words of `--missing`.

    >>> list_words("NA, -")
    ('NA', '-')
    """
    return tuple(word.strip() for word in missing.split(",") if word.strip())


def expect_format(path: Path, stated: Stated, thousands: str, missing: str) -> FileFormat:
    """The format by which a file is read first: as stated; its separator and encoding are found out where needed.

    Raises:
        InvalidInput: a mark is not one that Okawari reads, or the file reads two ways.
    """
    from okawari.data.file_format import NOTHING_STATED, PLAIN
    from okawari.data.sniffing import HEAD_BYTES, sniff_format
    from okawari.data.table_bytes import find_kind, read_head

    found = stated.apply(PLAIN)
    if stated != NOTHING_STATED and path.is_file() and find_kind(path) == "csv":
        found = sniff_format(read_head(path, HEAD_BYTES), stated).format
    if thousands:
        found = replace(found, thousands=_NAMED.get(thousands, thousands))
    return replace(found, missing_words=list_words(missing))


def choose_table(csv: Path | None, sql: str | None, sql_env: str | None, query: str | None) -> Table:
    """The table that the options name.

    Raises:
        InvalidInput: they name none or several, a query is missing, or a URL holds a password.
    """
    from okawari.data.files import TableFile
    from okawari.data.sql import SqlQuery

    given = [option for option, value in (("--csv", csv), ("--sql", sql), ("--sql-env", sql_env)) if value]
    require(
        len(given) == 1,
        f"The table is given by {' and '.join(given) or 'no option'}; give exactly one of --csv, --sql and --sql-env.",
    )
    if csv is not None:
        require(query is None, "Both --query and --csv are given; a query needs a database. Leave one of them out.")
        return TableFile(csv.resolve(), time=None)
    if query is None:
        raise InvalidInput(
            'A database is given without --query; a database needs one. Add it, such as --query "select * from sales".'
        )
    return SqlQuery(query=query, url=_make_portable(sql or ""), url_env=sql_env or "", time=None)


def _make_portable(url: str) -> str:
    """The URL with an absolute path, so that it is valid in every working folder.

    Raises:
        InvalidInput: the URL holds a password.
    """
    if re.search(r"://[^:@/]*:.*@|\?.*(password|passwd|pwd|secret|token|key)", url, re.IGNORECASE):
        raise InvalidInput(
            "The URL of the database holds a password, which must not be written to the case file; put the URL into an "
            "environment variable, such as SHOP_URL, and give --sql-env SHOP_URL."
        )
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", url)
    return f"{found[1]}{Path(found[2]).resolve()}{found[3]}" if found else url
