from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pytest

from flows.package import package
from okawari import events
from okawari.case import Case
from okawari.errors import NotYet
from okawari.graph.inference import Graph
from okawari.registry import versions
from okawari.storage import decision_log, snapshots
from okawari.storage.deployable import MANIFEST_FILE, load_deployable
from tests.flows.conftest import Heard


def _list_entries() -> list[Path]:
    return [path.parent for path in (Path(os.environ["BENTOML_HOME"]) / "models" / "small").glob(f"*/{MANIFEST_FILE}")]


def test_a_promotion_leaves_a_deployable_in_the_model_store(trained: Case) -> None:
    [entry] = _list_entries()
    deployable, champion = load_deployable(entry), versions.load_champion("small")
    assert champion is not None
    named = asdict(deployable.manifest)
    assert named == {name: value for name, value in asdict(champion).items() if name in named}
    assert deployable.graph == versions.load_graph(champion)
    assert deployable.golden.matches(Graph.load(deployable.graph).answer(deployable.golden.x_BTF).mean_BH)
    newest = snapshots.load_readings(trained, champion.snapshot_version).tail(trained.task.history)
    assert deployable.recent.to_dict("records") == newest.to_dict("records")


def test_packaging_the_champion_again_adds_neither_an_entry_nor_a_bento(trained: Case, heard: Heard) -> None:
    before = _list_entries()
    done = package("small")
    assert _list_entries() == before
    assert (done["version"], done["added"], done["built"], done["models"]) == ("1", False, False, [done["tag"]])
    bento = Path(os.environ["BENTOML_HOME"], "bentos", *done["bento"].split(":"))
    assert (bento / "bento.yaml").is_file()
    deployment = decision_log.load_decisions("small", kind="deployment")[0]
    assert deployment["model_version"] == "1"
    [event] = heard()
    assert event.event == events.MODEL_DEPLOYED
    assert event.resource["okawari.trace"] == deployment["id"]


def test_without_a_champion_there_is_nothing_to_package(fresh: Case) -> None:
    with pytest.raises(NotYet):
        package("small")
    assert not _list_entries()


def test_a_version_that_was_never_registered_is_refused(trained: Case) -> None:
    with pytest.raises(NotYet):
        package("small", "99")
    assert len(_list_entries()) == 1
