"""A recipe that searches for the settings of another recipe. Only home of optuna, which is imported inside `fit`.

Each trial fits the recipe with other settings on the train part and measures its loss on the validation part. The
search uses no other data, so its result is tested on the holdout like every candidate.

Shapes: B windows, H columns of an answer.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from okawari.errors import InvalidInput, require
from okawari.models.fit_context import Progress, TrainingData, no_progress
from okawari.models.losses import joint_loss
from okawari.models.protocols import Model, Recipe
from okawari.models.search.space import Dimension
from okawari.models.search.trials import SearchedModel, State, Trial
from okawari.schema.heads import mark_shares

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

_STARTUP_TRIALS = 5
"""Random trials before the sampler uses their results, and finished trials before one can be pruned."""
_REFUSED = "refused"
"""Attribute with the reason why the settings of a trial led to no model."""


# --- recipe -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Search:
    """Recipe that tries settings of another recipe within a `space` and keeps the best of its models.

    The first trial uses the recipe's own settings, so the result is no worse on the validation part; a value outside
    of the space is replaced by a drawn one. A tree-structured Parzen estimator proposes further settings (Bergstra,
    Bardenet, Bengio and Kegl, Algorithms for Hyper-Parameter Optimization, 2011). A trial is pruned if, after
    `warmup_epochs`, its best validation loss so far is above the median of earlier trials in the same epoch (median
    stopping: Golovin et al., Google Vizier, 2017, section 3.2.2).

    If `Workbench.study` names a file, trials are stored there. A killed search then resumes: it repeats no ended trial
    and has the same result as without the interruption. With `timeout_s`, no trial starts after that many seconds; the
    number of trials then depends on the machine, so equal seeds do not guarantee equal results.

    Example:
        >>> from okawari.models.dense import Mlp
        >>> from okawari.models.search.space import Range
        >>> Search(recipe=Mlp(), space=(Range("learning_rate", 1e-4, 1e-2, log=True),), trials=10).name
        'search_mlp'
    """

    recipe: Recipe
    space: tuple[Dimension, ...]
    trials: int = 20
    timeout_s: float | None = None
    warmup_epochs: int = 5

    def __post_init__(self) -> None:
        kind = type(self.recipe).__name__
        known = [each.name for each in fields(cast(Any, self.recipe))]
        require(bool(self.space), f"Search.space is empty; name fields of {kind} to search, some of {known}.")
        for dimension in self.space:
            require(
                dimension.field in known,
                f"Search.space names {dimension.field!r}, which {kind} does not have; its fields are {known}.",
            )
            for value in dimension.extremes:
                replace(cast(Any, self.recipe), **{dimension.field: value})  # the recipe checks its settings
        named = [dimension.field for dimension in self.space]
        require(len(set(named)) == len(named), f"Search.space names a field twice: {named}; name each once.")
        require(
            not getattr(self.recipe, "warm", False),
            f"Search.recipe is a warm {kind}; trials are compared, so each starts from random weights. Leave warm out.",
        )
        require(self.trials >= 1, f"Search.trials is {self.trials}; it is a count of at least 1.")
        require(
            self.timeout_s is None or self.timeout_s > 0,
            f"Search.timeout_s is {self.timeout_s}; it counts seconds above 0. Use None for no limit.",
        )
        require(self.warmup_epochs >= 0, f"Search.warmup_epochs is {self.warmup_epochs}; it is a count of 0 or more.")

    @property
    def name(self) -> str:
        """Short name of the candidate."""
        return f"search_{type(self.recipe).__name__.lower()}"

    def fit(self, data: TrainingData, progress: Progress) -> SearchedModel:
        """Fit settings on `data.train`, score them on `data.validation`, and return the best model; a step is a trial.

        Raises:
            InvalidInput: no settings led to a model.
        """
        data.require_validation(self.name)
        started = time.monotonic()
        with _open_study(self._identify(data), data.bench.study, self.warmup_epochs) as study:
            _close_interrupted(study)
            best: tuple[int, Model] | None = None
            while not self._is_over(n_done := _count_done(study), started):
                number, model = _try_settings(self, study, data, n_done)
                if model is not None and _find_best(study).number == number:
                    best = number, model
                progress(n_done + 1, self.trials, _list_losses(study))
            return self._conclude(study, data, best)

    def _is_over(self, n_done: int, started: float) -> bool:
        late = self.timeout_s is not None and time.monotonic() - started > self.timeout_s
        return n_done >= self.trials or (late and n_done > 0)

    def _conclude(self, study: optuna.Study, data: TrainingData, best: tuple[int, Model] | None) -> SearchedModel:
        trials = tuple(self._read_trial(trial) for trial in study.get_trials(deepcopy=False))
        if not any(trial.state == "finished" for trial in trials):
            raise InvalidInput(
                f"None of the {len(trials)} trials of {self.name} led to a model; the last one: {trials[-1].reason} "
                "Narrow Search.space."
            )
        found = _find_best(study)
        chosen = self._settle(found.params)
        # A killed process may have fitted the best model; the same settings and seed fit an equal one.
        model = best[1] if best and best[0] == found.number else chosen.fit(data, no_progress)
        return SearchedModel(best=model, recipe=chosen, trials=trials, candidate=self.name)

    def _settle(self, stored: Mapping[str, Any]) -> Recipe:
        """The recipe with the settings that a study has stored."""
        settings = {each.field: each.read(stored[each.field]) for each in self.space}
        return cast(Recipe, replace(cast(Any, self.recipe), **settings))

    def _read_trial(self, trial: FrozenTrial) -> Trial:
        epochs = sorted(trial.intermediate_values.items())
        return Trial(
            number=trial.number,
            state=_name_state(trial),
            settings={name: str(value) for name, value in trial.params.items()},
            loss=trial.value if trial.state.name == "COMPLETE" else None,
            valid_losses=tuple(loss for _, loss in epochs),
            reason=trial.user_attrs.get(_REFUSED),
            started_at=trial.datetime_start,
            ended_at=trial.datetime_complete,
        )

    def _identify(self, data: TrainingData) -> str:
        """Name of the study. It depends on settings, data and seed, but not on the number of trials or the time-out."""
        settings = {name: value for name, value in self.describe().items() if name not in ("trials", "timeout_s")}
        digest = hashlib.sha256(json.dumps([settings, data.seed, repr(data.heads)], sort_keys=True).encode())
        for part in (data.train, data.validation):
            for values in (part.x_BTF, part.r_BH):
                digest.update(values.tobytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {
            "recipe": "Search",
            "of": self.recipe.describe(),
            "space": [{"kind": type(each).__name__, **asdict(each)} for each in self.space],
            "trials": self.trials,
            "timeout_s": self.timeout_s,
            "warmup_epochs": self.warmup_epochs,
        }


# --- study --------------------------------------------------------------------------------------------------------


@contextmanager
def _open_study(name: str, file: Path | None, warmup_epochs: int) -> Iterator[optuna.Study]:
    """The study of that name: in a SQLite file, which survives a kill, or in memory if there is no file."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # `progress` reports it instead
    storage: Any = optuna.storages.InMemoryStorage()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=warmup_epochs)
    try:
        yield optuna.create_study(study_name=name, storage=storage, pruner=pruner, load_if_exists=True)
    finally:
        if file is not None:
            storage.engine.dispose()


def _close_interrupted(study: optuna.Study) -> None:
    """Mark trials in the state RUNNING as failed. Only one training of a case runs at a time, so they are dead."""
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)


def _enqueue_own(search: Search, study: optuna.Study) -> None:
    """Make the recipe's own settings those of the next trial, unless a killed process has left them in the queue."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        own = {each.field: (each, getattr(search.recipe, each.field)) for each in search.space}
        study.enqueue_trial({field: each.write(value) for field, (each, value) in own.items() if each.holds(value)})


def _try_settings(search: Search, study: optuna.Study, data: TrainingData, n_done: int) -> tuple[int, Model | None]:
    """Run one trial; returns its number, and its model if the trial ended with one."""
    import optuna

    # A new sampler for each trial, seeded by the number of ended trials: a resumed search draws the same values.
    seed = int(np.random.SeedSequence((data.seed, n_done)).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP_TRIALS, seed=seed, constant_liar=False)
    if n_done == 0:
        _enqueue_own(search, study)
    trial = study.ask()

    def watch(done: int, planned: int, numbers: Mapping[str, float]) -> None:
        if math.isfinite(loss := numbers.get("valid_loss", math.inf)):
            trial.report(loss, done)
            if trial.should_prune():
                raise optuna.TrialPruned

    try:
        settings = {each.field: each.suggest(trial) for each in search.space}
        recipe = replace(cast(Any, search.recipe), **settings)
        model: Model = recipe.fit(replace(data, bench=replace(data.bench, study=None)), watch)
        study.tell(trial, measure_loss(model, data))
    except optuna.TrialPruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return trial.number, None
    except InvalidInput as refused:
        trial.set_user_attr(_REFUSED, str(refused))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return trial.number, None
    return trial.number, model


def _name_state(trial: FrozenTrial) -> State:
    if trial.state.name == "COMPLETE":
        return "finished"
    if trial.state.name == "PRUNED":
        return "pruned"
    return "refused" if _REFUSED in trial.user_attrs else "killed"


def _count_done(study: optuna.Study) -> int:
    """Number of trials that ended without being killed."""
    return sum(_name_state(trial) != "killed" for trial in study.get_trials(deepcopy=False))


def _find_best(study: optuna.Study) -> FrozenTrial:
    """The trial with the smallest loss; the first of several with equal losses."""
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    return min(finished, key=lambda trial: (trial.value, trial.number))


def _list_losses(study: optuna.Study) -> dict[str, float]:
    """The last trial's loss and the best loss so far, for progress; trials without a model have no loss."""
    values = [trial.value for trial in study.get_trials(deepcopy=False) if trial.state.name == "COMPLETE"]
    last = study.get_trials(deepcopy=False)[-1].value
    losses = {"loss": last, "best_loss": min((value for value in values if value is not None), default=None)}
    return {name: value for name, value in losses.items() if value is not None}


def measure_loss(model: Model, data: TrainingData) -> float:
    """Loss on the validation part, as in the torch loop: the sum over the heads of mean squared errors (in training
    variances) and cross entropies (in nats).
    """
    width = data.train.r_BH.shape[1]
    spread_H = data.train.r_BH.std(axis=0, ddof=1, dtype=np.float64)
    scale_H = np.where(mark_shares(data.heads, width) | (spread_H == 0), 1.0, spread_H)
    return joint_loss(model.predict(data.validation) / scale_H, data.validation.r_BH / scale_H, data.heads)
