"""The journal: no line is lost, torn or mixed, whoever writes, rotates or dies meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from okawari.polling import poll
from okawari.storage.journal import Journal, close_abandoned, list_segments


def _read(folder: Path) -> list[int]:
    return [row["n"] for segment in list_segments(folder, "predictions") for row in segment.rows()]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal of three rows a segment, whose age does not matter."""
    journal = Journal(tmp_path, "predictions", segment_rows=3, segment_s=3600)
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


def test_an_old_segment_is_closed_though_no_further_row_comes(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "predictions", segment_s=0.05)
    journal.append([{"n": 1}])
    _await(lambda: [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True])
    journal.append([{"n": 2}])
    assert _read(tmp_path) == [1, 2]


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


# --- writers that die ---------------------------------------------------------------------------------------------

_WRITE_AND_WAIT = """
import sys, time
from pathlib import Path
from okawari.storage.journal import Journal

Journal(Path(sys.argv[1]), "predictions", segment_s=3600).append([{"n": 1}, {"n": 2}])
print("written", flush=True)
time.sleep(3600)
"""


@contextmanager
def _run_writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has written two rows and holds its segment."""
    command = [sys.executable, "-c", _WRITE_AND_WAIT, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        yield writer
        writer.kill()


def test_the_segment_of_a_killed_writer_is_closed_by_the_next_writer_of_the_folder(tmp_path: Path) -> None:
    with _run_writer(tmp_path) as writer:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [False], "nobody knows yet"
    Journal(tmp_path, "predictions")
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [True]
    assert _read(tmp_path) == [1, 2]


def test_the_segment_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    with _run_writer(tmp_path):
        Journal(tmp_path, "predictions")
        assert close_abandoned(tmp_path, "predictions") == 0
        assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [False]


def test_two_writers_of_one_process_leave_each_other_alone(tmp_path: Path, journal: Journal) -> None:
    journal.append([{"n": 1}])
    other = Journal(tmp_path, "predictions")
    other.append([{"n": 2}])
    assert [segment.closed for segment in list_segments(tmp_path, "predictions")] == [False, False]
    other.close()


def test_writers_that_start_while_others_rotate_lose_no_line(tmp_path: Path) -> None:
    def write(start: int) -> None:
        for n in range(start, start + 50):
            journal = Journal(tmp_path, "predictions", segment_rows=1)
            journal.append([{"n": n}])
            journal.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(0, 300, 50)))
    assert sorted(_read(tmp_path)) == list(range(300))


@pytest.mark.filterwarnings("error")
def test_a_torn_last_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "1-1.open"
    _write(path, '{"n":1}\n{"n":2,"wor')
    assert _read(tmp_path) == [1]
    _write(path, '{"n":1}\n{"n":2,"word":"so"}\n')
    assert _read(tmp_path) == [1, 2]


def test_a_line_of_noise_costs_itself_only_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "predictions" / "1-1.jsonl"
    _write(path, "")
    path.write_bytes(b'{"n":1}\n\x00\x00\xff\n{"n":2}\n')
    with pytest.warns(UserWarning, match=r"1-1.jsonl has a line that is not valid JSON; it is skipped"):
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


def _await(holds: Callable[[], bool]) -> None:
    assert poll(holds, every_s=0.01, timeout_s=20)
