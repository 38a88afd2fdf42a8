"""`okawari new`: one command from a table to a case that can be loaded; a bad table is one sentence and no file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from okawari.case import Classify, Forecast, Regress
from okawari.cases.loader import list_cases, load_case
from okawari.data.files import TableFile
from okawari.data.sql import SqlQuery
from tests.tables import draw_sales, draw_things

if TYPE_CHECKING:
    from tests.conftest import Said

Call = Callable[..., "Said"]


@pytest.fixture(autouse=True)
def _tables(home: Path, tmp_path: Path) -> None:
    """In the folder that the command is called from."""
    load_case.cache_clear()
    draw_sales(130).to_csv(tmp_path / "sales.csv", index=False)
    draw_things(130).to_parquet(tmp_path / "things.parquet")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        draw_sales(130).to_sql("sales", database, index=False)


def test_a_csv_becomes_a_case_and_it_says_what_it_assumed(call: Call, tmp_path: Path) -> None:
    said = call("new", "demand", "--csv", "sales.csv", "--target", "units")
    assert (said.code, said.err) == (0, "")
    assert "demand" in list_cases()
    case = load_case("demand")
    assert isinstance(case.task, Forecast)
    assert case.source == TableFile(tmp_path / "sales.csv", time="date", rename=(("Unit Price", "unit_price"),))
    for told in (
        "cases/demand.py: Demand: units",
        "A forecast, because 'date' orders the rows",
        "all 130 rows are valid",
        "'Unit Price' as unit_price",
        "without 'note'",
        "one per day, so 7 make a season",
        "OKAWARI_CASES=demand okawari up",
    ):
        assert told in said.out


def test_lines_that_are_no_rows_are_told_and_left_out(call: Call, tmp_path: Path) -> None:
    lines = (tmp_path / "sales.csv").read_text().splitlines()
    lines[9] += ",extra"
    (tmp_path / "sales.csv").write_text("\n".join(lines) + "\n")
    said = call("new", "demand", "--csv", "sales.csv", "--target", "units")
    assert said.code == 0
    assert said.err.startswith("sales.csv: 1 malformed lines left out; first: row 9: ")


def test_a_cases_own_file_that_is_gone_is_no_verdict_on_the_data(call: Call, tmp_path: Path) -> None:
    from okawari.data.files import choose_source
    from okawari.errors import InvalidInput

    call("new", "demand", "--csv", "sales.csv", "--target", "units")
    (tmp_path / "sales.csv").unlink()
    with pytest.raises(InvalidInput, match=r"There is no file .*sales\.csv"):
        choose_source(load_case("demand"), None, live=False)


def test_a_parquet_file_becomes_a_case_as_well(call: Call, tmp_path: Path) -> None:
    assert call("new", "cost", "--csv", "things.parquet", "--target", "price").code == 0
    assert call("new", "fit", "--file", "things.parquet", "--target", "size").code == 0
    assert isinstance(load_case("cost").task, Regress)
    assert isinstance(load_case("fit").task, Classify)
    assert len(load_case("fit").source.read()) == 130


def test_a_query_becomes_a_case_as_well(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "select date, units from sales"
    said = call("new", "demand", "--sql", "sqlite:///shop.db", "--query", query, "--target", "units", "--time", "date")
    assert said.code == 0
    case = load_case("demand")
    assert isinstance(case.task, Forecast)
    assert case.source == SqlQuery(url=f"sqlite:///{tmp_path}/shop.db", query=query, time="date")
    assert len(case.source.read()) == 130
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{tmp_path}/shop.db")
    assert call("new", "again", "--sql-env", "SHOP_URL", "--query", query, "--target", "units").code == 0
    assert "shop.db" not in (tmp_path / "cases/again.py").read_text()


def test_what_somebody_has_written_is_replaced_only_on_demand(call: Call, tmp_path: Path) -> None:
    arguments = ("new", "demand", "--csv", "sales.csv", "--target", "units")
    call(*arguments)
    file = tmp_path / "cases/demand.py"
    file.write_text(mine := file.read_text() + "# mine\n")
    said = call(*arguments)
    assert said.err == "okawari: cases/demand.py exists already; give another name or add --overwrite.\n"
    assert file.read_text() == mine
    assert call(*arguments, "--overwrite").code == 0
    assert "# mine" not in file.read_text()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is not a csv table"),
        ("date,units\n", "holds 0 rows of 2 columns"),
        ("units\n1\n2\n", "holds 2 rows of 1 columns"),
        ("units,units\n1,2\n", "names the columns ['units'] more than once; give each column its own name"),
        ("a,units\n1,2\n1,3\n2,4\n", "There are 3 usable rows; a forecast needs at least 27"),
        ("a,units\n" + "1,2\n2,many\n" * 50, "Column 'units' mixes numbers and other values, such as 'many'"),
        ("a,sold\n" + "1,2\n2,3\n" * 50, "There is no column 'units'; there are ['a', 'sold']"),
        ("a,units\n" + "1,2\n2,2\n" * 50, "Column 'units' is '2' in every row, so there is nothing to learn"),
        ("a,units\n" + "".join(f"1,u{n}\n" for n in range(99)), "Column 'units' has 99 different words in 99 rows"),
        ("a,units\n" + "x,1.5\nx,2\n" * 50, "No column is left to predict 'units' from: 'a': always 'x'"),
    ],
)
def test_a_bad_table_is_one_sentence_and_no_file(content: str, told: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text(content)
    said = call("new", "demand", "--csv", "bad.csv", "--target", "units")
    assert said.code == 1
    assert told in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "The table is given by no option; give exactly one of --csv, --sql and --sql-env."),
        (
            ["--csv", "sales.csv", "--sql", "sqlite:///shop.db"],
            "The table is given by --csv and --sql; give exactly",
        ),
        (["--csv", "sales.csv", "--query", "select 1"], "a query needs a database. Leave one of them out"),
        (["--sql", "sqlite:///shop.db"], "A database is given without --query; a database needs one."),
        (["--sql", "sqlite:///shop.db", "--query", "select * from gone"], "no such table: gone. Check the URL"),
        (["--sql", "sqlite:///gone.db", "--query", "select 1"], "gone.db; give the path of a SQLite file"),
        (["--sql-env", "NO_URL", "--query", "select 1"], "The environment variable NO_URL is not set"),
        (["--csv", "gone.csv"], "gone.csv; give the path of a .csv or .parquet file"),
        (["--csv", "sales.txt"], "There is no file"),
        (["--csv", "sales.csv", "--time", "note"], "Column 'note' cannot be read as times in 130 of 130 rows"),
    ],
)
def test_a_call_that_names_no_table_is_one_sentence(
    arguments: list[str], told: str, call: Call, tmp_path: Path
) -> None:
    said = call("new", "demand", "--target", "units", *arguments)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert told in said.err
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:secret@host/shop",
        "postgresql://me:a/secret@host/shop",
        "postgresql://me@host/shop?password=secret",
        "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dsecret",
    ],
)
def test_a_password_goes_into_no_file_and_no_message(url: str, call: Call, tmp_path: Path) -> None:
    said = call("new", "demand", "--sql", url, "--query", "select 1", "--target", "units")
    assert said.code == 1
    assert "put the URL into an environment variable" in said.err
    assert "secret" not in said.err + said.out
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize("name", ["aapl", "Demand", "my-demand", "../demand", "class.py"])
def test_a_name_that_cannot_be_is_one_sentence(name: str, call: Call, tmp_path: Path) -> None:
    said = call("new", name, "--csv", "sales.csv", "--target", "units")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert not (tmp_path / "cases").exists()


def test_readings_of_another_file_come_in_under_the_names_of_the_first(call: Call, tmp_path: Path) -> None:
    from okawari.data.files import choose_source

    call("new", "demand", "--csv", "sales.csv", "--target", "units")
    pd.read_csv(tmp_path / "sales.csv").tail(3).to_csv(tmp_path / "newer.csv", index=False)
    found = choose_source(load_case("demand"), tmp_path / "newer.csv", live=False).read()
    assert {"date", "units", "unit_price"} <= set(found.columns)
