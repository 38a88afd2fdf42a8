"""Files as they come: whatever their separator, numbers, encoding and packing, one table is read."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from okawari.data.chunked_reader import count_rows, find_format, read_chunks, read_names
from okawari.data.file_format import FileFormat
from okawari.data.files import TableFile
from okawari.data.number_format import NOTATIONS, parse_numbers
from okawari.data.sniffing import Stated, sniff_format
from okawari.data.tabular import RawTable
from okawari.errors import InvalidInput


def _spell(value: float, decimal: str, thousands: str, places: int = 2) -> str:
    whole, _, part = f"{value:,.{places}f}".partition(".")
    return whole.replace(",", thousands) + (decimal + part if places else "")


def _write(values: list[str], separator: str) -> str:
    days = pd.date_range("2023-01-20", periods=len(values)).strftime("%Y-%m-%d")
    fields = [f'"{value}"' if separator in value else value for value in values]
    rows = [f"{day}{separator}{value}{separator}Köln" for day, value in zip(days, fields, strict=True)]
    return "\n".join([separator.join(("date", "units", "stadt")), *rows, ""])


def _draw(n: int = 60) -> list[float]:
    return [float(value) for value in np.random.default_rng(3).uniform(0.5, 9_000_000, n).round(2)]


@pytest.mark.parametrize("notation", NOTATIONS, ids=repr)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])
def test_a_table_is_read_in_every_dialect(
    separator: str, notation: tuple[str, str], encoding: str, tmp_path: Path
) -> None:
    values = _draw()
    text = _write([_spell(value, *notation) for value in values], separator)
    path = tmp_path / "in.csv"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    found = TableFile(path).read_table()
    assert (found.format.decimal, found.format.thousands) == notation
    assert parse_numbers(found.frame["units"], found.format).tolist() == values
    assert set(found.frame["stadt"]) == {"Köln"}
    is_plain = (separator, notation, encoding[:5]) == (",", (".", ""), "utf-8")
    assert bool(found.notes) is not is_plain
    # A case that states the format has nothing to say about its own file.
    again = TableFile(path, format=found.format).read_table()
    assert (again.notes, again.format) == ((), found.format)
    chunks = list(read_chunks(path, ["units"], size=25, format=found.format))
    assert [text for chunk in chunks for text in chunk.rows["units"]] == found.frame["units"].tolist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'date,v\n2023-01-01,"1,234"\n2023-01-02,"2,345"\n',
            r"'1,234', read in two ways: 1.234 .* or 1234 .*--decimal",
        ),
        ("date;v\n2023-01-01;1.234\n2023-01-02;2.345\n", r"'1.234', read in two ways: 1.234 .* or 1234 .*--decimal"),
    ],
)
def test_what_reads_two_ways_is_refused_with_the_setting_to_give(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(InvalidInput, match=f"in.csv: .*{told}"):
        TableFile(tmp_path / "in.csv", time=None).read()


def test_two_separators_that_fit_alike_are_asked_for() -> None:
    with pytest.raises(InvalidInput, match=r"by commas or by semicolons, and nothing decides it.*--separator"):
        sniff_format(b"a,b;c,d\n1,2;3,4\n5,2;3,4\n")


@pytest.mark.parametrize(("decimal", "value"), [(",", 1.234), (".", 1234.0)])
def test_a_stated_decimal_mark_decides_what_reads_two_ways(decimal: str, value: float) -> None:
    sniffed = sniff_format(b'date,v\n2023-01-01,"1,234"\n2023-01-02,"2,345"\n', Stated(decimal=decimal))
    assert parse_numbers(pd.Series(["1,234"], dtype=object), sniffed.format).tolist() == [value]
    assert any("'1,234'" in said for said in sniffed.assumed)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("date,v\n2023-01-01,1.234\n2023-01-02,2.345\n", {}),
        ("date;v\n2023-01-01;1.234\n2023-01-02;0.345\n", {"separator": ";"}),
        ('date,v\n2023-01-01,240\n2023-01-02,"2,340"\n', {"thousands": ","}),
        ("date;v;w\n2023-01-01;1.234;3,5\n2023-01-02;2.345;4\n", {"separator": ";", "decimal": ",", "thousands": "."}),
        ("date;v, kg\n2023-01-01;2,5\n2023-01-02;2,34\n", {"separator": ";", "decimal": ","}),
        ("date;v\n02.01.2023;3\n03.01.2023;4\n", {"separator": ";"}),
    ],
)
def test_what_the_file_itself_decides_is_not_asked(text: str, changes: dict[str, str]) -> None:
    assert sniff_format(text.encode()).format.list_changes() == changes


def test_a_recorded_format_reads_what_would_read_two_ways(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("date;v\n2023-01-01;1.234\n2023-01-02;2.345\n")
    recorded = FileFormat(separator=";", decimal=",", thousands=".")
    found = TableFile(tmp_path / "in.csv", format=recorded).read_table()
    assert found.notes == ()
    assert parse_numbers(found.frame["v"], found.format).tolist() == [1234.0, 2345.0]


def test_what_differs_from_the_recorded_format_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("date,v\n2023-01-01,1.25\n2023-01-02,2.345\n")
    recorded = FileFormat(separator=";", decimal=",", thousands=".")
    assert TableFile(tmp_path / "in.csv", format=recorded).read_table().notes == (
        "fields are separated by commas, the case says semicolons",
        "numbers have a decimal point and nothing between thousands, the case says a decimal comma and points between "
        "thousands",
    )


def test_an_encoding_that_cannot_be_told_is_refused_and_can_be_stated(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("tag;stadt;v\n2023-01-01;Москва;3,5\n2023-01-02;Санкт;1,25\n".encode("cp1251"))
    with pytest.raises(InvalidInput, match=r"not UTF-8, and what else it is cannot be told.*--encoding"):
        TableFile(path, time="tag").read()
    stated = FileFormat(separator=";", decimal=",", encoding="cp1251")
    assert TableFile(path, time="tag", format=stated).read()["stadt"].tolist() == ["Москва", "Санкт"]


def test_only_an_empty_field_is_missing(tmp_path: Path) -> None:
    words = ["None", "NA", "null", "NaN", "n/a", "nan", "<NA>"]
    (tmp_path / "in.csv").write_text("\n".join(["code,v", *(f"{word},1" for word in words), ",2", '"",3']) + "\n")
    assert TableFile(tmp_path / "in.csv", time=None).read()["code"].tolist() == [*words, None, None]


@given(st.floats(-1e12, 1e12, allow_nan=False), st.sampled_from(NOTATIONS), st.integers(0, 6))
@settings(max_examples=200, deadline=None)
def test_a_number_reads_the_same_in_every_notation(value: float, notation: tuple[str, str], places: int) -> None:
    text = _spell(value, *notation, places=places)
    found = parse_numbers(pd.Series([text], dtype=object), FileFormat(decimal=notation[0], thousands=notation[1]))
    assert found.tolist() == [float(f"{value:.{places}f}")]


# --- kinds of files -----------------------------------------------------------------------------------------------

TABLE = pd.DataFrame({"date": ["2023-01-01", "2023-01-02", "2023-01-03"], "units": [1.5, 2.0, 3.25]})
TEXT = TABLE.to_csv(index=False).encode()


def _zip(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name in names:
            packed.writestr(name, TEXT)
    return content.getvalue()


def _parquet() -> bytes:
    content = io.BytesIO()
    TABLE.to_parquet(content)
    return content.getvalue()


LINES = "".join(json.dumps(row) + "\n" for row in TABLE.to_dict("records")).encode()
FILES = {
    "in.csv": TEXT,
    "in.csv.gz": gzip.compress(TEXT),
    "in.zip": _zip("inner.csv"),
    "in.tsv": TEXT.replace(b",", b"\t"),
    "in.txt": TEXT,
    "in.parquet": _parquet(),
    "in.jsonl": LINES,
    "in.ndjson.gz": gzip.compress(LINES),
}


@pytest.mark.parametrize("name", FILES)
def test_a_table_is_read_whatever_it_is_packed_in_at_once_and_in_chunks(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    found = TableFile(path).read_table()
    assert found.frame["units"].astype(float).tolist() == [1.5, 2.0, 3.25]
    assert not found.ends_cut
    format = find_format(path).format
    assert read_names(path, format) == ["date", "units"]
    assert count_rows(path) == 3
    chunks = list(read_chunks(path, ["units"], size=2, after=1, format=format))
    assert [int(row) for chunk in chunks for row in chunk.rows.index] == [2, 3]
    assert [float(value) for chunk in chunks for value in chunk.rows["units"]] == [2.0, 3.25]


def _write_xlsx(path: Path, rows: list[list[str | float]], sheets: tuple[str, ...] = ("Data",)) -> None:
    """A workbook as small as its standard (ECMA-376) allows; every sheet has the same rows."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    types = "http://schemas.openxmlformats.org/package/2006/content-types"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    cells = [
        "".join(
            f"<c><v>{value}</v></c>" if isinstance(value, float) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'
            for value in row
        )
        for row in rows
    ]
    sheet = (
        f'<worksheet xmlns="{main}"><sheetData>{"".join(f"<row>{row}</row>" for row in cells)}</sheetData></worksheet>'
    )
    named = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, 1))
    targets = "".join(
        f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{types}">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{links}"><Relationship Id="rId1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{named}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{links}">{targets}</Relationships>',
        **{f"xl/worksheets/sheet{n}.xml": sheet for n in range(1, len(sheets) + 1)},
    }
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in parts.items():
            packed.writestr(name, content)


def test_a_spreadsheet_is_read_with_its_numbers_and_its_days_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    _write_xlsx(path, [["date", "units"], [44927.0, 1.5], [44928.0, 2.0]])
    found = TableFile(path, time_format="excel").read_table()
    assert found.notes == ()
    assert found.frame["units"].tolist() == [1.5, 2.0]
    assert TableFile(path).read_table().notes == (
        "times of date are written as days since 1899-12-30, as spreadsheets count; the case says ISO 8601, such as "
        "2024-12-31",
    )
    [chunk] = read_chunks(path, ["units"], size=10, after=1)
    assert chunk.rows["units"].to_dict() == {2: 2.0}


def test_one_sheet_of_several_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    _write_xlsx(path, [["date", "units"], ["2023-01-01", 1.5]], sheets=("May", "June"))
    assert TableFile(path).read_table().assumed == ("Sheet 'May' is read; the others are ['June'].",)
    assert TableFile(path, format=FileFormat(sheet="June")).read_table().assumed == ()
    with pytest.raises(InvalidInput, match=r"it has no sheet 'July'; its sheets are \['May', 'June'\]"):
        TableFile(path, format=FileFormat(sheet="July")).read()


def test_a_zip_holds_one_table(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(_zip("a.csv", "b.csv"))
    with pytest.raises(InvalidInput, match=r"holds 2 files: \['a.csv', 'b.csv'\]; it has to hold one table"):
        TableFile(tmp_path / "in.zip").read()


def test_a_damaged_gz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.csv.gz").write_bytes(gzip.compress(TEXT * 50)[:-20])
    with pytest.raises(InvalidInput, match=r"in.csv.gz is not a csv table"):
        TableFile(tmp_path / "in.csv.gz").read()


def test_lines_that_are_no_objects_are_broken_and_a_missing_name_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"a": 1, "ok": true}\n[1]\n{"a": 2}\n\n{"a": \n{"a": null, "ok": false}\n')
    found = TableFile(path, time=None).read_table()
    assert found.frame.to_numpy().tolist() == [[1, True], [2, None], [None, False]]
    assert found.broken == {2: "the line is no JSON object: '[1]'", 4: "the line is no JSON: '{\"a\":'"}


def test_a_folder_is_one_table_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("date,units\n2023-01-03,3\nbroken\n")
    (tmp_path / "a.csv").write_text("units,date\n1,2023-01-01\n2,2023-01-02\n")
    found = TableFile(tmp_path).read_table()
    assert found.frame["units"].tolist() == ["1", "2", "3"]
    assert found.origins == ("a.csv", "a.csv", "b.csv")
    assert found.broken == {4: "row 2 of b.csv: the line has 1 fields, the header 2: 'broken'"}
    chunks = list(read_chunks(tmp_path, ["units"], size=10, after=1))
    assert [(int(row), value) for chunk in chunks for row, value in chunk.rows["units"].items()] == [(2, "2"), (3, "3")]
    assert [list(chunk.broken) for chunk in chunks] == [[4]]


@pytest.mark.parametrize(
    ("text", "told"),
    [("date,sold\n2023-01-03,3\n", "has the columns"), ("date;units\n2023-01-03;3\n", "is written unlike")],
)
def test_the_files_of_a_folder_are_alike(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("date,units\n2023-01-01,1\n")
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(InvalidInput, match=rf"b.csv {told}"):
        TableFile(tmp_path).read()


@pytest.mark.parametrize(("end", "is_cut"), [("", True), ("\n", False), ("\r\n", False)])
def test_a_last_line_without_its_end_is_told(end: str, is_cut: bool, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(f"date,units\n2023-01-01,1\n2023-01-02,138104{end}", newline="")
    found: RawTable = TableFile(tmp_path / "in.csv").read_table()
    assert found.ends_cut is is_cut
