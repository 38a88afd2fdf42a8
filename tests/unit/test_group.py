"""The group, with small real programs: what starts, what is started again, and that nothing is ever left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from okawari.local.log_files import rotate_log
from okawari.local.processes import CannotStart, require_free_ports, stop_leftovers
from okawari.local.programs import GROUP_MARK, Program, build_environment
from okawari.local.restarts import MAX_PER_HOUR, QUIET_S, RestartBudget
from okawari.local.supervisor import Group, run_group
from okawari.polling import poll
from okawari.settings import Settings, adopt_settings, load_settings
from okawari.storage.group_lock import AlreadyRuns, hold_group_lock, is_group_running

PREFECT = Path(__file__).with_name("small_prefect.py")
FOREVER = "import signal; print('up', flush=True); signal.pause()"


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-u", *arguments)


def _program(name: str, *arguments: str, port: int | None = None) -> Program:
    return Program(
        name=name,
        title=f"small {name}",
        command=_python(*arguments),
        port=port,
        port_setting=f"OKAWARI_{name.upper()}_PORT",
        ready_path=None if port is None else "/",
        deploy=_python(str(PREFECT), "--no-prompt", "deploy", "--all") if name == "prefect" else (),
    )


def _server(name: str, port: int) -> Program:
    return _program(name, str(PREFECT), "serve", str(port), port=port)


@pytest.fixture
def settings(home: Path, tmp_path: Path, free_port: int) -> Settings:
    """The settings of an installation of this test's own."""
    (tmp_path / "checkout").mkdir()
    adopt_settings(Settings(home=home, root=tmp_path / "checkout", prefect_port=free_port))
    return load_settings()


@pytest.fixture
def shown() -> list[str]:
    """What the group told the person."""
    return []


@pytest.fixture
def group(settings: Settings, shown: list[str]) -> Iterator[Group]:
    """A group that has not started anything yet."""
    group = Group(settings, shown.append, build_environment(settings))
    yield group
    group.stop()


def _processes_marked(settings: Settings) -> list[int]:
    return [process.pid for process in psutil.process_iter() if _mark(process) == str(settings.state_dir)]


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(GROUP_MARK)
    except (psutil.Error, OSError):
        return None


def _kill(group: Group, name: str) -> None:
    os.kill(group.pid(name), signal.SIGKILL)


def _await_restarts(group: Group, name: str, count: int) -> None:
    child = next(child for child in group.children if child.program.name == name)
    assert poll(lambda: child.n_restarts >= count, every_s=0.05, timeout_s=30)


# --- start and stop -----------------------------------------------------------------------------------------------


def test_servers_answer_before_runners_start_and_nothing_is_left_after_stop(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", FOREVER)])
    assert httpx.get(settings.prefect_base).status_code == 200
    assert (settings.state_dir / "deployed").exists()
    assert shown == ["Starting the small prefect", "Applying prefect.yaml", "Starting the small worker"]
    assert set(_processes_marked(settings)) == {group.pid("prefect"), group.pid("worker")}
    group.stop()
    assert _processes_marked(settings) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(settings.prefect_base)


@pytest.mark.slow
def test_what_a_program_started_on_its_own_is_stopped_too(group: Group, settings: Settings) -> None:
    child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}], start_new_session=True)"
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", child)])
    group.children[-1].process.wait()
    assert len(_processes_marked(settings)) == 2
    group.stop()
    assert _processes_marked(settings) == []


def test_a_program_that_dies_while_starting_is_told_with_the_end_of_its_log(group: Group, settings: Settings) -> None:
    failing = _program("mlflow", "-c", "raise SystemExit('the disk is full')", port=settings.mlflow_port)
    with pytest.raises(
        CannotStart, match=r"(?s)small mlflow ended while starting. Its log .*mlflow.log.* disk is full"
    ):
        group.start([failing])


def test_a_deployment_that_cannot_be_applied_is_told_with_its_reason(group: Group, settings: Settings) -> None:
    group.environment["DEPLOY_FAILS"] = "line 7 is no YAML"
    with pytest.raises(CannotStart, match=r"(?s)prefect.yaml could not be applied:.*line 7 is no YAML"):
        group.start([_server("prefect", settings.prefect_port)])


def test_programs_run_in_the_checkout_and_write_to_a_log_of_their_own(group: Group, settings: Settings) -> None:
    told = "import os; print(os.getcwd(), os.environ['OKAWARI_HOME'], flush=True)"
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", told)])
    group.children[-1].process.wait()
    assert (settings.logs_dir / "worker.log").read_text().split() == [str(settings.root), str(settings.state_dir)]


@pytest.mark.fault
def test_a_log_rotates_while_its_program_writes_to_it_and_no_line_is_lost(group: Group, settings: Settings) -> None:
    """A program that is never started again; five lines are written in the time in which a log is looked at once."""
    group.log_limit_bytes = 400
    writing = "import time\nfor n in range(40): print(f'line {n:03d}', '.' * 40, flush=True); time.sleep(0.1)"
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", writing)])
    process = group.children[-1].process
    before = process.pid
    assert process.wait() == 0
    names = ["worker.3.log", "worker.2.log", "worker.1.log", "worker.log"]
    group.stop()
    written = "".join((settings.logs_dir / name).read_text() for name in names if (settings.logs_dir / name).exists())
    assert before == process.pid
    assert {path.name for path in settings.logs_dir.glob("worker*")} >= {"worker.1.log", "worker.2.log", "worker.log"}
    numbers = [int(line.split()[1]) for line in written.splitlines() if line.startswith("line")]
    assert numbers == list(range(numbers[0], 40))
    assert len(numbers) >= 20


def test_only_three_old_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "page.log"
    for number in range(6):
        log.write_text(f"log {number}")
        assert rotate_log(log, limit_bytes=3)
    assert not rotate_log(log, limit_bytes=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.1.log", "page.2.log", "page.3.log", "page.log"]
    assert [(tmp_path / f"page.{n}.log").read_text() for n in (1, 2, 3)] == ["log 5", "log 4", "log 3"]


# --- watch --------------------------------------------------------------------------------------------------------


@pytest.mark.fault
def test_a_dead_program_is_started_again_at_once_and_a_living_one_left_alone(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", FOREVER)])
    before = group.pid("prefect"), group.pid("worker")
    _kill(group, "worker")
    _await_restarts(group, "worker", 1)
    assert shown[-1] == "The small worker ended with -9; starting it again."
    assert group.pid("prefect") == before[0]
    assert group.pid("worker") != before[1]
    assert psutil.pid_exists(group.pid("worker"))


@pytest.mark.slow
def test_a_server_comes_back_though_a_worker_of_the_killed_one_still_holds_its_port(
    group: Group, settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    fork = "import subprocess, sys; subprocess.run([*sys.argv[1:]], start_new_session=True)"
    service = _program("service", "-c", fork, *_python(str(PREFECT), "serve", str(port)), port=port)
    group.start([_server("prefect", settings.prefect_port), service, _program("worker", "-c", FOREVER)])
    others, before = {group.pid("prefect"), group.pid("worker")}, set(_processes_marked(settings))
    _kill(group, "service")
    _await_restarts(group, "service", 1)
    group._wait_ready(service)
    after = set(_processes_marked(settings))
    assert before & after == others
    assert len(after) == 4


@pytest.mark.fault
def test_a_server_that_dies_while_another_one_still_starts_is_started_again(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    """The first one is ready and dies; the second one listens only after the first one has come back."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    wait = f"""
import os, pathlib, runpy, sys, time
flag = pathlib.Path(os.environ["OKAWARI_HOME"], "go")
while not flag.exists(): time.sleep(0.05)
sys.argv = ["small_prefect", "serve", "{port}"]
runpy.run_path({str(PREFECT)!r}, run_name="__main__")
"""
    slow = _program("service", "-c", wait, port=port)
    started = threading.Thread(target=group.start, args=([_server("prefect", settings.prefect_port), slow],))
    started.start()
    assert poll(lambda: any(child.watched for child in group.children), every_s=0.05, timeout_s=30)
    _kill(group, "prefect")
    _await_restarts(group, "prefect", 1)
    group._wait_ready(group.children[0].program)
    assert started.is_alive()
    (settings.state_dir / "go").touch()
    started.join(60)
    assert not started.is_alive()
    assert "Applying prefect.yaml" in shown
    assert (settings.state_dir / "deployed").exists()


@pytest.mark.fault
def test_a_program_that_keeps_dying_is_started_with_growing_pauses_and_stops_no_other(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    group.start(
        [_server("prefect", settings.prefect_port), _program("worker", "-c", ""), _program("ui", "-c", FOREVER)]
    )
    before = group.pid("prefect"), group.pid("ui")
    _await_restarts(group, "worker", 3)
    assert [line for line in shown if "ended" in line][:3] == [
        "The small worker ended with 0; starting it again.",
        "The small worker ended with 0; starting it again in 1 s.",
        "The small worker ended with 0; starting it again in 2 s.",
    ]
    assert (group.pid("prefect"), group.pid("ui")) == before
    assert psutil.pid_exists(before[0]) and psutil.pid_exists(before[1])


@pytest.mark.fault
def test_a_program_without_budget_is_mentioned_once_and_tried_later(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", "import time; time.sleep(1)")])
    now = time.monotonic()
    for number in range(MAX_PER_HOUR):  # as many ends as are allowed, minutes ago
        group.children[-1].budget.plan_restart(now - 3000 + number, ran_s=1.0)
    group.children[-1].process.wait()
    assert poll(lambda: any("too often" in line for line in shown), every_s=0.1, timeout_s=10)
    time.sleep(2)
    told = [line for line in shown if "worker" in line and "Starting" not in line]
    assert len(told) == 1
    assert "it is started every 10 minutes" in told[0] and str(settings.logs_dir / "worker.log") in told[0]
    assert group.children[-1].due_at is not None and 500 < group.children[-1].due_at - time.monotonic() <= 600
    assert httpx.get(settings.prefect_base).status_code == 200


@pytest.mark.fault
def test_a_program_whose_start_fails_is_tried_again_and_the_others_are_watched(
    group: Group, settings: Settings, shown: list[str], tmp_path: Path
) -> None:
    """Its executable is gone for a while, as during an update."""
    executable = tmp_path / "python"
    executable.symlink_to(sys.executable)
    fragile = Program(name="worker", title="small worker", command=(str(executable), "-c", FOREVER))
    group.start([_server("prefect", settings.prefect_port), fragile, _program("ui", "-c", FOREVER)])
    executable.unlink()
    _kill(group, "worker")
    assert poll(lambda: any("cannot be watched" in line for line in shown), every_s=0.1, timeout_s=10)
    _kill(group, "ui")
    _await_restarts(group, "ui", 1)
    executable.symlink_to(sys.executable)
    _await_restarts(group, "worker", 1)


# --- budget ---------------------------------------------------------------------------------------------------------


def test_pauses_grow_to_two_minutes_and_a_quiet_time_ends_them() -> None:
    budget = RestartBudget()
    pauses = [budget.plan_restart(600.0 * n, ran_s=1.0).pause_s for n in range(10)]
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert budget.plan_restart(6001.0, ran_s=QUIET_S).pause_s == 0


def test_six_deaths_over_months_are_six_first_deaths() -> None:
    budget, month = RestartBudget(), 30 * 86400.0
    restarts = [budget.plan_restart(n * month, ran_s=month) for n in range(1, 7)]
    assert {restart.pause_s for restart in restarts} == {0}
    assert not any(restart.is_given_up for restart in restarts)


def test_more_deaths_than_the_hour_allows_are_said_once_until_the_program_ran_quietly() -> None:
    budget = RestartBudget()
    restarts = [budget.plan_restart(float(n), ran_s=0.5) for n in range(MAX_PER_HOUR + 3)]
    assert [restart.is_given_up for restart in restarts].count(True) == 1
    assert restarts[MAX_PER_HOUR].is_given_up
    assert {restart.pause_s for restart in restarts[MAX_PER_HOUR:]} == {600}
    assert not budget.recover(QUIET_S - 1)
    assert budget.recover(QUIET_S) and not budget.recover(QUIET_S)
    assert budget.plan_restart(5000.0, ran_s=QUIET_S).pause_s == 0


# --- what stands in the way ---------------------------------------------------------------------------------------


def test_every_taken_port_is_named_with_who_holds_it_and_the_setting_that_moves_it(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        ports = [held.getsockname()[1] for held in (one, other)]
        programs = [_server("service", ports[0]), _server("ui", ports[1]), _server("prefect", settings.prefect_port)]
        with pytest.raises(CannotStart) as refused:
            require_free_ports(settings, programs)
    lines = str(refused.value).splitlines()
    for line, port, name in zip(lines, ports, ("service", "ui"), strict=True):
        assert line.startswith(f"Port {port} (small {name}) is taken by process {os.getpid()} (")
        assert line.endswith(f"stop that program or choose another port with OKAWARI_{name.upper()}_PORT=NUMBER.")
    require_free_ports(settings, programs)


def test_a_second_group_on_the_same_home_is_refused_and_starts_nothing(settings: Settings, shown: list[str]) -> None:
    with hold_group_lock(settings):  # as a running group does
        assert is_group_running(settings)
        with (
            pytest.raises(AlreadyRuns, match=f"already runs on {settings.state_dir}.*set OKAWARI_HOME to another"),
            run_group(settings, shown.append),
        ):
            pass
        assert _processes_marked(settings) == shown == []
    assert not is_group_running(settings)


def test_a_group_on_another_home_is_not_in_the_way(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"home": tmp_path / "other"})
    with hold_group_lock(other):
        assert not is_group_running(settings)


# --- leftovers ----------------------------------------------------------------------------------------------------

KILLED_GROUP = """
import signal, sys
sys.path.insert(0, {folder!r})
from test_group import FOREVER, _program, _server
from okawari.local.supervisor import Group
from okawari.local.programs import build_environment
from okawari.settings import load_settings
settings = load_settings()
group = Group(settings, lambda line: None, build_environment(settings))
group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", FOREVER)])
print("started", flush=True)
signal.pause()
"""


def test_what_a_killed_group_left_behind_is_found_and_stopped(settings: Settings) -> None:
    killed = KILLED_GROUP.format(folder=str(Path(__file__).parent))
    with subprocess.Popen(_python("-c", killed), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        running.kill()
    left = _processes_marked(settings)
    assert len(left) == 2
    assert stop_leftovers(settings) == 2
    assert _processes_marked(settings) == []
    assert stop_leftovers(settings) == 0


@pytest.mark.parametrize("mark", [None, "/somewhere/else"])
def test_processes_without_this_groups_mark_are_left_alone(mark: str | None, settings: Settings) -> None:
    environment = {**os.environ, **({} if mark is None else {GROUP_MARK: mark})}
    with subprocess.Popen(_python("-c", FOREVER), stdout=subprocess.PIPE, env=environment) as stranger:
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline() == b"up\n"
            assert stop_leftovers(settings) == 0
            assert stranger.poll() is None
        finally:
            stranger.kill()
