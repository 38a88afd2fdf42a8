"""The commands by which a person decides about versions, on a real registry and decision log, without a service."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from okawari.case import Case
from okawari.cli.versions import name_person
from okawari.errors import InvalidInput
from okawari.loop.hindrances import find_hindrance
from okawari.loop.standings import load_standing
from okawari.loop.status import read_state
from okawari.policy.decision import Action, Kind
from okawari.policy.overrides import Order, decide_promote
from okawari.registry import versions
from okawari.registry.versions import Move, Version
from okawari.settings import Settings, adopt_settings
from okawari.storage import decision_log
from okawari.training.champion import carry_out, repair_alias, settle_alias
from okawari.training.host import PlainHost

if TYPE_CHECKING:
    from tests.conftest import Said

Call = Callable[..., "Said"]
TrainVersion = Callable[..., Version]
ME = f"{getpass.getuser()}@{socket.gethostname()}"


@pytest.fixture
def two(train_version: TrainVersion, free_port: int) -> tuple[Version, Version]:
    """Two promoted versions of aapl, the second one the champion, and no service."""
    adopt_settings(Settings(service_port=free_port))
    first, second = train_version(), train_version(rows=350, growth=0.02)
    for version in (first, second):
        versions.move_champion("aapl", Move(decision_id=version.decision_id, version=version.version))
    return first, second


def _list_person() -> list[tuple[str, str]]:
    return [(row["action"], row["model_version"]) for row in decision_log.load_decisions("aapl", kind=Kind.PERSON)]


# --- orders that cannot be followed -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["promote", "aapl", "9"], "Case aapl has no registered version 9; registered are 1, 2. Choose one of"),
        (["promote", "aapl", "2"], "Version 2 of case aapl is the champion already. To keep it"),
        (["pin", "aapl", "x"], "Case aapl has no registered version x; registered are 1, 2."),
        (["unpin", "aapl"], "Case aapl has no pinned version, so nothing is held. To hold one run: okawari pin aapl"),
        (["approve", "aapl"], "No challenger of case aapl waits for approval."),
        (["reject", "aapl", "2"], "No challenger of case aapl waits for approval."),
        (["unbar", "aapl", "1"], "Version 1 of case aapl is not barred; none is barred. See: okawari versions aapl."),
        (["rollback", "tsla"], "There is no case 'tsla'; there are aapl, blobs, cpi, diabetes, digits."),
        (["versions", "tsla"], "There is no case 'tsla'"),
        (["rollback", "blobs"], "Case blobs has no champion to roll back; run: okawari run blobs."),
    ],
)
def test_an_order_that_cannot_be_followed_is_one_sentence_and_changes_nothing(
    arguments: list[str], told: str, call: Call, two: tuple[Version, Version]
) -> None:
    said = call(*arguments)
    assert (said.code, said.err.startswith(f"okawari: {told}")) == (1, True), said.err
    assert _list_person() == []
    assert versions.load_alias("aapl").version == "2"


@pytest.mark.parametrize("command", ["versions", "rollback", "unpin", "approve"])
def test_without_a_registry_each_command_says_how_to_start_it(command: str, call: Call, free_port: int) -> None:
    adopt_settings(Settings(mlflow_port=free_port, service_port=free_port))
    said = call(command, "aapl")
    assert said.code == 1
    assert re.match(rf"okawari: No MLflow server answers at http://127.0.0.1:{free_port} .*: okawari up\.", said.err)


def test_the_first_version_has_none_before_it(call: Call, train_version: TrainVersion) -> None:
    version = train_version()
    versions.move_champion("aapl", Move(decision_id=version.decision_id, version="1"))
    said = call("rollback", "aapl")
    assert said.code == 1
    assert "No version of case aapl served before version 1 and is neither barred nor equal to it" in said.err


# --- orders that change no champion -------------------------------------------------------------------------------


def test_a_pin_of_the_champion_is_recorded_with_who_and_why_and_lifted_again(
    call: Call, two: tuple[Version, Version]
) -> None:
    said = call("pin", "aapl", "2", "--reason", "audit until Friday")
    assert (said.code, said.err) == (0, "")
    assert "aapl: version pinned: version 2 stays until: okawari unpin aapl: audit until Friday" in said.out
    (row,) = decision_log.load_decisions("aapl", kind=Kind.PERSON)
    assert (row["facts"]["by"], row["model_version"], row["cause"]) == (ME, "2", two[1].decision_id)
    assert f"pinned: version 2, by {ME} (" in call("status", "aapl").out
    refused = call("promote", "aapl", "1")
    assert refused.code == 1
    assert refused.err.startswith(f"okawari: Version 2 of case aapl is pinned by {ME} (version 2 stays until")
    assert call("unpin", "aapl").code == 0
    assert load_standing("aapl").pin is None


def test_a_rejected_challenger_no_longer_waits_and_is_barred_until_that_is_lifted(
    call: Call, two: tuple[Version, Version], train_version: TrainVersion
) -> None:
    train_version(growth=0.03, action="await approval")
    assert "waiting for approval: version 3 (" in call("status", "aapl").out
    wrong = call("reject", "aapl", "1")
    assert (wrong.code, "Version 1 of case aapl does not wait for approval; version 3 does" in wrong.err) == (1, True)
    assert call("reject", "aapl", "3", "--reason", "too few outcomes").code == 0
    assert versions.load_alias("aapl").version == "2"
    shown = call("status", "aapl").out
    assert "waiting for approval" not in shown
    assert f"barred: version 3 (constant), by {ME} (" in shown
    assert "person: challenger rejected, by" in shown and "too few outcomes" in shown
    assert call("approve", "aapl").code == 1
    assert call("unbar", "aapl", "3").code == 0
    assert load_standing("aapl").bars == ()


def test_the_list_of_versions_names_the_state_of_each(
    call: Call, two: tuple[Version, Version], train_version: TrainVersion
) -> None:
    train_version(growth=0.03, action="await approval")
    call("pin", "aapl", "2")
    said = call("versions", "aapl")
    assert said.code == 0
    shown = {line.split()[0]: line for line in said.out.splitlines() if re.match(r"\d", line)}
    assert list(shown) == ["3", "2", "1"]
    assert all("constant (fp32)" in line and "RMSE 0.5" in line for line in shown.values())
    states = {version: line.split("UTC")[1].strip() for version, line in shown.items()}
    assert states == {"3": "waiting", "2": "champion, pinned", "1": "before"}


def test_a_case_without_versions_says_what_to_do(call: Call, mlflow_database: Path) -> None:
    assert "Case aapl has no versions yet; run: okawari run aapl." in call("versions", "aapl").out


def test_a_user_without_a_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])
    assert re.fullmatch(rf"user \d+@{re.escape(socket.gethostname())}", name_person())


# --- versions that cannot serve -----------------------------------------------------------------------------------


def test_a_version_that_fits_the_case_has_no_hindrance(small_case: Case, two: tuple[Version, Version]) -> None:
    assert find_hindrance(small_case, "1") is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("columns", r"Version 1 was trained on the columns open, .*; case aapl has volume, .*train the case again"),
        ("history", r"Its graph takes 12 readings of 5 columns; case aapl sends 20 of 5\. Train it again"),
        ("horizon", r"The graph answers with 3 numbers; case aapl needs 4 numbers, .*Train it again"),
    ],
)
def test_a_version_for_another_declaration_of_the_case_is_refused_before_anything_moves(
    change: str, told: str, small_case: Case, two: tuple[Version, Version]
) -> None:
    from okawari.case import Forecast

    cases = {
        "columns": replace(small_case, columns=small_case.columns[::-1]),
        "history": replace(small_case, task=Forecast(target="close", history=20, horizon=3)),
        "horizon": replace(small_case, task=Forecast(target="close", history=12, horizon=4)),
    }
    _require_refusal(cases[change], told)


def _require_refusal(case: Case, told: str) -> None:
    from okawari.loop.standings import gather_version_facts

    decision = decide_promote(gather_version_facts("aapl"), Order(by="ada@laptop"), "1")
    with pytest.raises(InvalidInput, match=rf"^Version 1 of case aapl cannot serve, so nothing is changed\. {told}"):
        carry_out(case, decision, PlainHost())
    assert _list_person() == []
    assert versions.load_alias("aapl").version == "2"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: path.write_bytes(b"something else"), "The graph of version 1 has sha256 .* its file was changed"),
        (lambda path: path.unlink(), "Run .* has no artefact variants/fp32.onnx"),
    ],
)
def test_a_version_with_a_damaged_graph_is_refused_before_anything_moves(
    damage: Callable[[Path], object], told: str, small_case: Case, two: tuple[Version, Version]
) -> None:
    (stored,) = (path for path in Path.cwd().glob("**/variants/fp32.onnx") if two[0].run_id in str(path))
    damage(stored)
    _require_refusal(small_case, told)


# --- aliases moved by hand ----------------------------------------------------------------------------------------


@pytest.fixture
def by_hand(mlflow_database: Path) -> MlflowClient:
    """MLflow's own client, as its page uses it."""
    return MlflowClient(f"sqlite:///{mlflow_database}")


def test_an_alias_moved_by_hand_is_adopted_once_and_stays(
    small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient
) -> None:
    by_hand.set_registered_model_alias("aapl", "champion", "1")
    for _ in range(3):
        settle_alias(small_case, PlainHost())
    assert _list_person() == [("adopt", "1")]
    assert versions.load_alias("aapl").version == "1"
    person = read_state("aapl").standing.person
    assert person is not None
    assert (person.by, person.reason) == (
        "a person in MLflow",
        "version 1 instead of 2: the alias was moved by hand",
    )


def test_an_alias_that_was_deleted_is_put_back_and_the_status_says_so(
    call: Call, small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient
) -> None:
    by_hand.delete_registered_model_alias("aapl", "champion")
    for _ in range(3):
        settle_alias(small_case, PlainHost())
    assert versions.load_alias("aapl").version == "2"
    assert [row["action"] for row in decision_log.load_decisions("aapl", kind=Kind.REPAIR)] == ["put back"]
    assert "alias of aapl: champion alias put back (" in call("status", "aapl").out


def test_an_alias_moved_to_a_version_that_no_training_made_is_put_back(
    small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient
) -> None:
    made = by_hand.create_model_version("aapl", "runs:/x/model", two[0].run_id)
    by_hand.set_registered_model_alias("aapl", "champion", made.version)
    settle_alias(small_case, PlainHost())
    assert versions.load_alias("aapl").version == "2"
    put_back = read_state("aapl").put_back
    assert put_back is not None
    assert "to version 3, which cannot serve: Version 3 of case aapl has missing" in put_back["reason"]


def test_an_alias_before_any_promotion_is_adopted(
    small_case: Case, train_version: TrainVersion, by_hand: MlflowClient
) -> None:
    version = train_version()
    by_hand.set_registered_model_alias("aapl", "champion", version.version)
    settle_alias(small_case, PlainHost())
    assert versions.load_alias("aapl").move == Move(decision_id=version.decision_id, version="1")


def test_a_champion_that_was_deleted_in_mlflow_is_followed_by_the_version_before(
    small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient
) -> None:
    by_hand.delete_model_version("aapl", "2")
    for _ in range(2):
        settle_alias(small_case, PlainHost())
    assert versions.load_alias("aapl").version == "1"
    assert len(decision_log.load_decisions("aapl", kind=Kind.REPAIR)) == 1


def test_a_recorded_move_that_a_killed_process_left_is_finished(small_case: Case, two: tuple[Version, Version]) -> None:
    from okawari.loop.standings import gather_version_facts

    decision = decide_promote(gather_version_facts("aapl"), Order(by="ada@laptop"), "1")
    decision_log.record_decision("aapl", decision, model_version="1")  # and then the process is killed
    settle_alias(small_case, PlainHost())
    assert versions.load_alias("aapl").version == "1"
    assert _list_person() == [("promote", "1")]


def test_a_move_whose_note_a_killed_process_left_out_is_noted_so_that_the_next_hand_is_seen(
    small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient
) -> None:
    versions.note_move("aapl", Move(decision_id=two[0].decision_id, version="1"))  # as before version 2 was promoted
    settle_alias(small_case, PlainHost())
    by_hand.set_registered_model_alias("aapl", "champion", "1")
    settle_alias(small_case, PlainHost())
    assert _list_person() == [("adopt", "1")]


def test_a_move_by_hand_beside_an_unfinished_promotion_of_the_gate_is_the_last_word(
    small_case: Case, two: tuple[Version, Version], by_hand: MlflowClient, train_version: TrainVersion
) -> None:
    train_version(growth=0.03)  # records its promotion and is killed
    by_hand.set_registered_model_alias("aapl", "champion", "1")
    settle_alias(small_case, PlainHost())
    assert (versions.load_alias("aapl").version, _list_person()) == ("1", [("adopt", "1")])


def test_an_event_is_emitted_for_an_alias_that_was_put_back(small_case: Case, two: tuple[Version, Version]) -> None:
    from okawari import events
    from okawari.policy.repair import Repair

    heard: list[str] = []

    class Hearing(PlainHost):
        def emit(self, name: str, *_: object, trace: str) -> None:
            assert decision_log.find_decision("aapl", trace) is not None
            heard.append(name)

    repair_alias(small_case, Repair(Action.PUT_BACK, "it has other columns", {"version": "2"}), Hearing())
    assert heard == [events.CHAMPION_PUT_BACK]
