"""Repeated calls: until there is a result, or while temporary errors occur. Only home of tenacity."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

Result = TypeVar("Result")
Errors = tuple[type[Exception], ...]


def poll(look: Callable[[], Result | None], *, every_s: float, timeout_s: float) -> Result | None:
    """The first result of `look` that is true (not None, False or empty); None if there is none after `timeout_s`.

    `look` is called at least once. An error in `look` ends the polling and is raised.

    >>> marks = iter([None, [], "done"])
    >>> poll(lambda: next(marks), every_s=0.0, timeout_s=5.0)
    'done'
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda found: not found),
        wait=tenacity.wait_fixed(every_s),
        stop=tenacity.stop_after_delay(timeout_s),
        retry_error_callback=lambda _: None,
    )
    return attempts(look)


def retry_for(call: Callable[[], Result], *, errors: Errors, every_s: float, timeout_s: float) -> Result:
    """The result of `call`, which is repeated while it raises one of `errors`, for up to `timeout_s`.

    Raises:
        Exception: any other error at once, or the last one of `errors` after `timeout_s`.
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        wait=tenacity.wait_fixed(every_s),
        stop=tenacity.stop_after_delay(timeout_s),
        reraise=True,
    )
    return attempts(call)


def retry_with_backoff(call: Callable[[], Result], *, errors: Errors, n_attempts: int, first_wait_s: float) -> Result:
    """The result of `call`, which is repeated while it raises one of `errors`, up to `n_attempts` times.

    The wait before the next attempt is random, so that callers in conflict do not retry together: between 0 and
    `first_wait_s`, twice that after the second attempt, and so on ("full jitter").

    Raises:
        Exception: any other error at once, or the last one of `errors` after the last attempt.
    """
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(errors),
        wait=tenacity.wait_random_exponential(multiplier=first_wait_s),
        stop=tenacity.stop_after_attempt(n_attempts),
        reraise=True,
    )
    return attempts(call)
