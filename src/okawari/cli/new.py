"""The command `okawari new`: from a table to the file of a case. Heavy imports wait inside."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from okawari.errors import InvalidInput, require
from okawari.settings import load_settings

if TYPE_CHECKING:
    from okawari.data.files import Table
    from okawari.scaffold.infer import Guess


def new(
    name: Annotated[str, typer.Argument(help="Name of the new case, such as demand.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    csv: Annotated[Path | None, typer.Option("--csv", "--file", help="A .csv or .parquet file.")] = None,
    sql: Annotated[str | None, typer.Option(help="A database's URL, such as sqlite:///shop.db.")] = None,
    sql_env: Annotated[str | None, typer.Option(help="Environment variable that holds the URL.")] = None,
    query: Annotated[str | None, typer.Option(help="What to read from the database.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times, which makes it a forecast.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the case's file.")] = False,
) -> None:
    """Look at a table and write a case for it: what is predicted, from which columns, and which candidates try.

    The file goes into OKAWARI_CASES_DIR (./cases); what was assumed is said, and stands in the file as well.
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
        print(f"{csv}: lines left out that are no rows: {len(raw.broken)}; first: row {row}: {reason}", file=sys.stderr)
    guess = guess_case(raw.frame, source, Wish(name=name, target=target, time=time), datetime.now(UTC))
    save_draft(guess, path)
    _tell(guess, path)


def _choose_source(csv: Path | None, sql: str | None, sql_env: str | None, query: str | None) -> Table:
    from okawari.data.files import TableFile
    from okawari.data.sql import SqlQuery

    given = [option for option, value in (("--csv", csv), ("--sql", sql), ("--sql-env", sql_env)) if value]
    require(len(given) == 1, f"The table is named by {given or 'nothing'}; give one of --csv, --sql and --sql-env.")
    if csv is not None:
        require(query is None, "There is a --query and a file; a query goes to a database. Leave one out.")
        return TableFile(csv.resolve(), time=None)
    if query is None:
        raise InvalidInput('There is a database and no --query; add one, such as --query "select * from sales".')
    return SqlQuery(query=query, url=_settle(sql or ""), url_env=sql_env or "", time=None)


def _settle(url: str) -> str:
    """An address that holds in every folder and may stand in a file."""
    if re.search(r"://[^:@/]*:.*@|\?.*(password|passwd|pwd|secret|token|key)", url, re.IGNORECASE):
        raise InvalidInput(
            "The database's URL holds a password, which must not stand in a file; put the URL into an environment "
            "variable, such as SHOP_URL, and give --sql-env SHOP_URL."
        )
    found = re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/:?][^?]*)(.*)", url)
    return f"{found[1]}{Path(found[2]).resolve()}{found[3]}" if found else url


def _tell(guess: Guess, path: Path) -> None:
    from okawari.scaffold.codegen import describe_guess

    print(f"{path}: {guess.case.title}")
    told = describe_guess(guess)
    width = max(map(len, told))
    for what, value in told.items():
        print(f"  {what:<{width}}  {value}")
    print(f"Read it and change what you know better; then: OKAWARI_CASES={guess.case.name} okawari up")
