"""The group, with small real programs: what starts, what is started again, and that nothing is ever left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from okawari.local import supervisor as group_module
from okawari.local.programs import GROUP_MARK, Program, build_environment
from okawari.local.supervisor import CannotStart, Group, is_group_running, require_free_ports, run_group, stop_leftovers
from okawari.settings import Settings, adopt_settings, load_settings

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


def _end(group: Group, name: str) -> None:
    """Kill a program of the group and wait until it is dead."""
    os.kill(group.pid(name), signal.SIGKILL)
    next(child for child in group.children if child.program.name == name).process.wait()


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


def test_a_log_that_has_grown_too_long_is_put_aside(
    group: Group, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_module, "_LOG_LIMIT_BYTES", 5)
    settings.logs_dir.mkdir(parents=True)
    (settings.logs_dir / "worker.log").write_text("old lines")
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", "print('new')")])
    group.children[-1].process.wait()
    assert (settings.logs_dir / "worker.old.log").read_text() == "old lines"
    assert (settings.logs_dir / "worker.log").read_text() == "new\n"


# --- watch --------------------------------------------------------------------------------------------------------


def test_a_dead_program_is_started_again_and_a_living_one_left_alone(
    group: Group, settings: Settings, shown: list[str]
) -> None:
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", FOREVER)])
    before = group.pid("prefect"), group.pid("worker")
    assert group.watch() == []
    _end(group, "worker")
    assert group.watch() == ["worker"]
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
    _end(group, "service")
    assert group.watch() == ["service"]
    group._wait_ready(service)
    after = set(_processes_marked(settings))
    assert before & after == others
    assert len(after) == 4


def test_a_program_that_keeps_dying_is_given_up_with_a_sentence(group: Group, settings: Settings) -> None:
    group.start([_server("prefect", settings.prefect_port), _program("worker", "-c", "")])
    for _ in range(5):
        group.children[-1].process.wait()
        assert group.watch() == ["worker"]
    group.children[-1].process.wait()
    with pytest.raises(CannotStart, match=r"The small worker ended 6 times; see .*worker.log"):
        group.watch()


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
    with group_module._hold_lock(settings):  # as a running group does
        assert is_group_running(settings)
        with (
            pytest.raises(CannotStart, match=f"already runs on {settings.state_dir}.*set OKAWARI_HOME to another"),
            run_group(settings, shown.append),
        ):
            pass
        assert _processes_marked(settings) == shown == []
    assert not is_group_running(settings)


def test_a_group_on_another_home_is_not_in_the_way(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"home": tmp_path / "other"})
    with group_module._hold_lock(other):
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
