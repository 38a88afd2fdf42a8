"""Readers: where a case's readings come from. A source is immutable settings with one verb, `read`.

Every source returns a frame with a time column and the case's number columns, as found: nothing is checked,
dropped or repaired here (that is `okawari.data.validation`). Heavy or optional libraries are imported inside `read`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from okawari.errors import InvalidInput, require

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

    from okawari.case import Case

Names = tuple[tuple[str, str], ...]
"""Pairs of what a table calls a column and what the case calls it, which is a name of letters, digits and _."""

PRICES = ["open", "high", "low", "close"]
"""The four prices of a trading day."""


class Source(Protocol):
    """Anything that can be read into a frame of readings."""

    def read(self, until: date | None = None) -> pd.DataFrame:
        """All readings up to and including `until` (all there are, if None)."""
        ...


@dataclass(frozen=True)
class BundledStock:
    """Daily prices 2000-2013 of one company, from the `bokeh_sampledata` package; works offline.

    Prices are adjusted for splits and dividends: every price of a day is multiplied by `adj_close / close`.
    Without that, the two-for-one splits of June 2000 and February 2005 would look like crashes.
    """

    symbol: str = "AAPL"

    def read(self, until: date | None = None) -> pd.DataFrame:
        """Columns date, open, high, low, close (adjusted US dollars), volume (shares, as traded)."""
        from bokeh_sampledata import stocks

        found = getattr(stocks, self.symbol, None)
        if found is None:
            known = sorted(name for name in vars(stocks) if name.isupper())
            raise InvalidInput(f"There is no bundled history for {self.symbol!r}; there is one for {known}.")
        return keep_until(_adjust(pd.DataFrame(found)), until)


@dataclass(frozen=True)
class TableFile:
    """A CSV or Parquet file on disk, told apart by its ending.

    `rename` gives columns other names as they are read, so that everything after knows one name only; `time` is the
    new one. A column of `rename` that the file lacks is left to the checks, so a file with the new names is read, too.

    Example:
        >>> TableFile(Path("sales.csv"), time="day", rename=(("Sold on", "day"), ("Unit Price", "unit_price"))).time
        'day'
    """

    path: Path
    time: str | None = "date"
    rename: Names = ()

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The file's columns as they are.

        Raises:
            InvalidInput: no such file, an unknown ending, no table inside, no rows, or a column named twice.
        """
        if not self.path.is_file():
            raise InvalidInput(f"There is no file {self.path}; give the path of a .csv or .parquet file.")
        frame = self._parse()
        if frame.empty or len(frame.columns) < 2:
            kinds = "columns" if self.time is None else "a time column, number columns"
            raise InvalidInput(
                f"{self.path} holds {len(frame)} rows of {len(frame.columns)} columns; a table of readings has "
                f"{kinds} and at least one row, and a .csv separates them by commas."
            )
        return _cut(frame, self, str(self.path), until)

    def _parse(self) -> pd.DataFrame:
        import pyarrow as pa

        readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": _read_csv, ".parquet": _read_parquet}
        reader = readers.get(self.path.suffix.lower())
        if reader is None:
            raise InvalidInput(f"{self.path} ends in {self.path.suffix!r}; Okawari reads .csv and .parquet.")
        try:
            frame = reader(self.path)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, pa.ArrowException, OSError) as bad:
            kind = self.path.suffix.lower().lstrip(".")
            raise InvalidInput(f"{self.path} is not a {kind} table: {bad}. Nothing was ingested.") from bad
        return _refuse_repeats(frame, str(self.path))


@dataclass(frozen=True, kw_only=True)
class SqlQuery:
    """The rows of a query on a database that SQLAlchemy knows; needs the extra `sql` and that database's driver.

    The database is named by its `url` or, as an address with a password belongs into no file, by `url_env`, the
    environment variable that holds it. Nothing is ever committed. `rename` and `time` are as in `TableFile`.

    Example:
        >>> SqlQuery(url="postgresql://me:secret@host/shop", query="select day, units from sales", time="day")
        SqlQuery(database='postgresql://me:***@host/shop', query='select day, units from sales', time='day')
    """

    query: str
    url: str = ""
    url_env: str = ""
    time: str | None = "date"
    rename: Names = ()

    def __post_init__(self) -> None:
        require(bool(self.query.strip()), "SqlQuery.query is empty; write what to read, such as select * from sales.")
        given = [name for name in ("url", "url_env") if getattr(self, name)]
        require(len(given) == 1, f"SqlQuery has {given or 'neither url nor url_env'}; give one of url and url_env.")

    def __repr__(self) -> str:
        renamed = f", rename={self.rename!r}" if self.rename else ""
        return f"SqlQuery(database={self.database!r}, query={self.query!r}, time={self.time!r}{renamed})"

    @property
    def database(self) -> str:
        """The database as a person may read it: without password and options, or the variable that names it."""
        if self.url_env:
            return f"${self.url_env}"
        return re.sub(r"://([^:@/]*):.*@", r"://\1:***@", self.url).partition("?")[0]

    def read(self, until: date | None = None) -> pd.DataFrame:
        """The query's columns as they are.

        Raises:
            InvalidInput: SQLAlchemy or the driver is not installed, no address or a bad one, no database there, a
                query that fails or gives no rows, a column named twice or missing. No message holds the password.
        """
        url = self._parse_url()
        frame = self._ask(url)
        if frame.empty:
            raise InvalidInput(f"The query {self.query!r} gave no rows from {self.database}; check its conditions.")
        return _cut(_refuse_repeats(frame, "The query"), self, "The query", until)

    def _parse_url(self) -> URL:
        try:
            from sqlalchemy import exc, make_url
        except ImportError as missing:
            raise InvalidInput(
                "SqlQuery needs SQLAlchemy, which is not installed; run: pip install 'okawari[sql]'."
            ) from missing
        text = os.environ.get(self.url_env, "") if self.url_env else self.url
        require(bool(text), f"The environment variable {self.url_env} is not set; it has to hold the database's URL.")
        try:
            url = make_url(text)
        except (exc.ArgumentError, ValueError):  # whose message holds the whole address
            raise InvalidInput(
                "The database's URL cannot be read; it looks like sqlite:///shop.db or "
                f"postgresql://user@host/name. Correct it{f' in {self.url_env}' if self.url_env else ''}."
            ) from None
        file = url.database if url.get_backend_name() == "sqlite" else None
        # SQLite would make an empty database of that name and then miss the table in it.
        if file and file != ":memory:" and not file.startswith("file:") and not Path(file).is_file():
            raise InvalidInput(f"There is no database {Path(file).resolve()}; give the path of a SQLite file.")
        return url

    def _ask(self, url: URL) -> pd.DataFrame:
        from sqlalchemy import create_engine, exc, pool

        try:
            engine = create_engine(url, poolclass=pool.NullPool)
        except exc.NoSuchModuleError:
            raise InvalidInput(
                f"SQLAlchemy knows no database {url.drivername!r}; use another name or install its dialect."
            ) from None
        except ImportError as missing:
            raise InvalidInput(
                f"The driver for {url.drivername!r} is not installed ({missing}); install it with pip."
            ) from None
        try:
            with engine.connect() as connection:
                return self._fetch(connection)
        except exc.SQLAlchemyError as failed:
            told = _hide(str(getattr(failed, "orig", None) or failed), url)
            raise InvalidInput(
                f"{self.database} did not answer {self.query!r}: {told}. Check the address and the query."
            ) from None

    def _fetch(self, connection: Connection) -> pd.DataFrame:
        # Without parameters a driver takes the text as it is; colons and percent signs stay what they are.
        found = connection.execution_options(no_parameters=True).exec_driver_sql(self.query)
        require(found.returns_rows, f"{self.query!r} is no query that gives rows; write a select.")
        return pd.DataFrame([tuple(row) for row in found], columns=list(found.keys()), dtype=object).infer_objects()


Table = TableFile | SqlQuery
"""Sources that read whatever table they are pointed at."""


def read_instead(path: Path, case: Case) -> Source:
    """What is read in place of a case's own source: a file, under the names that this one gives, or pictures.

    Raises:
        InvalidInput: a folder, and the case says nowhere how a picture becomes a record.
    """
    if path.is_dir():
        return _read_pictures_instead(path, case)
    return TableFile(path, time=case.time if case.is_series else None, rename=getattr(case.source, "rename", ()))


def _read_pictures_instead(folder: Path, case: Case) -> Source:
    from okawari.data.images import PictureFolder

    for own in (case.source, case.live):
        if isinstance(own, PictureFolder):
            return replace(own, path=folder.resolve())
    raise InvalidInput(
        f"{folder} is a folder, and case {case.name} reads no pictures; give a .csv or .parquet file, or the case a "
        "PictureFolder as its live source."
    )


def find_told(found: Sequence[str], source: Source | None) -> dict[str, str]:
    """The case's names for columns of a table and what the table calls them, where it does not call them so."""
    return {name: told for told, name in getattr(source, "rename", ()) if told in found and name not in found}


def _hide(text: str, url: URL) -> str:
    """A driver's message without the password and without the values of the address's options."""
    options = [value for values in url.query.values() for value in ([values] if isinstance(values, str) else values)]
    for secret in filter(None, (url.password, *options)):
        text = text.replace(str(secret), "***")
    return text.strip().rstrip(".")


def _refuse_repeats(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise InvalidInput(f"{what} names the columns {twice} more than once; give each column its own name.")
    return frame


def _cut(frame: pd.DataFrame, table: Table, what: str, until: date | None) -> pd.DataFrame:
    """The table under the case's names, up to and including `until`."""
    frame = _refuse_repeats(frame.rename(columns=dict(table.rename)), f"{what}, renamed,")
    if table.time is None:
        return frame
    if table.time not in frame.columns:
        raise InvalidInput(f"{what} has no column {table.time!r}; it has {list(map(str, frame.columns))}.")
    return keep_until(frame, until, table.time)


def _read_csv(path: Path) -> pd.DataFrame:
    # Read as a line like all others, the names also count the fields; else a longer line would shift every column.
    lines = pd.read_csv(path, header=None, dtype=object, encoding="utf-8")
    return lines.iloc[1:].set_axis([str(name) for name in lines.iloc[0]], axis="columns")


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    # What pandas wrote beside the columns is left aside: it would make an index of the time column.
    frame: pd.DataFrame = parquet.ParquetFile(path).read().replace_schema_metadata(None).to_pandas()
    return frame


def _adjust(frame: pd.DataFrame) -> pd.DataFrame:
    factor = frame["adj_close"] / frame["close"]
    prices = frame[PRICES].mul(factor, axis=0)
    return prices.assign(date=pd.to_datetime(frame["date"]), volume=frame["volume"])[["date", *PRICES, "volume"]]


def keep_until(frame: pd.DataFrame, until: date | None, time: str = "date") -> pd.DataFrame:
    """The readings up to and including a day (all of them, if None), numbered from 0."""
    if until is None:
        return frame.reset_index(drop=True)
    # An unreadable time stays in: the checks will refuse it with a reason instead of losing it here.
    at = pd.to_datetime(frame[time], errors="coerce", utc=True, format="mixed")
    return frame[at.isna() | (at < pd.Timestamp(until, tz="UTC") + pd.Timedelta(days=1))].reset_index(drop=True)
