"""One list of lineage fields: the registry, the deployable and the service's answers agree on it."""

from __future__ import annotations

from dataclasses import fields, replace

from okawari.clients.wire import ModelInfo
from okawari.registry.versions import Version
from okawari.storage.deployable import Manifest, ModelIdentity, make_manifest

IDENTITY = {field.name for field in fields(ModelIdentity)}
VERSION = Version(
    case="aapl",
    version="3",
    run_id="r",
    candidate="lstm",
    variant="fp32",
    graph_sha256="a" * 64,
    snapshot_version=7,
    snapshot_digest="b" * 64,
    trained_until="2013-03-01",
    decision_id="d",
    coverage_share=0.9,
    measured_share=0.83,
    loss_name="RMSE",
    loss=1.5,
    skill_share=0.02,
)


def test_a_manifest_carries_the_whole_identity_of_a_version() -> None:
    manifest = make_manifest(VERSION)
    assert {field.name for field in fields(Manifest)} == IDENTITY
    assert all(getattr(manifest, name) == getattr(VERSION, name) for name in IDENTITY)
    assert make_manifest(replace(VERSION, measured_share=None)).measured_share is None


def test_a_version_adds_only_how_good_it_was_and_its_settings() -> None:
    added = {"loss_name", "loss", "skill_share", "settings_sha256"}
    assert {field.name for field in fields(Version)} - IDENTITY == added


def test_the_service_answers_with_fields_of_the_identity_alone() -> None:
    of_its_own = {"interval_version"}  # the width factor of the intervals changes without a new version
    assert set(ModelInfo.model_fields) - IDENTITY == of_its_own
