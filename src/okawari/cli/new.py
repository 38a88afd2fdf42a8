"""The command `okawari new`: write the case file for a table. Heavy imports are inside the functions."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.cli.document import AsJson, print_document
from okawari.errors import InvalidInput, require
from okawari.settings import load_settings

if TYPE_CHECKING:
    from okawari.data.files import Table
    from okawari.scaffold.infer import Guess


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new case, such as demand.")],
    target: Annotated[str, typer.Option(metavar="COLUMN", help="Column to predict.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", "--file", metavar="FILE", help="A .csv or .parquet file.")
    ] = None,
    sql: Annotated[
        str | None, typer.Option(metavar="URL", help="URL of a database, such as sqlite:///shop.db.")
    ] = None,
    sql_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Environment variable that holds the URL.")
    ] = None,
    query: Annotated[str | None, typer.Option(metavar="SQL", help="Query to read from the database.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of times; with it the case is a forecast.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the case's file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a case file for a table, with its task, columns and candidates.

    The file is written to OKAWARI_CASES_DIR (./cases). The command prints its assumptions, and the file lists them.

    Example: okawari new demand --csv sales.csv --target units
    """
    from datetime import UTC, datetime

    from okawari.data.tabular import read_table
    from okawari.scaffold.codegen import require_free_name, save_draft
    from okawari.scaffold.infer import Wish, guess_case

    path = require_free_name(name, load_settings().cases_dir, overwrite=overwrite)
    source = _choose_source(csv, sql, sql_env, query)
    raw = read_table(source)
    if raw.broken:
        row, reason = next(iter(raw.broken.items()))
        print(f"{csv}: {len(raw.broken)} malformed lines left out; first: row {row}: {reason}", file=sys.stderr)
    guess = guess_case(raw.frame, source, Wish(name=name, target=target, time=time), datetime.now(UTC))
    save_draft(guess, path)
    if as_json:
        print_document({"case": guess.case.name, "path": path, "title": guess.case.title, **_describe(guess)})
    else:
        _print_guess(guess, path)


def _describe(guess: Guess) -> dict[str, object]:
    from okawari.scaffold.codegen import describe_guess

    return {"assumptions": describe_guess(guess)}


def _choose_source(csv: Path | None, sql: str | None, sql_env: str | None, query: str | None) -> Table:
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


def _print_guess(guess: Guess, path: Path) -> None:
    from okawari.scaffold.codegen import describe_guess

    print(f"{path}: {guess.case.title}")
    described = describe_guess(guess)
    width = max(map(len, described))
    for what, value in described.items():
        print(f"  {what:<{width}}  {value}")
    print(f"Read the file and correct what is wrong; then run: OKAWARI_CASES={guess.case.name} okawari up")
