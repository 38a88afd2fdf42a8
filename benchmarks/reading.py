"""What bad rows cost: reading and checking a table of bad rows, in units of the same table without fault.

    python -m benchmarks.reading [--mb 50]

Each fault stands in every row. A broken line (one field too many) stands in every tenth row, because more than 100,000
of them mean a wrong header, which ends reading.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from okawari.cases.loader import load_case
from okawari.data.files import TableFile
from okawari.data.validation import check_readings

_ROW_BYTES = 62


def _draw(n: int) -> pd.DataFrame:
    random = np.random.default_rng(1)
    close = 20 + np.cumsum(random.normal(0, 0.01, n)) * 0.01
    days = pd.date_range("1990-01-01", periods=n, freq="min").strftime("%Y-%m-%d %H:%M:%S")
    table = {"date": days, "open": close, "high": close + 1, "low": close - 1, "close": close, "volume": 100.0}
    return pd.DataFrame(table).round(6)


def _spoil(table: pd.DataFrame) -> dict[str, str]:
    """The table as CSV: good, and with one fault in each row."""
    faults = {
        "good": table,
        "a bound": table.assign(volume=-1.0),
        "a rule": table.assign(high=table["low"] - 1),
        "no number": table.assign(close="n.a."),
        "empty": table.assign(close="", open=""),
        "no time": table.assign(date="some day"),
        "a repeated time": table.assign(date=table["date"].iloc[0]),
    }
    texts = {name: each.to_csv(index=False) for name, each in faults.items()}
    lines = texts["good"].splitlines()
    step = max(10, len(lines) // 90_000)
    lines[1::step] = [f"{line},1" for line in lines[1::step]]
    return {**texts, "a broken line in ten": "\n".join([*lines, ""])}


def _measure(path: Path) -> tuple[float, int, int]:
    """Seconds to read and check a file, and its good and refused rows."""
    case = replace(load_case("aapl"), frequency=None, holidays="")  # else, minutes would be off its calendar
    started = time.perf_counter()
    raw = TableFile(path).read_table()
    checked = check_readings(raw.frame, case, datetime.now(UTC), broken=raw.broken)
    return time.perf_counter() - started, len(checked.good), len(checked.refused)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=10, help="size of each file")
    n = int(parser.parse_args().mb * 1e6 / _ROW_BYTES)
    base_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm.csv"
        warm.write_text(_spoil(_draw(1000))["good"])
        _measure(warm)  # imports count for no row
        for name, text in _spoil(_draw(n)).items():
            path = Path(folder) / "table.csv"
            path.write_text(text)
            took_s, n_good, n_refused = _measure(path)
            base_s = base_s or took_s
            print(f"{name:<22} {took_s:6.2f} s  {took_s / base_s:5.2f} x  {n_good:>9,} good {n_refused:>9,} refused")


if __name__ == "__main__":
    main()
