"""The built Bento stands on its own: another folder, another store, none of the checkout on the path."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import bentoml
import pytest
import yaml

from bentos.deploy import prune

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "bentoml"]


@pytest.fixture(scope="module")
def built(make_kitchen, make_deployable, deploy_command):
    """An installation with one model and a Bento that holds it."""
    return build_first(make_kitchen(), make_deployable, deploy_command)


@pytest.fixture(scope="module")
def changing(make_kitchen, make_deployable, deploy_command):
    """Another one, to which tests build more Bentos."""
    return build_first(make_kitchen(), make_deployable, deploy_command)


def build_first(kitchen, make_deployable, deploy_command):
    tag = kitchen.put(make_deployable("1", 1.03))
    made = deploy_command(kitchen, "build")
    assert (made["models"], made["built"]) == ([tag], True)
    return kitchen, made["bento"]


def check_answers(server, records):
    answer = server.predict(records).json()
    assert answer["model"]["version"] == "1"
    assert answer["predictions"][0]["mean"][0] == pytest.approx(1.03 * records[-1]["close"], rel=1e-5)
    assert server.client.post("/aapl/forecast").json()["source"] == "packaged"


def test_the_bento_serves_from_an_empty_folder(built, records, serve, tmp_path):
    kitchen, bento = built
    with serve(kitchen, target=bento, folder=tmp_path) as server:
        check_answers(server, records)
    assert list(tmp_path.iterdir()) == []
    assert len(list((kitchen.bentoml_home / "okawari" / "journal").rglob("*.jsonl"))) == 1


def test_what_the_bento_needs_is_what_the_tests_ran_with():
    needed = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["python"]["packages"]
    assert needed == [f"{name}=={version(name)}" for name in (pin.partition("==")[0] for pin in needed)]


def test_an_exported_bento_serves_in_another_installation(built, make_kitchen, records, serve, tmp_path):
    kitchen, bento = built
    file, empty, other = tmp_path / "okawari.bento", tmp_path / "empty", make_kitchen()
    empty.mkdir()
    for owner, verb in ((kitchen, ["export", bento, str(file)]), (other, ["import", str(file)])):
        subprocess.run([*COMMAND, *verb], env=owner.environment, cwd=empty, check=True, timeout=60, capture_output=True)
    with serve(other, target="okawari:latest", folder=empty) as server:
        check_answers(server, records)


def test_the_bento_holds_the_service_and_nothing_else(built):
    kitchen, bento = built
    source = kitchen.bentoml_home / "bentos" / bento.replace(":", "/") / "src"
    top = {path.relative_to(source).parts[0] for path in source.rglob("*.py")}
    assert top == {"bentos", "okawari"}
    needed = (source.parent / "env" / "python" / "requirements.txt").read_text().splitlines()
    names = {line.split("==")[0] for line in needed if "==" in line}
    assert {"bentoml", "onnxruntime"} <= names
    assert not names & {"torch", "mlflow", "prefect", "evidently", "gradio", "statsmodels"}


def list_bentos(kitchen):
    return sorted(path.name for path in (kitchen.bentoml_home / "bentos" / "okawari").iterdir() if path.is_dir())


@pytest.mark.fault
def test_a_bento_is_built_again_only_where_something_changed_or_is_damaged(changing, deploy_command):
    kitchen, bento = changing
    again = deploy_command(kitchen, "build")
    assert (again["bento"], again["built"]) == (bento, False)
    source = kitchen.bentoml_home / "bentos" / bento.replace(":", "/") / "src"
    module = source / "okawari" / "errors.py"
    whole = module.read_bytes()
    module.write_bytes(whole[:-1])
    repaired = deploy_command(kitchen, "build")
    module.write_bytes(whole)
    assert repaired["built"] is True
    made = kitchen.bentoml_home / "bentos" / repaired["bento"].replace(":", "/") / "src"
    assert (made / "okawari" / "errors.py").read_bytes() == whole


@pytest.mark.fault
def test_a_bento_built_now_is_the_newest_even_if_the_clock_was_ahead_and_another_one_is_damaged(
    changing, make_deployable, deploy_command
):
    kitchen, bento = changing
    folder = kitchen.bentoml_home / "bentos" / "okawari"
    described = folder / bento.partition(":")[2] / "bento.yaml"
    before = described.read_text()
    described.write_text(re.sub(r"creation_time: .*", "creation_time: 2999-01-01T00:00:00+00:00", before))
    (folder / "half").mkdir()
    kitchen.put(make_deployable("1", 1.04))
    made = deploy_command(kitchen, "build")
    described.write_text(before)
    shutil.rmtree(folder / "half")
    assert (made["built"], made["bento"].partition(":")[2]) == (True, (folder / "latest").read_text())
    with kitchen.stores():
        assert str(bentoml.bentos.get("okawari:latest").tag) == made["bento"]
    assert made["bento"].partition(":")[2] in list_bentos(kitchen)


def test_pruning_keeps_the_model_of_a_kept_bento(built, make_deployable):
    kitchen, bento = built
    with kitchen.stores():
        newer = [kitchen.put(make_deployable(version)) for version in ("2", "3")]
    with kitchen.stores():
        assert prune("aapl", keep=1)["models"] == newer[:1]
        held = bentoml.bentos.get(bento).info.all_models
        assert Path(kitchen.bentoml_home / "models" / held[0].tag.path()).is_dir()
