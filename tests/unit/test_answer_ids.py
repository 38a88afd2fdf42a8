"""Ids of answers: recognised by every replica of an installation, for their case only, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from okawari.case import Serving
from okawari.errors import InvalidInput
from okawari.security import secrets
from okawari.security.answer_ids import MAX_INSTANCES, AnswerIds
from okawari.settings import load_settings


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], AnswerIds]]:
    """Make the ids of case aapl in an installation with this secret."""

    def make(secret: str) -> AnswerIds:
        monkeypatch.setenv("OKAWARI_SECRET", secret)
        monkeypatch.setenv("OKAWARI_HOME", str(tmp_path))
        load_settings.cache_clear()
        return AnswerIds("aapl")

    yield make
    load_settings.cache_clear()
    secrets._read_or_make.cache_clear()


@pytest.mark.parametrize("n_instances", [1, 255, 256, MAX_INSTANCES])
def test_another_replica_recognises_an_id_and_its_number_of_instances(install, n_instances: int) -> None:
    one, other = install("s" * 32), install("s" * 32)
    issued = one.issue(n_instances)
    assert len(issued) == 40
    assert other.count_instances(issued) == n_instances


def test_ids_are_not_repeated(install) -> None:
    ids = install("s" * 32)
    assert len({ids.issue(1) for _ in range(1000)}) == 1000


def test_an_id_of_another_case_or_installation_is_not_recognised(install) -> None:
    issued = install("s" * 32).issue(1)
    assert AnswerIds("blobs").count_instances(issued) is None
    assert install("t" * 32).count_instances(issued) is None


def test_an_id_with_one_changed_digit_is_not_recognised(install) -> None:
    ids = install("s" * 32)
    issued = ids.issue(3)
    for place, digit in enumerate(issued):
        forged = issued[:place] + ("0" if digit != "0" else "1") + issued[place + 1 :]
        assert ids.count_instances(forged) is None


_KNOWN = AnswerIds.__new__(AnswerIds)
_KNOWN._prefix, _KNOWN._secret = b"aapl\0", b"s" * 32


@given(st.text("0123456789abcdef", min_size=40, max_size=40))
def test_a_guessed_id_is_not_recognised(guess: str) -> None:
    assert _KNOWN.count_instances(guess) is None


def test_a_request_has_no_more_instances_than_an_id_can_name() -> None:
    with pytest.raises(InvalidInput, match=r"Serving\.max_instances is 65536; use 1 to 65535"):
        Serving(max_instances=MAX_INSTANCES + 1)
