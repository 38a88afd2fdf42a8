"""Sources: what comes out of the bundled history and of a file; and what is no table is told so."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from okawari.case import Case, Column, Forecast, LogRatio
from okawari.data import csv_reader
from okawari.data.datasets import BundledMacro, BundledStock
from okawari.data.files import TableFile
from okawari.data.validation import check_readings
from okawari.errors import InvalidInput
from okawari.models.random_walk import RandomWalk

# --- bundled history ----------------------------------------------------------------------------------------------


def test_bundled_prices_are_adjusted_so_that_no_split_looks_like_a_crash() -> None:
    frame = BundledStock("AAPL").read()
    jumps = np.log(frame["close"]).diff().abs()
    # The unadjusted splits of 2000 and 2005 are jumps of 0.60 and 0.68; the profit warning of 2000 was real.
    assert frame["date"][jumps > 0.5].tolist() == [pd.Timestamp("2000-09-29")]


def test_bundled_prices_of_a_day_are_all_adjusted_by_one_factor() -> None:
    from bokeh_sampledata.stocks import AAPL

    traded, frame = pd.DataFrame(AAPL), BundledStock("AAPL").read()
    assert frame["close"].tolist() == pytest.approx(traded["adj_close"].tolist())
    for name in ("open", "high", "low"):
        assert (frame[name] / frame["close"]).tolist() == pytest.approx((traded[name] / traded["close"]).tolist())
    assert frame["volume"].tolist() == traded["volume"].tolist()


def test_until_is_the_last_day_that_is_read() -> None:
    frame = BundledStock("AAPL").read(until=date(2008, 6, 30))
    assert frame["date"].iloc[-1] == pd.Timestamp("2008-06-30")
    assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
    assert len(BundledStock("AAPL").read()) > len(frame)


def test_an_unknown_symbol_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"no bundled history for 'TSLA'; there is one for \['AAPL', "):
        BundledStock("TSLA").read()


# --- files --------------------------------------------------------------------------------------------------------

LINES = "date,close,volume\n2008-01-02,27.8,3e7\n2008-01-03,27.9,4e7\n2008-01-04,25.7,5e7\n"


def _to_parquet(frame: pd.DataFrame) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content)
    return content.getvalue()


TABLE = pd.read_csv(io.StringIO(LINES), parse_dates=["date"])
PARQUET = _to_parquet(TABLE)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, bytes], TableFile]:
    """Write a file and return the source that reads it."""

    def write(name: str, content: bytes) -> TableFile:
        (tmp_path / name).write_bytes(content)
        return TableFile(tmp_path / name)

    return write


Save = Callable[[str, bytes], TableFile]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", LINES.encode()),
        ("UPPER.CSV", LINES.encode()),
        ("from_excel.csv", b"\xef\xbb\xbf" + LINES.replace("\n", "\r\n").encode()),
        ("quoted.csv", LINES.replace("27.8", '"27.8"').encode()),
        ("plain.parquet", PARQUET),
        ("index.parquet", _to_parquet(TABLE.set_index("date"))),
        ("zoned.parquet", _to_parquet(TABLE.assign(date=TABLE["date"].dt.tz_localize("UTC")))),
    ],
)
def test_a_file_is_read_as_it_is(name: str, content: bytes, save: Save) -> None:
    frame = save(name, content).read()
    assert {"date", "close", "volume"} == set(frame.columns)
    assert pd.to_datetime(frame["date"]).dt.strftime("%d").tolist() == ["02", "03", "04"]
    assert frame["close"].astype(float).tolist() == [27.8, 27.9, 25.7]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", LINES.encode()),
        ("mixed.csv", LINES.replace("2008-01-04", "2008-01-04 09:30:00").encode()),
        ("zoned.csv", LINES.replace("2008-01-04", "2008-01-04T09:30:00-05:00").encode()),
        ("plain.parquet", PARQUET),
        ("zoned.parquet", _to_parquet(TABLE.assign(date=TABLE["date"].dt.tz_localize("UTC")))),
    ],
)
def test_nothing_later_than_until_is_read_however_times_are_written(name: str, content: bytes, save: Save) -> None:
    assert save(name, content).read(until=date(2008, 1, 3))["close"].astype(float).tolist() == [27.8, 27.9]


def test_until_takes_the_whole_day(save: Save) -> None:
    source = save("hours.csv", LINES.replace("2008-01-04", "2008-01-03 23:59:59").encode())
    assert len(source.read(until=date(2008, 1, 3))) == 3


def test_a_row_without_a_readable_time_is_left_for_the_checks(save: Save) -> None:
    source = save("torn.csv", LINES.replace("2008-01-03", "someday").encode())
    assert source.read(until=date(2008, 1, 2))["date"].tolist() == ["2008-01-02", "someday"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("readings.xlsx", b"PK", r"readings.xlsx: it cannot be read as a spreadsheet: .*Nothing was ingested"),
        ("readings.docx", b"PK", r"readings.docx ends in '.docx'; Okawari reads .csv, .tsv, .txt, .jsonl"),
        ("readings", LINES.encode(), r"readings ends in ''; Okawari reads"),
        (
            "noise.csv",
            random.Random(1).randbytes(400),
            r"noise.csv: its text is not UTF-8, and what .*Nothing was ingested",
        ),
        (
            "torn.csv",
            LINES.replace("27.8", '"27.8').encode(),
            "torn.csv is not .*: row 1 opens a quote",
        ),
        ("noise.parquet", random.Random(1).randbytes(400), r"noise.parquet is not a parquet table: .*magic bytes"),
        ("torn.parquet", PARQUET[:-40], "torn.parquet is not a parquet table"),
        ("shell.parquet", b"PAR1" + bytes(40) + b"PAR1", "shell.parquet is not a parquet table"),
        ("empty.csv", b"", "empty.csv is not a csv table: it is empty; give it a header"),
        ("blank.csv", b"\n\n\n", "blank.csv is not a csv table: it is empty; give it a header"),
        ("empty.parquet", b"", "empty.parquet is not a parquet table"),
        ("names.csv", b"date,close\n", "names.csv holds 0 rows of 2 columns; a table of readings has"),
        ("rowless.parquet", _to_parquet(TABLE[:0]), "rowless.parquet holds 0 rows of 3 columns"),
        ("one.csv", b"date\n2008-01-02\n", "one.csv holds 1 rows of 1 columns"),
        (
            "twice.csv",
            b"date,close,close\n2008-01-02,1,2\n",
            r"names the columns \['close'\] more than once",
        ),
        ("undated.csv", b"day,close\n2008-01-02,1\n", r"no column 'date'; it has \['day', 'close'\]"),
        ("undated.parquet", _to_parquet(TABLE.rename(columns={"date": "day"})), r"no column 'date'; it has \['day'"),
    ],
)
def test_a_file_that_is_no_table_of_readings_is_refused_in_a_sentence(
    name: str, content: bytes, told: str, save: Save
) -> None:
    with pytest.raises(InvalidInput, match=f"(?s){told}"):
        save(name, content).read()


def test_a_parquet_file_that_names_a_column_twice_is_refused(save: Save) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pa.table([["2008-01-02"], [1.0], [2.0]], names=["date", "close", "close"]), content)
    with pytest.raises(InvalidInput, match=r"names the columns \['close'\] more than once"):
        save("twice.parquet", content.getvalue()).read()


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no file .*; give the path of a .csv or .parquet file"):
        TableFile(tmp_path / "gone.csv").read()
    with pytest.raises(InvalidInput, match=r"The folder .* holds no table"):
        TableFile(tmp_path).read()


_spoilt = st.lists(st.tuples(st.integers(0, len(PARQUET) - 1), st.integers(0, 255)), min_size=1, max_size=8)
_text = st.text(st.sampled_from('date,close\n"\0\r20-é;\t ')).map(str.encode)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=_spoilt, content=st.one_of(st.binary(max_size=60), _text, _text.map(b"date,close\n".__add__)))
def test_damaged_files_are_read_or_refused_but_never_crash(
    damage: list[tuple[int, int]], content: bytes, save: Save
) -> None:
    spoilt = bytearray(PARQUET)
    for place, value in damage:
        spoilt[place] = value
    for source in (save("spoilt.parquet", bytes(spoilt)), save("noise.csv", content)):
        try:
            frame = source.read(until=date(2030, 1, 1))
        except InvalidInput:
            continue
        assert "date" in frame.columns


def test_a_line_with_too_many_or_too_few_fields_refuses_that_line_alone(save: Save) -> None:
    text = LINES.replace("27.8", "27,8").replace("2008-01-04,25.7,5e7", "2008-01-04,25.7")
    found = save("longer.csv", text.encode()).read_table()
    assert found.frame["date"].tolist() == ["2008-01-03"]
    assert [why.partition(":")[0] for _, why in sorted(found.broken.items())] == [
        "the line has 4 fields, the header 3",
        "the line has 2 fields, the header 3",
    ]
    case = Case(
        name="stock",
        title="Stock",
        source=TableFile(Path("longer.csv")),
        columns=(Column(name="close", above=0), Column(name="volume", above=0)),
        features=(LogRatio(name="r", numerator="close", denominator="close", lag=1),),
        task=Forecast(target="close", history=2, horizon=1),
        candidates=(RandomWalk(),),
    )
    checked = check_readings(found.frame, case, datetime(2026, 1, 1, tzinfo=UTC), broken=found.broken)
    assert len(checked.good) == 1
    assert checked.refused["reason"].tolist() == [f"row {number}: {found.broken[number]}" for number in (1, 3)]


def test_a_field_may_hold_a_line_break(save: Save) -> None:
    frame = save("note.csv", b'date,close,note\n2008-01-02,27.8,"two\nlines"\n').read()
    assert frame["note"].tolist() == ["two\nlines"]


def test_a_stray_byte_in_utf_8_is_refused_with_its_line(save: Save) -> None:
    text = "date,close,note\n2008-01-02,27.8,Köln\n2008-01-03,27.8,Bergstraße\n".encode()
    with pytest.raises(InvalidInput, match=r"line 4 of the file holds the byte 0xfc, which is not UTF-8"):
        save("stray.csv", text + b"2008-01-04,27.8,M\xfcnchen\n").read()


FAULTS = {
    "a comma at the end of each line": (
        b"date,close\n2008-01-02,1,\n2008-01-03,2,\n",
        "each of its 2 lines has 3 fields, the header names 2; the first line is '2008-01-02,1,'. Correct it: remove "
        "the comma at the end of each line, or name that field in the header, too",
    ),
    "an extra field in each line": (
        b"date,close\n2008-01-02,1,x\n2008-01-03,2,\n",
        "each of its 2 lines has 3 fields, the header names 2; the first line is '2008-01-02,1,x'. Correct it: name "
        "each field in the header",
    ),
    "a comma at the end of the header": (
        b"date,close,\n2008-01-02,1\n2008-01-03,2\n",
        "each of its 2 lines has 2 fields, the header names 3; the first line is '2008-01-02,1'",
    ),
    "lines of different lengths": (
        b"date,close\n2008-01-02,1,2\n2008-01-03\n",
        "none of its 2 lines has as many fields as the header; the first one is '2008-01-02,1,2'",
    ),
    "two commas at the end of each line": (
        b"date,close,,\n2008-01-02,1,,\n",
        "its header leaves the columns [3, 4] of 4 without a name; name them, or remove the commas at the end",
    ),
    "an open quote in the last field": (
        b'date,close\n2008-01-02,"1\n2008-01-03,2\n',
        "row 1 opens a quote and does not close it: '1\\n2008-01-03,2\\n'; close the open quote",
    ),
    "two open quotes around many lines": (
        b'date,close\n2008-01-02,"1\n' + b"2008-01-03,2\n" * 5 + b'2008-01-09",3\n2008-01-10,4\n',
        "row 1 spans 7 lines",
    ),
    "an open quote in the first field": (
        b'date,close\n2008-01-01,1\n"2008-01-02,1\n2008-01-03,2\n',
        "row 2 opens a quote and does not close it",
    ),
    "an open quote before very much": (
        b'date,close\n2008-01-02,"1\n' + b"2008-01-03,2\n" * 200_000,
        "a quote in its first lines is never closed; close it",
    ),
    "an open quote between very many lines": (
        b"date,close\n" + b"2008-01-03,2\n" * 100_000 + b'2008-01-02,"1\n' + b"2008-01-03,2\n" * 200_000,
        "is longer than 1048576 bytes; look for an open quote and close it",
    ),
    "an open quote in the header": (b'"date,close\n2008-01-02,1\n', "a quote in its header is never closed; close it"),
    "a header without a line end": (b"date,close", "it holds a header and no rows; add at least one row"),
    "zeros": (b"date,close\n".replace(b"a", b"\0") + b"2008-01-02,1\n", "it is text in UTF-16 or no text at all"),
}


@pytest.mark.parametrize(("content", "told"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_csv_is_refused_with_its_fault(content: bytes, told: str, save: Save) -> None:
    with pytest.raises(InvalidInput) as refused:
        save("in.csv", content).read()
    assert "in.csv is not a csv table: " in str(refused.value) and told in str(refused.value)


def test_a_comma_at_the_end_of_header_and_lines_is_an_empty_column_without_a_name(save: Save) -> None:
    frame = save("in.csv", b"date,close,\n2008-01-02,1,\n2008-01-03,2,\n").read()
    assert frame[["date", "close"]].to_numpy().tolist() == [["2008-01-02", "1"], ["2008-01-03", "2"]]
    assert frame[""].isna().all()


def test_a_line_break_at_the_end_of_a_closed_last_field_is_kept(save: Save) -> None:
    frame = save("in.csv", b'date,note\n2008-01-02,"one\ntwo\n"\n').read()
    assert frame["note"].tolist() == ["one\ntwo\n"]


# --- the bundled economy ------------------------------------------------------------------------------------------


def test_the_bundled_economy_has_a_reading_for_each_quarter_from_1959_to_2009() -> None:
    frame = BundledMacro().read()
    assert list(frame.columns) == ["date", "cpi", "unemployment", "bill_rate"]
    assert frame["date"].tolist() == list(pd.date_range("1959-03-31", "2009-09-30", freq="QE"))
    assert frame.iloc[0].tolist()[1:] == [28.98, 5.8, 2.82]
    assert frame.iloc[-1].tolist()[1:] == [216.385, 9.6, 0.12]


def test_the_bundled_economy_is_read_until_the_last_quarter_that_had_ended() -> None:
    assert BundledMacro().read(until=date(2008, 6, 29))["date"].iloc[-1] == pd.Timestamp("2008-03-31")
    assert BundledMacro().read(until=date(2008, 6, 30))["date"].iloc[-1] == pd.Timestamp("2008-06-30")


def test_a_broken_row_with_closed_quotes_is_refused_alone(tmp_path: Path) -> None:
    """A line break inside of quotes is text; only the number of fields is wrong."""
    (tmp_path / "notes.csv").write_text('a,b\n1,2\n3,"x\ny",4\n5,6\n')
    table = csv_reader.read_table(tmp_path / "notes.csv")
    assert table.frame["a"].tolist() == ["1", "5"]
    assert list(table.broken) == [2]
    assert "3 fields, the header 2" in table.broken[2] and "it spans 2 lines" in table.broken[2]
