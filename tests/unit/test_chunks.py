"""Reading in chunks: every row comes once, with its number, however the file and its chunks are cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.data import chunked_reader, csv_reader
from okawari.data.chunked_reader import Chunk, count_rows, read_chunks, read_names
from okawari.errors import InvalidInput

NAMES = ["date", "close"]


def _frame(n: int) -> pd.DataFrame:
    days = pd.date_range("2001-01-01", periods=n)
    return pd.DataFrame({"date": days, "note": "any, text", "close": [float(row) for row in range(1, n + 1)]})


def _write(folder: Path, ending: str, frame: pd.DataFrame, *, group: int = 7) -> Path:
    path = folder / f"in{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, row_group_size=group)
    return path


def _read(path: Path, size: int = 10, after: int = 0) -> list[Chunk]:
    return list(read_chunks(path, NAMES, size=size, after=after))


@pytest.fixture(params=[".csv", ".parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Forty rows whose `close` is their number, in row groups of seven."""
    return _write(tmp_path, request.param, _frame(40))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that hold a few lines, so that even a small file has several."""
    for module, name in ((chunked_reader, "_BLOCK_BYTES"), (csv_reader, "BLOCK_BYTES")):
        monkeypatch.setattr(module, name, 256)


@pytest.mark.parametrize("after", [0, 1, 6, 7, 10, 39, 40])
@pytest.mark.parametrize("size", [1, 7, 10, 1000])
def test_every_row_after_a_number_comes_once_in_order_and_never_more_than_size_at_a_time(
    size: int, after: int, table: Path
) -> None:
    read = _read(table, size, after)
    assert [len(chunk) for chunk in read[:-1]] == [size] * (len(read) - 1)
    numbers = [int(number) for chunk in read for number in chunk.rows.index]
    values = [float(value) for chunk in read for value in chunk.rows["close"]]
    assert numbers == values == list(range(after + 1, 41))


def test_only_the_named_columns_are_read_in_the_order_asked_for(table: Path) -> None:
    assert [list(chunk.rows.columns) for chunk in _read(table)] == [NAMES] * 4


def test_names_and_number_of_rows_are_known_beforehand(table: Path) -> None:
    assert read_names(table) == ["date", "note", "close"]
    assert count_rows(table) == 40


def test_csv_is_text_and_missing_values_are_none(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('\ufeffdate,close\n2001-01-01,1.50\n"2001-01-02",\n\n,\n')
    [chunk] = _read(path)
    assert chunk.rows.to_numpy().tolist() == [["2001-01-01", "1.50"], ["2001-01-02", None], [None, None]]


# --- damage -------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(1, 60)), st.integers(1, 25), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_a_broken_line_is_told_by_its_number_and_shifts_nothing(
    tmp_path_factory: pytest.TempPathFactory, broken: set[int], size: int, after: int
) -> None:
    lines = [f"2001,{row}" if row not in broken else f"2001,{row},7" for row in range(1, 61)]
    path = tmp_path_factory.mktemp("broken") / "in.csv"
    path.write_text("\n".join(["date,close", *lines]))
    read = _read(path, size, after)
    assert sorted(row for chunk in read for row in chunk.broken) == sorted(row for row in broken if row > after)
    good = [(int(row), int(value)) for chunk in read for row, value in chunk.rows["close"].items()]
    assert good == [(row, row) for row in range(after + 1, 61) if row not in broken]
    assert [chunk.last for chunk in read] == sorted({chunk.last for chunk in read})
    assert all(chunk.last < following.rows.index.min() for chunk, following in pairwise(read))


def test_a_broken_line_names_its_fields_and_shows_its_text(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("date,close\n2001-01-01,1\n2001-01-02,1,5\nonly\n")
    [chunk] = _read(path)
    assert chunk.broken == {
        2: "the line has 3 fields, the header 2: '2001-01-02,1,5'",
        3: "the line has 1 fields, the header 2: 'only'",
    }


def test_bytes_that_are_no_text_stay_in_their_own_field(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"date,close\n2001-01-01,caf\xe9\n2001-01-02,2\n")
    [chunk] = _read(path)
    assert chunk.rows["close"].tolist() == ["caf\ufffd", "2"]


@pytest.mark.parametrize("place", [0, 30, 59])
def test_a_broken_line_that_is_no_text_is_refused_with_its_reason_and_nothing_goes_to_stderr(
    place: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lines = [b"2001,%d" % row for row in range(60)]
    lines[place] = b"2001,1,caf\xe9"
    path = tmp_path / "in.csv"
    path.write_bytes(b"\n".join([b"date,close", *lines]))
    read = _read(path, 100)
    assert read_names(path) == NAMES
    assert [dict(chunk.broken) for chunk in read] == [
        {place + 1: "the line has 3 fields, the header 2: '2001,1,caf\ufffd'"}
    ]
    assert sum(len(chunk.rows) for chunk in read) == 59
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("shift", range(4))
def test_a_character_across_two_blocks_stays_whole(shift: int, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    values = ["x" * shift + "\u20ac" * 60] * 20
    path.write_text("date,close\n" + "".join(f"2001,{value}\n" for value in values), encoding="utf-8")
    assert [value for chunk in _read(path) for value in chunk.rows["close"]] == values


@pytest.mark.parametrize("line", ['2001,"5', '"2001,5', '2001,5,"'])
@pytest.mark.parametrize("place", [3, 200, 398])
def test_an_open_quote_swallows_no_rows_in_silence(line: str, place: int, tmp_path: Path) -> None:
    lines = [f"2001,{row}" for row in range(400)]
    lines[place] = line
    (tmp_path / "in.csv").write_text("\n".join(["date,close", *lines]))
    with pytest.raises(InvalidInput, match=r"in\.csv cannot be read as a csv table after row \d+"):
        _read(tmp_path / "in.csv")


def test_a_header_that_fits_no_line_is_an_error_and_fills_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "_MOST_BROKEN", 50)
    (tmp_path / "in.csv").write_text("\n".join(["date,close", *["1,2,3"] * 200]))
    with pytest.raises(InvalidInput, match="a wrong header"):
        _read(tmp_path / "in.csv")


def test_a_parquet_file_that_breaks_off_inside_is_an_error_after_its_whole_rows(tmp_path: Path) -> None:
    path = _write(tmp_path, ".parquet", _frame(4000), group=1000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    read = read_chunks(path, NAMES, size=500)
    assert len(next(read)) == 500
    with pytest.raises(InvalidInput, match=r"cannot be read as a parquet table after row \d+"):
        list(read)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("in.doc", b"date,close\n", "ends in '.doc'; Okawari reads .csv, .tsv, .txt"),
        ("in", b"date,close\n", "ends in ''; Okawari reads .csv, .tsv, .txt"),
        ("in.csv", b"", "cannot be read as a csv table in its header"),
        ("in.csv", b"\x00\xff\xfe\n", "cannot be read as a csv table in its header"),
        ("in.parquet", b"", "cannot be read as a parquet table in its header"),
        ("in.parquet", b"date,close\n1,2\n", "cannot be read as a parquet table in its header"),
        ("in.csv", b"date,close,close\n1,2,3\n", "names the columns ['close'] more than once"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_names(tmp_path / name)
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["gone.csv", "gone.parquet"])
def test_a_file_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"There is no file .*{name}"):
        read_names(tmp_path / name)
