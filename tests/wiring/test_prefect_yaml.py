"""Prefect drops unknown trigger keys in silence, and an empty `expect` matches every event: so prefect.yaml is held
against the code and against Prefect's own models here."""

from __future__ import annotations

import os

os.environ["DO_NOT_TRACK"] = "1"  # read while Prefect is imported

import asyncio
import inspect
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import Flow
from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, RawScheduleConfig, WorkPoolConfig
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.server.utilities.user_templates import maybe_template, render_user_template_sync
from pydantic import ValidationError

from flows.publish import build_resource
from okawari import events
from okawari.cases.loader import load_case
from okawari.clients.orchestrator import URGENT_QUEUE
from okawari.clients.run_queue import DERIVED_FLOWS
from okawari.local.programs import WORK_POOL, build_environment, list_programs
from okawari.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "prefect.yaml").read_text()
DEPLOYMENTS: dict[str, dict[str, Any]] = {each["name"]: each for each in yaml.safe_load(TEXT)["deployments"]}
TRIGGERS = [(name, trigger) for name, each in DEPLOYMENTS.items() for trigger in each.get("triggers", [])]
SCHEDULES = [(name, schedule) for name, each in DEPLOYMENTS.items() for schedule in each.get("schedules", [])]

CASE = load_case("aapl")
TRACE = "5f" * 16
REASON = 'log_range moved {by "0.6"}: 100 %'

each_deployment = pytest.mark.parametrize("name", DEPLOYMENTS)
each_trigger = pytest.mark.parametrize(
    ("name", "trigger"), TRIGGERS, ids=[f"{name}: {trigger['name']}" for name, trigger in TRIGGERS]
)
each_schedule = pytest.mark.parametrize(
    ("name", "schedule"), SCHEDULES, ids=[f"{name}: {schedule['slug']}" for name, schedule in SCHEDULES]
)


class KnownTrigger(DeploymentEventTrigger, extra="forbid"):
    """Prefect's own trigger, but a key that it does not know is an error."""


@pytest.fixture
def load_flow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load a deployment's flow as a runner does: by its entrypoint, from the checkout."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return lambda name: load_flow_from_entrypoint(DEPLOYMENTS[name]["entrypoint"])


def _check_parameters(flow: Flow[..., Any], parameters: dict[str, Any]) -> None:
    inspect.signature(flow.fn).bind(**parameters)
    flow.validate_parameters(parameters)


# --- deployments --------------------------------------------------------------------------------------------------


def test_every_flow_file_is_deployed() -> None:
    files = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "prefect_server", "publish"}
    assert set(DEPLOYMENTS) == files


@each_deployment
def test_the_entrypoint_is_a_flow_of_the_deployments_name(name: str, load_flow: Any) -> None:
    # `okawari.clients.orchestrator` finds a deployment as <flow>/<flow>.
    assert load_flow(name).name == name


@each_deployment
def test_a_deployment_has_only_keys_that_prefect_knows(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    assert set(deployment) <= set(DeploymentConfig.model_fields)
    assert set(deployment["work_pool"]) <= set(WorkPoolConfig.model_fields)
    assert set(deployment.get("concurrency_limit", {})) <= set(ConcurrencyLimitSpec.model_fields)
    DeploymentConfig.model_validate(deployment)


@each_deployment
def test_a_deployment_runs_one_at_a_time_in_our_work_pool(name: str) -> None:
    """A run of `train` finds out by itself whether it may train, and ends otherwise: it must never wait for another."""
    assert DEPLOYMENTS[name]["work_pool"] == {"name": WORK_POOL, "work_queue_name": "default"}
    limit = None if name == "train" else {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert DEPLOYMENTS[name].get("concurrency_limit") == limit


def test_what_a_person_waits_for_has_a_queue_of_its_own() -> None:
    queues = {deployment["work_pool"]["work_queue_name"] for deployment in DEPLOYMENTS.values()}
    assert URGENT_QUEUE not in queues


def test_only_flows_that_the_records_start_again_are_cleared() -> None:
    """An ingest may read a file that nothing names again, and a person asked for a score or a quantization."""
    assert set(DEPLOYMENTS) - set(DERIVED_FLOWS) == {"ingest", "quantize", "score"}


@pytest.mark.parametrize("trainings", [1, 4])
def test_the_runner_has_room_for_other_runs_beside_all_trainings(trainings: int) -> None:
    [worker] = [each for each in list_programs(Settings(trainings=trainings)) if each.name == "worker"]
    limit = int(worker.command[worker.command.index("--limit") + 1])
    assert limit >= trainings + 3


def test_every_variable_of_the_file_is_in_the_environment_that_it_is_applied_in() -> None:
    variables = set(re.findall(r"\{\{ *\$(\w+) *\}\}", TEXT))
    assert variables
    assert variables <= set(build_environment(Settings()))


# --- schedules ----------------------------------------------------------------------------------------------------


@each_schedule
def test_a_schedule_is_valid_and_its_parameters_fit_the_flow(
    name: str, schedule: dict[str, Any], load_flow: Any
) -> None:
    known = RawScheduleConfig.model_validate(schedule)
    if known.cron is not None:
        CronSchedule(cron=known.cron, timezone=known.timezone)
    else:
        assert known.interval is not None
        IntervalSchedule(interval=known.interval)
    _check_parameters(load_flow(name), known.parameters)


# --- triggers -----------------------------------------------------------------------------------------------------


@each_trigger
def test_a_trigger_has_only_keys_that_prefect_knows(name: str, trigger: dict[str, Any]) -> None:
    KnownTrigger.model_validate(trigger)


@each_trigger
@pytest.mark.parametrize("slip", ["expects", "foreach", "parameter", "matches"])
def test_a_slip_in_a_key_would_be_noticed(name: str, trigger: dict[str, Any], slip: str) -> None:
    with pytest.raises(ValidationError, match=slip):
        KnownTrigger.model_validate({**trigger, slip: []})


@each_trigger
def test_a_trigger_expects_events_that_exist_of_one_case_at_a_time(name: str, trigger: dict[str, Any]) -> None:
    known = KnownTrigger.model_validate(trigger)
    assert known.expect
    assert known.expect <= set(events.ALL)
    assert known.for_each == {"prefect.resource.id"}
    assert (known.posture.value, known.threshold) == ("Reactive", 1)
    assert known.within.total_seconds() >= 5, "a storm of events would start a run for each of them"


def _emit_sample(trigger: dict[str, Any], *, is_duplicate: bool = False) -> ReceivedEvent:
    """The event as the server receives it; its payload holds what every event that asks for a training tells."""
    return ReceivedEvent(
        id=uuid4(),
        event=trigger["expect"][0],
        occurred=datetime.now(UTC),
        received=datetime.now(UTC),
        resource=build_resource(CASE, TRACE, is_duplicate),
        payload={"reason": REASON},
    )


@each_trigger
def test_a_trigger_takes_the_events_that_the_flows_emit(name: str, trigger: dict[str, Any]) -> None:
    known = KnownTrigger.model_validate(trigger)
    assert known.match.matches(_emit_sample(trigger).resource)


@each_trigger
def test_every_template_renders_to_what_the_event_says(name: str, trigger: dict[str, Any], load_flow: Any) -> None:
    event = _emit_sample(trigger)
    rendered = {key: render_user_template_sync(value, {"event": event}) for key, value in trigger["parameters"].items()}
    # A template that names what an event lacks renders to nothing, without an error.
    expected = {"case": "aapl", "reason": REASON, "cause_id": TRACE}
    templated = {key: rendered[key] for key, value in trigger["parameters"].items() if maybe_template(value)}
    assert templated == {key: expected[key] for key in templated}
    _check_parameters(load_flow(name), rendered)


@pytest.mark.parametrize("event", events.RETRAIN_CAUSES)
def test_each_cause_to_retrain_has_exactly_one_trigger_and_names_itself(event: str) -> None:
    causes = [trigger["parameters"].get("cause") for name, trigger in TRIGGERS if event in trigger["expect"]]
    assert causes == [events.RETRAIN_CAUSES[event]]


def test_nothing_else_starts_a_training() -> None:
    expected = [name for deployment, trigger in TRIGGERS if deployment == "train" for name in trigger["expect"]]
    assert sorted(expected) == sorted(events.RETRAIN_CAUSES)


def test_what_was_asked_for_already_starts_no_second_training() -> None:
    [trigger] = [each for _, each in TRIGGERS if events.PERFORMANCE_DEGRADED in each["expect"]]
    assert not KnownTrigger.model_validate(trigger).match.matches(_emit_sample(trigger, is_duplicate=True).resource)


def test_new_data_is_watched_by_exactly_one_trigger() -> None:
    assert [name for name, trigger in TRIGGERS if events.DATA_INGESTED in trigger["expect"]] == ["monitor"]


def test_every_event_is_emitted_by_some_flow() -> None:
    folders = (ROOT / "flows", ROOT / "src" / "okawari" / "training", ROOT / "src" / "okawari" / "loop")
    written = "\n".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    names = {name for name, value in vars(events).items() if isinstance(value, str) and value in events.ALL}
    assert len(names) == len(events.ALL)
    assert {name for name in names if f"events.{name}" not in written} == set()


def test_the_local_server_keeps_one_connection_to_its_file(tmp_path: Path) -> None:
    """More than one lock each other out; which address brings Prefect to that is its own affair and may change."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    url = build_environment(Settings(home=tmp_path))["PREFECT_SERVER_DATABASE_CONNECTION_URL"]

    async def count() -> tuple[int, str | None]:
        engine = await AioSqliteConfiguration(url).engine()
        try:
            return engine.pool.size() + engine.pool._max_overflow, engine.url.database  # type: ignore[attr-defined]
        finally:
            await engine.dispose()

    assert asyncio.run(count()) == (1, str(tmp_path / "prefect" / "prefect.db"))


def test_a_database_of_the_users_own_goes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://prefect@db/prefect")
    assert build_environment(Settings())["PREFECT_SERVER_DATABASE_CONNECTION_URL"].startswith("postgresql")
