"""Words for rows and training data, by the layout of the case's data."""

from __future__ import annotations

from functools import singledispatch

from okawari.schema.layout import DataLayout, RecordLayout, SeriesLayout
from ui.pages.formats import format_day


@singledispatch
def name_rows(layout: DataLayout) -> str:
    """The word for rows, in the plural."""
    raise NotImplementedError(f"No word is defined for {type(layout).__name__}; register it here.")


@name_rows.register(SeriesLayout)
def _(layout: SeriesLayout) -> str:
    return "readings"


@name_rows.register(RecordLayout)
def _(layout: RecordLayout) -> str:
    return "records"


@singledispatch
def describe_training_data(layout: DataLayout, until: str) -> str:
    """Describe the data that a model was trained on, up to the time `until` (ISO 8601)."""
    raise NotImplementedError(f"No words are defined for {type(layout).__name__}; register them here.")


@describe_training_data.register(SeriesLayout)
def _(layout: SeriesLayout, until: str) -> str:
    return f"readings until {format_day(until)}"


@describe_training_data.register(RecordLayout)
def _(layout: RecordLayout, until: str) -> str:
    """A record's time is that of its arrival."""
    return f"records that had arrived by {format_day(until)}"
