"""Tables of spreadsheets: .xlsx, .xls and .ods. Only home of python-calamine."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from okawari.errors import InvalidInput


def read_sheet(content: bytes, sheet: str = "") -> tuple[pd.DataFrame, str]:
    """The table of a sheet, with values as the spreadsheet holds them, and the sentence that says which sheet it is.

    The first row that is not empty has the names of the columns. The sentence is empty if there is no choice.

    Args:
        content: the file.
        sheet: the name of the sheet; the first one with a table, if empty.

    Raises:
        InvalidInput: the content is no spreadsheet, or has no such sheet.
    """
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        if sheet and sheet not in book.sheet_names:
            raise InvalidInput(f"it has no sheet {sheet!r}; its sheets are {book.sheet_names}")
        tables = {name: book.get_sheet_by_name(name).to_python() for name in ([sheet] if sheet else book.sheet_names)}
    except (CalamineError, OSError, ValueError) as damage:
        if isinstance(damage, InvalidInput):
            raise
        raise InvalidInput(f"it cannot be read as a spreadsheet: {damage}") from damage
    filled = {name: rows for name, rows in tables.items() if any(_is_filled(row) for row in rows)}
    if not filled:
        return pd.DataFrame(), ""
    name, rows = next(iter(filled.items()))
    said = f"Sheet {name!r} is read; the others are {[other for other in filled if other != name]}."
    return _build_frame(rows), said if len(filled) > 1 else ""


def _is_filled(row: list[Any]) -> bool:
    return any(value != "" for value in row)


def _build_frame(rows: list[list[Any]]) -> pd.DataFrame:
    header, *below = [row for row in rows if _is_filled(row)]
    width = max(place for place, name in enumerate(header) if name != "") + 1
    values = [[None if value == "" else value for value in row[:width]] for row in below]
    return pd.DataFrame(values, columns=[_spell_name(name) for name in header[:width]], dtype=object)


def _spell_name(name: Any) -> str:
    return str(int(name)) if isinstance(name, float) and name.is_integer() else str(name)
