"""Polling: real clocks with short waits, counted calls, and errors that come out as they were raised."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from okawari.polling import poll, retry_for, retry_with_backoff


class Calls:
    """A call whose results come in turn, the last one for ever; errors among them are raised."""

    def __init__(self, results: Iterable[Any]) -> None:
        self.results = list(results)
        self.n = 0

    def __call__(self) -> Any:
        result = self.results[min(self.n, len(self.results) - 1)]
        self.n += 1
        if isinstance(result, Exception):
            raise result
        return result


def test_polling_returns_the_first_result_that_is_true() -> None:
    look = Calls([None, False, [], "here", "too late"])
    assert poll(look, every_s=0.001, timeout_s=30) == "here"
    assert look.n == 4


@pytest.mark.parametrize("empty", [None, False, []])
def test_polling_without_a_result_ends_with_none_after_the_time_limit(empty: object) -> None:
    look = Calls([empty])
    assert poll(look, every_s=0.001, timeout_s=0.02) is None
    assert look.n > 1


def test_polling_looks_once_even_without_time() -> None:
    look = Calls(["here"])
    assert poll(look, every_s=1, timeout_s=0) == "here"


def test_an_error_ends_polling_at_once() -> None:
    look = Calls([None, ValueError("ended while starting"), "here"])
    with pytest.raises(ValueError, match="ended while starting"):
        poll(look, every_s=0.001, timeout_s=30)
    assert look.n == 2


RETRIES: dict[str, Callable[[Calls], Any]] = {
    "for a time": lambda call: retry_for(call, errors=(OSError,), every_s=0.001, timeout_s=0.02),
    "with backoff": lambda call: retry_with_backoff(call, errors=(OSError,), n_attempts=3, first_wait_s=0.001),
}


@pytest.mark.parametrize("retry", RETRIES.values(), ids=RETRIES)
def test_a_call_is_repeated_while_it_raises_the_named_errors(retry: Callable[[Calls], Any]) -> None:
    call = Calls([OSError(), ConnectionError(), None])
    assert retry(call) is None
    assert call.n == 3


@pytest.mark.parametrize("retry", RETRIES.values(), ids=RETRIES)
def test_any_other_error_is_raised_at_once(retry: Callable[[Calls], Any]) -> None:
    call = Calls([KeyError("key"), "result"])
    with pytest.raises(KeyError, match="key"):
        retry(call)
    assert call.n == 1


@pytest.mark.parametrize("retry", RETRIES.values(), ids=RETRIES)
def test_the_newest_error_is_raised_in_the_end(retry: Callable[[Calls], Any]) -> None:
    call = Calls([OSError("first"), OSError("last")])
    with pytest.raises(OSError, match="last"):
        retry(call)
    assert call.n > 1


def test_backoff_makes_as_many_attempts_as_allowed() -> None:
    call = Calls([OSError("busy")])
    with pytest.raises(OSError, match="busy"):
        retry_with_backoff(call, errors=(OSError,), n_attempts=4, first_wait_s=0.0)
    assert call.n == 4
