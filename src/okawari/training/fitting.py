"""Fit one candidate of a training at every origin, refit the winner; record settings, loss curves, weights, scores."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from okawari.case import Case
from okawari.dataset.folds import Folds
from okawari.errors import NotYet
from okawari.evaluation.backtest import backtest
from okawari.evaluation.candidates import Contender
from okawari.evaluation.refit import Refit, refit_contender
from okawari.models.combination import describe_recipe
from okawari.models.fit_context import Progress, Workbench
from okawari.models.protocols import Recipe, Storable
from okawari.models.search.trials import SearchedModel, find_storable
from okawari.progress import count_step
from okawari.registry import figures, runs, versions
from okawari.settings import load_settings
from okawari.storage.deployable import digest
from okawari.storage.snapshots import Snapshot
from okawari.training.host import Host

_WEIGHTS = "weights.pt"


@dataclass(frozen=True)
class Training:
    """The data that all steps of one training share, in memory.

    `recent` are the newest `history` readings, and `times` those of all readings.
    """

    case: Case
    snapshot: Snapshot
    folds: Folds
    recent: pd.DataFrame
    times: pd.Series
    run_id: str
    retrain_id: str


def fit_candidate(training: Training, recipe: Recipe, host: Host) -> Contender:
    """Fit a recipe at every origin of the training, in its own child run."""
    with (
        runs.record_candidate(training.case, training.run_id, recipe.name, recipe.describe()) as run_id,
        tempfile.TemporaryDirectory() as folder,
    ):
        start = _fetch_start(training, recipe, Path(folder), host)
        progress = _watch_fit(training.case, recipe, host)
        benches = partial(_furnish, training, recipe, start)
        contender = backtest(recipe, training.case, training.folds, progress, benches)
        record_contender(training, contender, run_id)
    return contender


def refit_winner(training: Training, contender: Contender, host: Host) -> Refit:
    """Fit the winner again on all windows, and record its weights in the training's run."""
    progress = _watch_fit(training.case, contender.recipe, host)
    bench = _furnish(training, contender.recipe, None, training.folds.n_fits)
    refit = refit_contender(contender, training.case, training.folds, progress, bench)
    runs.record_metrics(training.run_id, {"refit_s": refit.fit_s, "refit_windows": float(refit.n_taught)})
    if (storable := find_storable(refit.model)) is not None:
        _record_weights(training.run_id, storable)
    return refit


def _furnish(training: Training, recipe: Recipe, start: Path | None, place: int) -> Workbench:
    """The workbench of one fit; each fit of a search has a file of its own."""
    settings = load_settings()
    study = _locate_study(training, recipe, place)
    return Workbench(device=settings.device, threads=settings.threads, study=study, start=start)


def _watch_fit(case: Case, recipe: Recipe, host: Host) -> Progress:
    def show(done: int, planned: int, numbers: Mapping[str, float]) -> None:
        host.show_progress(case, count_step(recipe.name, done, planned, numbers))

    return show


def record_contender(training: Training, contender: Contender, run_id: str) -> None:
    """Record a contender's scores, loss curve, weights and figure in its child run."""
    name, history = contender.recipe.name, contender.model.history
    runs.record_metrics(run_id, {**contender.scores.numbers, "fit_s": contender.fit_s})
    runs.record_history(run_id, history)
    if (storable := find_storable(contender.model)) is not None:
        _record_weights(run_id, storable)
    if isinstance(contender.model, SearchedModel):
        runs.record_search(training.case, run_id, contender.model)
    if history:
        runs.record_figure(run_id, figures.draw_history(history, f"{name}: loss per epoch"), "loss.png")
    case, title = training.case, f"{name} on windows that it has not learned from"
    figure = figures.draw_holdout(contender.answer, training.folds.judged, case, title)
    runs.record_figure(run_id, figure, figures.name_figure(case))


def _record_weights(run_id: str, model: Storable) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _WEIGHTS
        model.save_weights(path)
        runs.record_file(run_id, path.read_bytes(), _WEIGHTS)


def _fetch_start(training: Training, recipe: Recipe, folder: Path, host: Host) -> Path | None:
    """File with the weights of a warm recipe from the champion's training; None if there are none."""
    if not getattr(recipe, "warm", False):
        return None
    champion = versions.load_champion(training.case.name)
    if champion is None:
        return None
    run_id = runs.find_candidate(training.case, champion.run_id, recipe.name)
    if run_id is None:
        return None
    try:
        (folder / _WEIGHTS).write_bytes(runs.load_file(run_id, _WEIGHTS))
    except NotYet:
        return None
    host.log(f"{training.case.name}: {recipe.name} starts from champion version {champion.version}")
    return folder / _WEIGHTS


def _locate_study(training: Training, recipe: Recipe, place: int) -> Path:
    """File of a search's trials, so that the next training on this snapshot resumes a killed one."""
    folder = load_settings().studies_dir / training.case.name / f"snapshot_{training.snapshot.version}"
    return folder / f"{recipe.name}_{place + 1}.db"


def digest_settings(case: Case, candidate: str) -> str:
    """Digest of all that a fit depends on besides the data: settings of the recipe, columns, features, task, splits."""
    described = case.describe()
    fit = {name: described[name] for name in ("columns", "features", "task", "seed")}
    split = {name: described["gate"][name] for name in ("holdout", "calibration", "validation_share")}
    content = json.dumps([describe_recipe(candidate, case.candidates), fit, split], sort_keys=True, default=str)
    return digest(content.encode())
