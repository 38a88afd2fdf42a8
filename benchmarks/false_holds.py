"""False holds and detected faults of the verdict on deliveries, replayed over the whole histories of the bundled cases.

Series arrive month by month (`cpi` quarter by quarter), records in batches of `BATCH`. Each delivery is judged by what
was usual until then, and then learned. From `WARM_UP` stored rows on, each one is also judged with an injected fault,
on the same state. A false hold is a delivery of the real history that is held.
A fault is found if its delivery is held, or if each of its rows is refused: both keep it out, and both are said.

    python -m benchmarks.false_holds             # five minutes on one core
    python -m benchmarks.false_holds --cases cpi diabetes
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from okawari.case import Case
from okawari.cases.loader import load_case
from okawari.contract.case_words import start_contract
from okawari.contract.contract import Contract
from okawari.contract.levels import Shift
from okawari.contract.moves import Jump
from okawari.contract.usual import (
    Counts,
    find_jumps,
    find_shifts,
    learn_counts,
    learn_shifts,
    learn_table,
    list_numbers,
)
from okawari.data.validation import Checked, check_readings
from okawari.policy.decision import Verdict
from okawari.policy.delivery import DeliveryFacts, judge_delivery

CASES = ("aapl", "cpi", "diabetes", "digits", "blobs")
WARM_UP, BATCH = 60, 50
NOW = datetime(2030, 1, 1, tzinfo=UTC)
Fault = Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame]


def multiply(factor: float) -> Fault:
    """A fault that multiplies columns by a factor."""

    def spoil(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        return rows.assign(**{name: rows[name] * factor for name in names})

    return spoil


def swap(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The first and the last of the columns change places; one column alone is swapped with nothing."""
    return rows.assign(**{names[0]: rows[names[-1]], names[-1]: rows[names[0]]})


def empty(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """60 % of each column's fields are empty."""
    random = np.random.default_rng(len(rows))
    return rows.assign(**{name: rows[name].mask(random.random(len(rows)) < 0.6) for name in names})


FAULTS: dict[str, Fault] = {
    "x10": multiply(10),
    "x100": multiply(100),
    "x1000": multiply(1000),
    "/10": multiply(0.1),
    "/100": multiply(0.01),
    "sign": multiply(-1),
    "swapped": swap,
    "60% empty": empty,
}


def split_deliveries(case: Case, frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The history in the order of arrival: months or quarters of a series, batches of records."""
    if case.layout.in_order:
        periods = frame[case.time].dt.to_period("Q" if case.name == "cpi" else "M")
        yield from (part for _, part in frame.groupby(periods))
    else:
        shuffled = frame.sample(frac=1, random_state=case.seed).reset_index(drop=True)
        yield from (shuffled[start : start + BATCH] for start in range(0, len(shuffled), BATCH))


class Replay:
    """The stored rows of a case and its contract, as deliveries arrive."""

    def __init__(self, case: Case) -> None:
        self.case, self.contract = case, start_contract(case)
        self.stored: pd.DataFrame | None = None

    def judge(self, raw: pd.DataFrame) -> tuple[Verdict | str, Checked]:
        """The verdict on a delivery; the first one is accepted."""
        checked = check_readings(raw, self.case, NOW)
        if self.stored is None:
            return Verdict.ACCEPTED, checked
        facts = DeliveryFacts(counts=self._count(checked), moved=self._find_moved(self.contract, checked.good))
        return judge_delivery(self.contract, facts).action, checked

    def learn(self, checked: Checked) -> None:
        """Store a delivery, and learn what is usual in it."""
        case, contract = self.case, self.contract
        if self.stored is not None and not case.layout.in_order:
            contract = learn_shifts(contract, case, checked.good)
        self.stored = checked.good if self.stored is None else pd.concat([self.stored, checked.good], ignore_index=True)
        contract = learn_counts(contract, self._count(checked), by_person=False)
        self.contract = learn_table(contract, case, self.stored)

    def _count(self, checked: Checked) -> Counts:
        missing = {name: int(checked.good[name].isna().sum()) for name in self.case.known_names}
        return Counts(rows=len(checked.good) + len(checked.refused), refused=len(checked.refused), missing=missing)

    def _find_moved(self, contract: Contract, good: pd.DataFrame) -> Sequence[Jump | Shift]:
        if not self.case.layout.in_order:
            return find_shifts(contract, self.case, good)
        merged = pd.concat([self.stored, good], ignore_index=True)
        assert self.stored is not None
        return find_jumps(contract, self.case, merged, np.arange(len(merged)) >= len(self.stored))


def replay_case(name: str) -> dict[str, float]:
    """Deliveries, false holds, and the share of deliveries in which each fault was held, in all and in one column."""
    case = load_case(name)
    case = replace(case, frequency=None, holidays="") if case.layout.in_order else case
    replay, names = Replay(case), [column.name for column in list_numbers(case)]
    found: dict[str, list[bool]] = {fault: [] for fault in (*FAULTS, *(f"{each}, 1" for each in FAULTS))}
    n_deliveries = n_held = 0
    for raw in split_deliveries(case, case.source.read()):
        verdict, checked = replay.judge(raw)
        n_deliveries, n_held = n_deliveries + 1, n_held + (verdict == Verdict.HELD)
        if replay.stored is not None and len(replay.stored) >= WARM_UP:
            one = names[n_deliveries % len(names)]
            for fault, spoil in FAULTS.items():
                found[fault].append(_is_found(replay, spoil(raw.astype(dict.fromkeys(names, float)), names)))
                found[f"{fault}, 1"].append(_is_found(replay, spoil(raw.astype({one: float}), [one])))
        replay.learn(checked)
    shares = {fault: float(np.mean(hits)) for fault, hits in found.items() if hits}
    return {"deliveries": n_deliveries, "false holds": n_held, **shares}


def _is_found(replay: Replay, raw: pd.DataFrame) -> bool:
    verdict, checked = replay.judge(raw)
    return verdict == Verdict.HELD or checked.good.empty


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), help="which cases")
    started = time.perf_counter()
    for name in parser.parse_args(arguments).cases:
        found = replay_case(name)
        print(f"{name}: {found.pop('false holds'):.0f} of {found.pop('deliveries'):.0f} deliveries held")
        for fault in FAULTS:
            one = "" if fault == "swapped" else f", of one column in {found[f'{fault}, 1']:.0%}"
            print(f"  {fault:<10} of all columns found in {found[fault]:.0%}{one}")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
