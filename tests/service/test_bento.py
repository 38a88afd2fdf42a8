"""The built Bento stands on its own: another folder, another store, none of the checkout on the path."""

from __future__ import annotations

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
    kitchen = make_kitchen()
    tag = kitchen.put(make_deployable("1", 1.03))
    made = deploy_command(kitchen, "build")
    assert made["models"] == [tag]
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


def test_pruning_keeps_the_model_of_a_kept_bento(built, make_deployable):
    kitchen, bento = built
    with kitchen.stores():
        newer = [kitchen.put(make_deployable(version)) for version in ("2", "3")]
    with kitchen.stores():
        assert prune("aapl", keep=1)["models"] == newer[:1]
        held = bentoml.bentos.get(bento).info.all_models
        assert Path(kitchen.bentoml_home / "models" / held[0].tag.path()).is_dir()
