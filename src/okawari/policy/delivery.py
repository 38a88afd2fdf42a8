"""The verdict on a delivery: accept, accept in part, or hold until a person decides.

Rows are judged one by one before (`okawari.data.validation`); this is the verdict on all of them together. A table
that cannot be read at all is refused earlier. What holds a delivery:

    jump         a level or unit far outside of what the column's steps or levels have been
    revised      more than `MANY_REVISED` of the stored rows are revised, and more than ever before
    refused, missing    a share of rows that the usual share does not explain: the Chernoff bound of the binomial tail
                 is below `ALPHA` for twice the usual share, or for `FLOOR`, whichever is larger
    new words    more than `Column.new_share` of the rows, and at least `FEW_NEW` of them
    times        a reading before or after the stored ones, by more than their whole span
    cut          the file ends within its last line, where the contract knows it to end with a line end
    format       times, numbers or fields are written in another single format than recorded
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log

from okawari.contract.contract import Contract
from okawari.contract.levels import Shift
from okawari.contract.moves import Jump
from okawari.contract.usual import Counts, read_share
from okawari.formats import format_share
from okawari.policy.decision import Decision, Kind, Verdict

ALPHA = 1e-3
FLOOR = 0.05
"""A share of rows up to which a feed may lose rows without a question, however clean it has been."""
FEW_NEW = 3
MANY_REVISED = 0.05
FEW_REVISED = 5
ACCEPTED_NOTES = "accepted_notes"
"""Name in a contract's dialect: the sentences about other formats that a person has accepted, joined by ` | `."""
SHOWN = 1
"""Columns whose jump is described in full; the others are named."""


@dataclass(frozen=True, kw_only=True)
class Edition:
    """A declared replacement of the stored history: why it counts as one, and by which factors the columns changed."""

    reason: str
    factors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Smallest and largest factor of each rescaled column."""


@dataclass(frozen=True, kw_only=True)
class DeliveryFacts:
    """What a delivery holds. `moved` are jumps or shifts that `okawari.contract.usual` found."""

    counts: Counts
    first_refusal: str = ""
    moved: Sequence[Jump | Shift] = ()
    edition: Edition | None = None
    new_shares: Mapping[str, float] = field(default_factory=dict)
    """`Column.new_share` of the columns of words."""
    far_times: str = ""
    """That a reading lies far from the stored times, as a sentence; else empty."""
    ends_cut: bool = False
    notes: Sequence[str] = ()
    """What differs from how the table's files have been written, one sentence each."""
    remarks: Sequence[str] = ()
    """What is said of the columns; it holds nothing."""
    unused: Sequence[str] = ()
    """Columns that the case does not use and earlier deliveries did not have."""
    unjudged: Sequence[str] = ()
    """Number columns that have too little history to be judged."""


def judge_delivery(contract: Contract | None, facts: DeliveryFacts) -> Decision:
    """The verdict on a delivery. Without a contract it is the first one, which sets what is usual."""
    found = [] if contract is None else list(_list_findings(contract, facts))
    counts = facts.counts
    numbers = {
        "rows": counts.rows,
        "refused": counts.refused,
        "revised": counts.revised,
        "findings": [name for name, _ in found],
        **({"edition": facts.edition.reason, "factors": facts.edition.factors} if facts.edition else {}),
    }
    if found:
        return Decision(Kind.QUALITY, Verdict.HELD, "; ".join(sentence for _, sentence in found), numbers)
    verdict = Verdict.ACCEPTED_IN_PART if counts.refused else Verdict.ACCEPTED
    return Decision(Kind.QUALITY, verdict, _explain_accepted(facts, is_first=contract is None), numbers)


def _explain_accepted(facts: DeliveryFacts, *, is_first: bool) -> str:
    counts = facts.counts
    sentences = [f"all {counts.rows} rows are valid"]
    if counts.refused:
        sentences = [f"{counts.refused} of {counts.rows} rows refused; first: {facts.first_refusal}"]
    if facts.edition is not None:
        sentences.append(f"{facts.edition.reason}{_describe_factors(facts.edition.factors)}")
    for name, n_new in () if is_first else counts.new_words.items():
        sentences.append(f"{n_new:,} of them have a word of {name} that is new; the next training learns it")
    if facts.unused:
        sentences.append(f"the case does not use {_list_names(facts.unused)}, which the table has not had before")
    if facts.unjudged and not is_first:
        sentences.append(f"too little history to judge the level of {_list_names(facts.unjudged)}")
    if counts.filled:
        sentences.append(f"{counts.filled:,} stored rows got values of columns that the case has since")
    if not is_first:
        sentences += facts.remarks
    return "; ".join(sentences)


def _list_names(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")


def _describe_factors(factors: Mapping[str, tuple[float, float]]) -> str:
    parts = [f"{name} by {low:.6g} to {high:.6g}" for name, (low, high) in factors.items()]
    return f" ({', '.join(parts)})" if parts else ""


def _list_findings(contract: Contract, facts: DeliveryFacts) -> Iterator[tuple[str, str]]:
    """What holds the delivery: its kind and a sentence."""
    for moved in facts.moved[:SHOWN]:
        yield "jump", moved.sentence
    if others := [moved.column for moved in facts.moved[SHOWN:]]:
        yield "jump", f"{', '.join(others[:5])}{' and others' if len(others) > 5 else ''} move as far"
    counts = facts.counts
    if facts.edition is None and _is_much_revised(contract, counts):
        share = format_share(counts.revised / counts.stored)
        yield (
            "revised",
            f"{counts.revised:,} of {counts.stored:,} stored readings ({share}) are revised; before, at most "
            f"{contract.usual.get('revised_largest', 0.0):,.0f} were. If the source has published a new edition of its "
            "history, read it with --new-edition",
        )
    yield from _find_refused(contract, facts)
    if facts.far_times:
        yield "times", facts.far_times
    yield from _list_columns(contract, facts)
    if facts.ends_cut and contract.dialect.get("ends_cut") != "yes":
        yield "cut", "the file ends within its last line, so its last row may be cut"
    for note in facts.notes:
        if note not in contract.dialect.get(ACCEPTED_NOTES, ""):
            yield "format", note


def _find_refused(contract: Contract, facts: DeliveryFacts) -> Iterator[tuple[str, str]]:
    """Too many refused rows. Where all are, those of the wholly refused deliveries just before count as well."""
    counts, usual = facts.counts, read_share(contract.usual, "refused")
    before = int(contract.usual.get("refused_run", 0.0)) if counts.refused == counts.rows else 0
    refused, rows = counts.refused + before, counts.rows + before
    if is_unusual(refused, rows, usual):
        since = " since the last valid one" if before else ""
        yield "refused", f"{_describe(refused, rows, usual, 'refused')}{since}; first: {facts.first_refusal}"


def _list_columns(contract: Contract, facts: DeliveryFacts) -> Iterator[tuple[str, str]]:
    counts = facts.counts
    for column in contract.columns:
        n_missing, usual = counts.missing.get(column.name, 0), read_share(column.usual, "missing")
        if is_unusual(n_missing, counts.rows, usual):
            yield "missing", _describe(n_missing, counts.rows, usual, f"without {column.name}")
        n_new, allowed = counts.new_words.get(column.name, 0), facts.new_shares.get(column.name, FLOOR)
        allowed = max(allowed, column.usual.get("new_accepted", 0.0))
        if n_new >= FEW_NEW and n_new > allowed * counts.rows:
            of = f"{n_new:,} of {counts.rows:,} rows ({format_share(n_new / counts.rows)})"
            yield "new words", f"{of} have words of {column.name} that are new; {format_share(allowed)} are allowed"


def _describe(count: int, rows: int, usual: float, what: str) -> str:
    return f"{count:,} of {rows:,} rows ({format_share(count / rows)}) are {what}; {format_share(usual)} is usual"


def _is_much_revised(contract: Contract, counts: Counts) -> bool:
    usual = 1.5 * contract.usual.get("revised_largest", 0.0)
    return counts.revised > max(MANY_REVISED * counts.stored, FEW_REVISED, usual)


def is_unusual(count: int, rows: int, usual_share: float) -> bool:
    """Whether a count of rows is far above a usual share.

    The usual share of a column with few empty fields is known from bursts, so twice of it is allowed; a share near 1
    is doubled towards 1.

    >>> is_unusual(3, 4, 0.0), is_unusual(60, 100, 0.02), is_unusual(60, 100, 0.5)
    (False, True, False)
    """
    allowed = max(FLOOR, min(2 * usual_share, (1 + usual_share) / 2))
    return rows > 0 and bound_tail(count, rows, allowed) < ALPHA


def bound_tail(count: int, n: int, share: float) -> float:
    """Chernoff's upper bound of the probability that a binomial count is at least `count` (Hoeffding, 1963).

    >>> round(bound_tail(4, 4, 0.05), 7), bound_tail(5, 100, 0.05)
    (6.3e-06, 1.0)
    """
    found = count / n
    if found <= share:
        return 1.0
    rest = (1 - found) * log((1 - found) / (1 - share)) if found < 1 else 0.0
    return exp(-n * (found * log(found / share) + rest))
