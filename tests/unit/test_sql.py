"""A SQL source on a real SQLite file: what comes out, what is told when it fails, and that no password ever shows."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from okawari.cases.loader import load_case
from okawari.data.files import TableFile, read_instead
from okawari.data.sql import SqlQuery
from okawari.errors import InvalidInput, SourceUnavailable

QUERY = "select day, units, price from sales order by day"


@pytest.fixture
def shop(tmp_path: Path) -> SqlQuery:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("create table sales (day text, units integer, price real, note text)")
        rows = [(f"2024-01-{day:02}", day * 3, 1.5, None if day % 2 else "10:30 at 5 %") for day in range(1, 31)]
        database.executemany("insert into sales values (?, ?, ?, ?)", rows)
        database.commit()
    return SqlQuery(url=f"sqlite:///{file}", query=QUERY, time="day")


def test_a_query_gives_its_columns_and_rows_in_its_order(shop: SqlQuery) -> None:
    frame = shop.read()
    assert list(frame.columns) == ["day", "units", "price"]
    assert frame["units"].tolist() == [day * 3 for day in range(1, 31)]
    assert frame["units"].dtype.kind == "i"


def test_until_is_the_last_day_that_is_read(shop: SqlQuery) -> None:
    assert shop.read(until=date(2024, 1, 10))["day"].iloc[-1] == "2024-01-10"


def test_columns_are_renamed_as_they_are_read(shop: SqlQuery) -> None:
    renamed = replace(shop, time="sold_on", rename=(("day", "sold_on"), ("units", "pieces")))
    assert list(renamed.read().columns) == ["sold_on", "pieces", "price"]


def test_colons_and_percent_signs_of_a_query_are_text(shop: SqlQuery) -> None:
    assert len(replace(shop, query="select day, note from sales where note like '10:30 at 5 %'").read()) == 15


def test_a_query_changes_nothing(shop: SqlQuery) -> None:
    with pytest.raises(InvalidInput, match="does not return rows; write a select"):
        replace(shop, query="delete from sales").read()
    assert len(shop.read()) == 30


def test_the_address_can_stand_in_the_environment(shop: SqlQuery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", shop.url)
    named = SqlQuery(url_env="SHOP_URL", query=QUERY, time="day")
    assert named.read().equals(shop.read())
    assert repr(named) == f"SqlQuery(database='$SHOP_URL', query={QUERY!r}, time='day')"
    monkeypatch.delenv("SHOP_URL")
    with pytest.raises(InvalidInput, match="The environment variable SHOP_URL is not set; it has to hold"):
        named.read()


@pytest.mark.parametrize(
    ("changed", "told", "is_data"),
    [
        (
            {"query": "select * from gone"},
            r"The query 'select \* from gone' failed on sqlite:.*: no such table: gone. Check",
            False,
        ),
        ({"query": "selec"}, "syntax error. Check the URL and the query", False),
        (
            {"query": "select * from sales where units < 0"},
            "returned no rows from sqlite:.*; check its conditions",
            True,
        ),
        ({"query": "select units, units from sales"}, r"The query names the columns \['units'\] more than once", True),
        ({"query": "select units, price from sales"}, "The query has no column 'day'; it has", True),
        ({"rename": (("price", "units"),)}, r"The query, renamed, names the columns \['units'\] more than once", True),
        ({"url": "sqlite:///gone.db"}, "There is no database .*gone.db; give the path of a SQLite file", False),
        ({"url": "shop.db"}, "The database's URL cannot be read; it looks like sqlite:///shop.db", False),
        ({"url": "oracle9://host/shop"}, "SQLAlchemy has no dialect 'oracle9'; correct the URL or install", False),
        ({"url": "mysql+cymysql://host/shop"}, r"The driver for 'mysql\+cymysql' is not installed \(No module", False),
    ],
)
def test_what_fails_says_what_to_do_and_whether_it_is_the_data(
    changed: dict[str, str], told: str, is_data: bool, shop: SqlQuery
) -> None:
    with pytest.raises(InvalidInput, match=told) as failed:
        replace(shop, **changed).read()
    assert isinstance(failed.value, SourceUnavailable) is not is_data


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"query": " ", "url": "sqlite:///shop.db"}, "SqlQuery.query is empty"),
        ({"query": QUERY}, "neither url nor url_env; give one"),
        ({"query": QUERY, "url": "sqlite:///shop.db", "url_env": "SHOP_URL"}, "give one of url and url_env"),
    ],
)
def test_a_query_without_its_parts_is_refused(settings: dict[str, str], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        SqlQuery(**settings)


@pytest.mark.parametrize(
    "url",
    [
        "mysql+cymysql://me:secret@host/shop",
        "mysql+cymysql://me:p@secret/1?@host/shop",
        "mysql+cymysql://me@host/shop?password=secret",
        "mysql+cymysql://me:secret@host:port/shop",
        "nonsense://me:secret@host/shop",
        "sqlite://me:secret@/gone/shop.db",
    ],
)
def test_a_password_shows_neither_in_a_repr_nor_in_an_error(url: str) -> None:
    source = SqlQuery(url=url, query=QUERY)
    assert "secret" not in repr(source)
    with pytest.raises(InvalidInput) as refused:
        source.read()
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_file_that_is_read_instead_is_renamed_as_the_cases_own_source_is(shop: SqlQuery, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("Day,Unit Price\n2024-02-01,3\n")
    own = replace(shop, rename=(("Day", "day"), ("Unit Price", "price")))
    case = replace(load_case("aapl"), time="day", source=own)
    assert list(read_instead(tmp_path / "new.csv", case).read().columns) == ["day", "price"]


def test_a_file_with_the_new_names_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("day,price\n2024-02-01,3\n")
    source = TableFile(tmp_path / "new.csv", time="day", rename=(("Day", "day"), ("Unit Price", "price")))
    assert list(source.read().columns) == ["day", "price"]
