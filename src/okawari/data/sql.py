"""Rows of a query on any database that SQLAlchemy supports. Only home of SQLAlchemy."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from okawari.errors import InvalidInput, SourceUnavailable, require

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

from okawari.data.tabular import Names, name_columns, refuse_repeats
from okawari.data.time_format import ISO, require_time_format


@dataclass(frozen=True, kw_only=True)
class SqlQuery:
    """The rows of a query on a database that SQLAlchemy supports; needs the extra `sql` and that database's driver.

    Give the database's `url` or, to keep a password out of files, `url_env`, the name of the environment variable that
    holds the URL. The query runs without a commit. `rename`, `time` and `time_format` are as in `TableFile`.

    Example:
        >>> SqlQuery(url="postgresql://me:secret@host/shop", query="select day, units from sales", time="day")
        SqlQuery(database='postgresql://me:***@host/shop', query='select day, units from sales', time='day')
    """

    query: str
    url: str = ""
    url_env: str = ""
    time: str | None = "date"
    rename: Names = ()
    time_format: str = ISO

    def __post_init__(self) -> None:
        require(bool(self.query.strip()), "SqlQuery.query is empty; write what to read, such as select * from sales.")
        require_time_format(self.time_format)
        given = [name for name in ("url", "url_env") if getattr(self, name)]
        require(len(given) == 1, f"SqlQuery has {given or 'neither url nor url_env'}; give one of url and url_env.")

    def __repr__(self) -> str:
        renamed = f", rename={self.rename!r}" if self.rename else ""
        return f"SqlQuery(database={self.database!r}, query={self.query!r}, time={self.time!r}{renamed})"

    @property
    def database(self) -> str:
        """The database for messages: its URL without password and options, or the name of its variable."""
        if self.url_env:
            return f"${self.url_env}"
        return re.sub(r"://([^:@/]*):.*@", r"://\1:***@", self.url).partition("?")[0]

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The query's columns, unconverted.

        Raises:
            SourceUnavailable: SQLAlchemy or the driver is not installed, the URL is missing or wrong, the database does
                not exist, or the query fails. No message holds the password.
            InvalidInput: the query returns no rows, or a column is missing or its name repeats.
        """
        url = self._parse_url()
        frame = self._run_query(url)
        if frame.empty:
            raise InvalidInput(f"The query {self.query!r} returned no rows from {self.database}; check its conditions.")
        refuse_repeats(frame.columns, "The query")
        return name_columns(frame, self, "The query", until)

    def _parse_url(self) -> URL:
        try:
            from sqlalchemy import exc, make_url
        except ImportError as missing:
            raise SourceUnavailable(
                "SqlQuery needs SQLAlchemy, which is not installed; run: pip install 'okawari[sql]'."
            ) from missing
        text = os.environ.get(self.url_env, "") if self.url_env else self.url
        if not text:
            raise SourceUnavailable(
                f"The environment variable {self.url_env} is not set; it has to hold the database's URL."
            )
        try:
            url = make_url(text)
        except (exc.ArgumentError, ValueError):  # its message holds the whole URL
            raise SourceUnavailable(
                "The database's URL cannot be read; it looks like sqlite:///shop.db or "
                f"postgresql://user@host/name. Correct it{f' in {self.url_env}' if self.url_env else ''}."
            ) from None
        file = url.database if url.get_backend_name() == "sqlite" else None
        # SQLite would create an empty database of that name, in which the query finds no table.
        if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
            raise SourceUnavailable(f"There is no database {Path(file).resolve()}; give the path of a SQLite file.")
        return url

    def _run_query(self, url: URL) -> pd.DataFrame:
        from sqlalchemy import create_engine, exc, pool

        try:
            engine = create_engine(url, poolclass=pool.NullPool)
        except exc.NoSuchModuleError:
            raise SourceUnavailable(
                f"SQLAlchemy has no dialect {url.drivername!r}; correct the URL or install the dialect."
            ) from None
        except ImportError as missing:
            raise SourceUnavailable(
                f"The driver for {url.drivername!r} is not installed ({missing}); install it with pip."
            ) from None
        try:
            with engine.connect() as connection:
                return self._fetch(connection)
        except exc.SQLAlchemyError as failed:
            message = _hide(str(getattr(failed, "orig", None) or failed), url)
            raise SourceUnavailable(
                f"The query {self.query!r} failed on {self.database}: {message}. Check the URL and the query."
            ) from None

    def _fetch(self, connection: Connection) -> pd.DataFrame:
        # Without parameters, a driver leaves colons and percent signs in the text unchanged.
        found = connection.execution_options(no_parameters=True).exec_driver_sql(self.query)
        if not found.returns_rows:
            raise SourceUnavailable(f"{self.query!r} does not return rows; write a select.")
        return pd.DataFrame([tuple(row) for row in found], columns=list(found.keys()), dtype=object).infer_objects()


def _hide(text: str, url: URL) -> str:
    """A driver's message without the password and the values of the URL's options."""
    options = [value for values in url.query.values() for value in ([values] if isinstance(values, str) else values)]
    for secret in filter(None, (url.password, *options)):
        text = text.replace(str(secret), "***")
    return text.strip().rstrip(".")
