"""The journal: no line is lost, torn or mixed, whoever writes, rotates or dies meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from okawari.storage.journal import Journal, list_segments


def _read(folder: Path) -> list[int]:
    return [row["n"] for segment in list_segments(folder, "predictions") for row in segment.rows()]


@pytest.fixture
def dead_pid() -> int:
    """The id of a process that is no more."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of three rows a segment."""
    journal = Journal(tmp_path, "predictions", segment_rows=3)
    yield journal
    journal.close()


def test_a_row_can_be_read_the_moment_it_is_written(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}, {"n": 2}])
    assert _read(tmp_path) == [1, 2]
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [False]


def test_a_full_segment_is_closed_and_the_next_one_opened(tmp_path: Path, journal: Journal) -> None:
    for n in range(7):
        journal.append([{"n": n}])
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True, True, False]
    assert _read(tmp_path) == list(range(7))


def test_an_old_segment_is_closed_by_the_next_row(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "predictions", segment_s=-1)
    journal.append([{"n": 1}])
    journal.append([{"n": 2}])
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True, False]


def test_closing_leaves_no_open_segment_and_writing_goes_on_after_it(tmp_path: Path, journal: Journal) -> None:
    journal.close()
    assert list_segments(tmp_path, "predictions") == []
    journal.append([{"n": 1}])
    journal.close()
    journal.append([{"n": 2}])
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True, False]
    assert _read(tmp_path) == [1, 2]


def test_threads_do_not_mix_their_lines_or_lose_one(tmp_path: Path, journal: Journal) -> None:
    wide = "x" * 5000
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: journal.append([{"n": 2 * n, "w": wide}, {"n": 2 * n + 1, "w": wide}]), range(100)))
    assert sorted(_read(tmp_path)) == list(range(200))


def test_kinds_are_kept_apart(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}])
    assert list_segments(tmp_path, "outcomes") == []


def test_the_segment_of_a_dead_writer_counts_as_closed(tmp_path: Path, dead_pid: int) -> None:
    _write(tmp_path / "predictions" / f"1-{dead_pid}.open", '{"n":1}\n')
    _write(tmp_path / "predictions" / f"2-{os.getpid()}.open", '{"n":2}\n')
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True, False]
    assert _read(tmp_path) == [1, 2]


def test_the_segment_of_somebody_elses_process_counts_as_open(tmp_path: Path) -> None:
    _write(tmp_path / "predictions" / "1-1.open", '{"n":1}\n')
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [False]


@pytest.mark.filterwarnings("error")
def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / f"1-{os.getpid()}.open"
    _write(path, '{"n":1}\n{"n":2,"wor')
    assert _read(tmp_path) == [1]
    _write(path, '{"n":1}\n{"n":2,"word":"so"}\n')
    assert _read(tmp_path) == [1, 2]


def test_a_line_of_noise_costs_itself_only_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "1-1.jsonl"
    _write(path, "")
    path.write_bytes(b'{"n":1}\n\x00\x00\xff\n{"n":2}\n')
    with pytest.warns(UserWarning, match=r"1-1.jsonl has a line that is no JSON; it is left out"):
        assert _read(tmp_path) == [1, 2]


def test_a_segment_that_is_closed_after_it_was_listed_is_still_read(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}])
    (listed,) = list_segments(tmp_path, "predictions")
    journal.close()
    assert [row["n"] for row in listed.rows()] == [1]


def test_a_segment_that_is_absorbed_after_it_was_listed_is_empty(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}])
    journal.close()
    (listed,) = list_segments(tmp_path, "predictions")
    listed.path.unlink()
    assert list(listed.rows()) == []


def test_a_journal_whose_folder_was_deleted_goes_on_in_a_new_one(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}, {"n": 2}, {"n": 3}])
    (listed,) = list_segments(tmp_path, "predictions")
    listed.path.unlink()
    listed.path.parent.rmdir()
    journal.append([{"n": 4}])
    assert _read(tmp_path) == [4]


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
