"""Options that several commands take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day to read.")]
Month = Annotated[
    datetime,
    typer.Option(
        formats=["%Y-%m"], metavar="YYYY-MM", show_default=False, help="Last month to simulate; 2008-12, if left out."
    ),
]
TimeFormat = Annotated[
    str,
    typer.Option(
        "--time-format", metavar="FORMAT", show_default=False,
        help="How the file's times are written, such as %d/%m/%Y, epoch_s, epoch_ms or excel.",
    ),
]  # fmt: skip
Decimal = Annotated[
    str, typer.Option(metavar="MARK", show_default=False, help="Decimal mark of the file's numbers: . or ,")
]
