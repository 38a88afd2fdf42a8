"""What Keras trained is what torch answers, and Keras leaves nothing behind: no seed, no thread count, no folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from okawari.case import Case
from okawari.dataset.splits import split_windows
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.keras_lstm import KerasLstm, copy_weights
from okawari.models.lstm import Lstm
from okawari.models.windows import WindowSet


@pytest.fixture
def data(small_case: Case, readings: pd.DataFrame) -> TrainingData:
    split = split_windows(cut_windows(readings, small_case), small_case)
    return TrainingData(split.train, split.validation, seed=7)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_double_in_torch_answers_as_keras_does(layers: int, data: TrainingData) -> None:
    from okawari.models.torch_training import predict_network

    model = KerasLstm(lstm=Lstm(hidden=6, layers=layers, fc=5, epochs=1)).fit(data, no_progress)
    # Biases start at 0 and 1; others show that each of the four gates got its own.
    for layer in model.keras_model.layers:
        layer.set_weights(
            [weight + np.linspace(-0.3, 0.3, weight.size).reshape(weight.shape) for weight in layer.get_weights()]
        )
    copy_weights(model.keras_model, model.network)
    in_torch = predict_network(model.network, data.validation.z_BSK, threads=1)
    np.testing.assert_allclose(in_torch, model.predict(data.validation), atol=1e-7)
    assert in_torch.std(axis=0).min() > 1e-5


def test_training_stops_early_restores_the_best_epoch_and_reports_each(data: TrainingData) -> None:
    from okawari.models import torch_training

    seen = []
    recipe = KerasLstm(lstm=Lstm(hidden=8, layers=1, epochs=25, patience=2, learning_rate=0.05, dropout=0.0))
    model = recipe.fit(data, lambda done, planned, numbers: seen.append((done, planned, dict(numbers))))
    losses = [numbers["valid_loss"] for numbers in model.history]
    assert seen == [(done, 25, numbers) for done, numbers in enumerate(model.history, start=1)]
    assert len(losses) < 25 and losses.index(min(losses)) == len(losses) - 3
    rows = torch_training.to_tensors(data.validation, torch_training.choose_device("cpu"))
    assert torch_training.measure_loss(model.network, rows, 64) == pytest.approx(min(losses), rel=1e-4)


def test_training_restores_thread_count_generator_and_environment(data: TrainingData) -> None:
    import torch

    def look() -> tuple[object, ...]:
        keras = {name: value for name, value in os.environ.items() if name.startswith("KERAS")}
        return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), keras

    before, drawn = look(), torch.get_rng_state()
    model = KerasLstm(lstm=Lstm(hidden=4, layers=1, epochs=1)).fit(data, no_progress)
    model.predict(data.validation)
    assert look() == before
    assert torch.equal(torch.get_rng_state(), drawn)


def test_a_diverging_training_says_so(data: TrainingData) -> None:
    broken = WindowSet(**{**vars(data.train), "r_BH": np.full_like(data.train.r_BH, np.nan)})
    with pytest.raises(InvalidInput, match="diverged in epoch 1"):
        KerasLstm(lstm=Lstm(hidden=4, layers=1, epochs=1)).fit(
            TrainingData(broken, data.validation, seed=1), no_progress
        )


def _run(script: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("KERAS")}
    return subprocess.run(
        [sys.executable, "-c", script], env={**ours, "HOME": str(home), **environment}, capture_output=True, text=True
    )


@pytest.mark.slow
def test_keras_writes_nothing_into_the_home_folder_and_runs_on_torch_whatever_was_asked(tmp_path: Path) -> None:
    script = "from okawari.models.keras_lstm import load_keras; print(load_keras().backend.backend())"
    done = _run(script, tmp_path, KERAS_BACKEND="numpy")
    assert done.stdout.strip() == "torch", done.stderr
    assert not (tmp_path / ".keras").exists()


def test_keras_on_another_backend_is_refused(tmp_path: Path) -> None:
    # Only one backend is installed, so a small package of Keras's name stands in for one that is loaded already.
    (tmp_path / "keras.py").write_text("class backend:\n    backend = staticmethod(lambda: 'jax')\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from okawari.models.keras_lstm import load_keras; "
    done = _run(script + "load_keras()", tmp_path)
    assert "InvalidInput: Keras runs on 'jax' in this process; KerasLstm takes 'torch'" in done.stderr
