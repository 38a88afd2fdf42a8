"""Serving metrics, shown on `/metrics` beside BentoML's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram


class ServingMetrics:
    """Counts batches and swaps. The client library is imported on first use, because BentoML sets the folder for the
    metrics of its worker processes at start-up.
    """

    def count_batch(self, case_name: str, n_windows: int) -> None:
        """Record one run of a graph over `n_windows` windows."""
        _batches().labels(case=case_name).observe(n_windows)

    def count_swap(self, case_name: str, outcome: Literal["served", "refused"]) -> None:
        """Count one new entry of the model store, served or refused."""
        _swaps().labels(case=case_name, outcome=outcome).inc()

    def count_new_words(self, case_name: str, unknown: Mapping[str, Sequence[str]]) -> None:
        """Count the words of a request that its model does not know, by column."""
        for column, words in unknown.items():
            _new_words().labels(case=case_name, column=column).inc(len(words))


@cache
def _batches() -> Histogram:
    from prometheus_client import Histogram

    text = "Windows answered by one run of a graph"
    return Histogram("okawari_batch_windows", text, ["case"], buckets=[2**power for power in range(10)])


@cache
def _new_words() -> Counter:
    from prometheus_client import Counter

    return Counter("okawari_new_words", "Words in requests that the model does not know", ["case", "column"])


@cache
def _swaps() -> Counter:
    from prometheus_client import Counter

    return Counter("okawari_swaps", "New entries of the model store, by outcome", ["case", "outcome"])
