"""A deployable: what is read back is what was packaged, or it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.dataset.windows import last_window
from okawari.errors import InvalidInput
from okawari.graph.build import build_graph
from okawari.graph.inference import Graph
from okawari.models.cores import ConstantCore
from okawari.security.signatures import find_public_key
from okawari.settings import load_settings
from okawari.storage.deployable import (
    GOLDEN_FILE,
    GRAPH_FILE,
    MANIFEST_FILE,
    RECENT_FILE,
    SIGNATURE_FILE,
    Deployable,
    Golden,
    Manifest,
    digest,
    load_deployable,
    record_golden,
)
from tests.conftest import enter_home

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def deployable(small_case: Case, readings: pd.DataFrame) -> Deployable:
    """A real graph that promises one percent more at each step, with its golden question."""
    graph = build_graph(ConstantCore(np.full(3, 0.01)), small_case, None)
    question = last_window(readings, small_case)
    golden = Golden(x_BTF=question, mean_BH=Graph.load(graph).answer(question).mean_BH)
    manifest = Manifest(
        case="aapl",
        version="3",
        run_id="r" * 32,
        candidate="constant",
        variant="fp32",
        graph_sha256=digest(graph),
        snapshot_version=4,
        snapshot_digest="d" * 64,
        trained_until="2001-12-31",
        decision_id="e" * 32,
        coverage_share=None,
    )
    return Deployable(manifest, golden, graph, readings.tail(12).reset_index(drop=True))


@pytest.fixture
def folder(deployable: Deployable, tmp_path: Path) -> Path:
    """The deployable as a folder."""
    deployable.save(tmp_path / "deployable")
    return tmp_path / "deployable"


def test_a_deployable_is_read_back_as_it_was_saved(deployable: Deployable, folder: Path) -> None:
    found = load_deployable(folder)
    assert (found.manifest, found.graph) == (deployable.manifest, deployable.graph)
    np.testing.assert_array_equal(found.golden.x_BTF, deployable.golden.x_BTF)
    np.testing.assert_array_equal(found.golden.mean_BH, deployable.golden.mean_BH)
    assert found.golden.x_BTF.dtype == np.float64
    pd.testing.assert_frame_equal(found.recent, deployable.recent)


def test_the_graph_read_back_answers_its_golden_question(folder: Path) -> None:
    found = load_deployable(folder)
    assert found.golden.matches(Graph.load(found.graph).answer(found.golden.x_BTF).mean_BH)


@pytest.mark.fault
@pytest.mark.parametrize("name", [GRAPH_FILE, MANIFEST_FILE, GOLDEN_FILE, RECENT_FILE])
def test_a_file_with_one_changed_byte_is_refused(name: str, folder: Path) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(bytes(content))
    with pytest.raises(
        InvalidInput, match=r"The signature in .* does not fit its files and the key \w{12}\.\.\.; only"
    ):
        load_deployable(folder)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The folder of another installation."""
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


@pytest.mark.fault
def test_a_consistent_forgery_is_refused(deployable: Deployable, folder: Path, elsewhere: Path) -> None:
    forged = replace(deployable, manifest=replace(deployable.manifest, version="777", candidate="EVIL"))
    with enter_home(elsewhere):
        forged.save(folder)
    with pytest.raises(InvalidInput, match="The signature in"):
        load_deployable(folder)


@pytest.mark.fault
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"signature": 5}', '{"signature": "zz"}', '{"signature": ""}'])
def test_a_damaged_signature_is_refused(content: str, folder: Path) -> None:
    (folder / SIGNATURE_FILE).write_text(content)
    with pytest.raises(InvalidInput, match="The signature in"):
        load_deployable(folder)


def test_a_folder_of_an_older_checkout_has_no_signature_and_is_packaged_again(folder: Path) -> None:
    (folder / SIGNATURE_FILE).unlink()
    with pytest.raises(InvalidInput, match=r"has no signature\.json; .*Package it again: okawari run CASE"):
        load_deployable(folder)


def test_another_installation_verifies_with_the_public_key_alone(
    folder: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = find_public_key()
    with enter_home(elsewhere):
        monkeypatch.setenv("OKAWARI_SIGNING_KEY", key)
        load_settings.cache_clear()
        assert load_deployable(folder).manifest.version == "3"
        monkeypatch.setenv("OKAWARI_SIGNING_KEY", key[:-1])
        load_settings.cache_clear()
        with pytest.raises(InvalidInput, match=r"OKAWARI_SIGNING_KEY is .*64 hexadecimal digits"):
            load_deployable(folder)


def test_a_graph_that_its_manifest_does_not_name_is_not_even_saved(deployable: Deployable, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="package the version again"):
        replace(deployable, graph=deployable.graph + b" ").save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("factor", "same"),
    [(1.0, True), (1 + 5e-5, True), (1 - 5e-5, True), (1 + 2e-4, False), (np.nan, False), (-1.0, False)],
)
def test_a_golden_answer_is_met_within_its_tolerance_and_not_beyond(
    factor: float, same: bool, deployable: Deployable
) -> None:
    golden = deployable.golden
    assert golden.matches(np.float32(factor) * golden.mean_BH) is same


def test_an_answer_of_another_shape_does_not_match(deployable: Deployable) -> None:
    golden = deployable.golden
    assert not golden.matches(golden.mean_BH[:, :1])
    assert not golden.matches(np.repeat(golden.mean_BH, 2, axis=0))


def test_a_probability_near_zero_may_round_apart_as_long_as_the_large_ones_hold(deployable: Deployable) -> None:
    golden = replace(deployable.golden, mean_BH=np.array([[0.999998, 1e-6, 1e-6]], dtype=np.float32))
    assert golden.matches(np.array([[0.999997, 1.5e-6, 1.5e-6]], dtype=np.float32))
    assert not golden.matches(np.array([[0.9990, 5e-4, 5e-4]], dtype=np.float32))


def test_a_sum_that_cancels_out_may_round_apart_in_the_size_of_what_was_summed() -> None:
    question, none_left = np.full((1, 12, 1), 4000, np.float32), np.array([[1e-4, 0.0, -1e-4]], np.float32)
    golden = record_golden(question, none_left, summed=4000.0)
    assert golden.matches(none_left + np.float32(0.1)) and not golden.matches(none_left + np.float32(1.0))
    assert not record_golden(question, none_left).matches(none_left + np.float32(0.1))
    assert record_golden(question, np.zeros((1, 3), np.float32), summed=4.0).matches(np.full((1, 3), 1e-4, np.float32))
    assert record_golden(question, np.full((1, 3), 9, np.float32), summed=4.0).tolerance_share == Golden.tolerance_share
