"""The search: it finds what is good, goes on after a kill as if nothing had been, and refuses what makes no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from okawari.errors import InvalidInput
from okawari.models.constant import ConstantModel
from okawari.models.dense import Mlp
from okawari.models.fit_context import Progress, TrainingData, Workbench, no_progress
from okawari.models.search.search import Search, _enqueue_own, _open_study, measure_loss
from okawari.models.search.space import Choice, Range, Whole
from okawari.models.search.trials import find_storable
from okawari.models.windows import WindowSet
from okawari.schema.heads import LabelHead

ROOT = Path(__file__).parents[2]
LABELS = (LabelHead(name="label", start=0, words=("left", "right")),)


def _draw(n: int, seed: int) -> WindowSet:
    """Points of two labels that a line tells apart nearly always."""
    random = np.random.default_rng(seed)
    x_B1F = random.normal(size=(n, 1, 4)).astype(np.float32)
    right_B = x_B1F[:, 0, 0] + 0.3 * random.normal(size=n) > 0
    r_BC = np.stack([~right_B, right_B], axis=1).astype(np.float32)
    at_B = np.arange(n).astype("datetime64[s]").astype("datetime64[ns]")
    return WindowSet(x_B1F, x_B1F, r_BC, right_B.astype(np.float64), at_B, None)


DATA = TrainingData(_draw(200, 1), _draw(60, 2), seed=7, heads=LABELS)
SEARCH = Search(
    recipe=Mlp(hidden=(4,), epochs=6, patience=3),
    space=(
        Choice("hidden", ((4,), (8,), (8, 4))),
        Range("learning_rate", 1e-5, 1e-1, log=True),
        Whole("batch_size", 8, 64),
    ),
    trials=10,
    warmup_epochs=2,
)
KILLED = """
import os
from dataclasses import dataclass, replace
from pathlib import Path
from okawari.models.dense import Mlp as Real
from okawari.models.fit_context import Workbench, no_progress
from tests.unit.test_search import DATA, SEARCH

class Mlp(Real):
    fits = 0

    def fit(self, data, progress):
        def watch(done, planned, numbers):
            progress(done, planned, numbers)
            if Mlp.fits == 5 and done == 2:
                os._exit(9)

        Mlp.fits += 1
        return super().fit(data, watch)

recipe = Mlp(**vars(SEARCH.recipe))
replace(SEARCH, recipe=recipe).fit(replace(DATA, bench=Workbench(study=Path("study.db"))), no_progress)
"""


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """Answers `value` for the second label, and refuses to be fitted below zero."""

    value: float = 0.0
    other: int = 1

    @property
    def name(self) -> str:
        return "fixed"

    def fit(self, data: TrainingData, progress: Progress) -> ConstantModel:
        if self.value < 0:
            raise InvalidInput(f"Fixed.value is {self.value}; it is at least 0 to be fitted.")
        return ConstantModel(r_H=np.array([0.0, self.value]))

    def describe(self) -> dict[str, Any]:
        return {"recipe": "Fixed", "value": self.value}


def _strip(trial: Any) -> Any:
    return trial.state, trial.settings, trial.loss, trial.valid_losses


# --- what it finds ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_best_model_is_that_of_the_trial_with_the_smallest_validation_loss() -> None:
    model = SEARCH.fit(DATA, no_progress)
    best = min((trial for trial in model.trials if trial.loss is not None), key=lambda trial: trial.loss or 0.0)
    assert len(model.trials) == 10
    assert measure_loss(model, DATA) == best.loss
    assert {name: str(getattr(model.recipe, name)) for name in best.settings} == best.settings
    assert best.loss == pytest.approx(min(best.valid_losses), rel=1e-5)
    assert min(numbers["valid_loss"] for numbers in model.history) == min(best.valid_losses)


def test_hopeless_trials_are_given_up_before_their_last_epoch() -> None:
    trials = SEARCH.fit(DATA, no_progress).trials
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.loss is None and 2 <= len(trial.valid_losses) < 6 for trial in pruned)
    assert all(trial.state != "pruned" for trial in trials[:5])


def test_each_trial_is_a_step_and_tells_the_best_loss_so_far() -> None:
    seen: list[tuple[int, int, Mapping[str, float]]] = []
    model = SEARCH.fit(DATA, lambda *step: seen.append(step))
    assert [(done, planned) for done, planned, _ in seen] == [(n, 10) for n in range(1, 11)]
    assert seen[-1][2]["best_loss"] == measure_loss(model, DATA)


def test_settings_that_lead_to_no_model_are_passed_over_with_their_reason() -> None:
    search = Search(recipe=Fixed(), space=(Range("value", -1.0, 1.0),), trials=8)
    model = search.fit(DATA, no_progress)
    refused = [trial for trial in model.trials if trial.state == "refused"]
    assert len(model.trials) == 8 and 0 < len(refused) < 8
    assert all("Fixed.value is -" in (trial.reason or "") for trial in refused)
    with pytest.raises(InvalidInput, match="None of the 3 trials of search_fixed led to a model"):
        Search(recipe=Fixed(), space=(Range("value", -2.0, -1.0),), trials=3).fit(DATA, no_progress)


def test_after_its_time_no_trial_begins_but_there_is_always_one() -> None:
    model = replace(SEARCH, timeout_s=1e-9).fit(DATA, no_progress)
    assert len(model.trials) == 1


def test_the_loss_of_a_trial_is_that_of_the_training_loop() -> None:
    model = replace(SEARCH.recipe, epochs=3).fit(DATA, no_progress)  # type: ignore[type-var]
    best = min(numbers["valid_loss"] for numbers in model.history)
    assert measure_loss(model, DATA) == pytest.approx(best, rel=1e-6)
    numbers = replace(DATA, heads=())
    model = replace(SEARCH.recipe, epochs=3).fit(numbers, no_progress)  # type: ignore[type-var]
    best = min(numbers["valid_loss"] for numbers in model.history)
    assert measure_loss(model, numbers) == pytest.approx(best, rel=1e-6)


# --- the recipe itself --------------------------------------------------------------------------------------------


def test_the_first_trial_is_the_recipe_itself_and_nothing_worse_is_found() -> None:
    recipe = replace(SEARCH.recipe, batch_size=32, learning_rate=0.02)  # type: ignore[type-var]
    model = replace(SEARCH, recipe=recipe).fit(DATA, no_progress)
    own = measure_loss(recipe.fit(DATA, no_progress), DATA)
    assert model.trials[0].settings == {"hidden": "(4,)", "batch_size": "32", "learning_rate": "0.02"}
    assert model.trials[0].loss == own
    assert measure_loss(model, DATA) <= own
    assert [trial.settings for trial in model.trials].count(model.trials[0].settings) == 1


def test_what_the_recipe_has_outside_of_the_space_is_drawn() -> None:
    recipe = replace(SEARCH.recipe, hidden=(5,), batch_size=200, learning_rate=0.02)  # type: ignore[type-var]
    [trial] = replace(SEARCH, recipe=recipe, trials=1).fit(DATA, no_progress).trials
    assert trial.settings["hidden"] in {"(4,)", "(8,)", "(8, 4)"} and 8 <= int(trial.settings["batch_size"]) <= 64
    assert trial.settings["learning_rate"] == "0.02"


def test_only_a_first_trial_that_was_killed_tries_the_recipe_again(tmp_path: Path) -> None:
    kept = replace(DATA, bench=Workbench(study=tmp_path / "study.db"))

    def stop(done: int, planned: int, numbers: Mapping[str, float]) -> None:
        raise KeyboardInterrupt

    class Broken(Mlp):
        def fit(self, data: TrainingData, progress: Progress) -> Any:
            return super().fit(data, stop)

    Broken.__name__ = "Mlp"  # a study is known by the name of what it searches
    search = replace(SEARCH, trials=3)
    with pytest.raises(KeyboardInterrupt):
        replace(search, recipe=Broken(**vars(SEARCH.recipe))).fit(kept, no_progress)
    trials = search.fit(kept, no_progress).trials
    assert [trial.state for trial in trials] == ["killed", "finished", "finished", "finished"]
    assert trials[0].settings == trials[1].settings
    assert [_strip(trial) for trial in trials[1:]] == [_strip(trial) for trial in search.fit(DATA, no_progress).trials]


def test_settings_that_a_killed_process_left_waiting_are_tried_and_not_left_twice(tmp_path: Path) -> None:
    kept, search = replace(DATA, bench=Workbench(study=tmp_path / "study.db")), replace(SEARCH, trials=2)
    with _open_study(search._identify(kept), kept.bench.study, search.warmup_epochs) as study:
        _enqueue_own(search, study)
    trials = search.fit(kept, no_progress).trials
    assert [_strip(trial) for trial in trials] == [_strip(trial) for trial in search.fit(DATA, no_progress).trials]


def test_the_weights_of_the_best_model_are_those_that_are_kept(tmp_path: Path) -> None:
    import torch

    model = replace(SEARCH, trials=2).fit(DATA, no_progress)
    storable = find_storable(model)
    assert storable is model.best
    storable.save_weights(tmp_path / "weights.pt")
    state = torch.load(tmp_path / "weights.pt", weights_only=True)
    assert all(torch.equal(state[name], values) for name, values in model.best.network.state_dict().items())
    fixed = Search(recipe=Fixed(), space=(Range("value", 0.0, 1.0),), trials=1).fit(DATA, no_progress)
    assert find_storable(fixed) is None and find_storable(fixed.best) is None


# --- kept trials --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_search_goes_on_and_finds_what_it_would_have_found(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 9, done.stderr
    seen: list[int] = []
    model = SEARCH.fit(replace(DATA, bench=Workbench(study=tmp_path / "study.db")), lambda done, *_: seen.append(done))
    whole = SEARCH.fit(DATA, no_progress)
    assert seen == [5, 6, 7, 8, 9, 10]
    assert [trial.state for trial in model.trials].count("killed") == 1 and model.trials[4].state == "killed"
    kept = [trial for trial in model.trials if trial.state != "killed"]
    assert [_strip(trial) for trial in kept] == [_strip(trial) for trial in whole.trials]
    np.testing.assert_array_equal(model.predict(DATA.validation), whole.predict(DATA.validation))


@pytest.mark.slow
def test_a_search_that_is_over_is_not_repeated_and_gives_the_same_model(tmp_path: Path) -> None:
    kept = replace(DATA, bench=Workbench(study=tmp_path / "study.db"))
    first, seen = SEARCH.fit(kept, no_progress), []
    again = SEARCH.fit(kept, lambda done, *_: seen.append(done))
    assert seen == [] and again.trials == first.trials
    np.testing.assert_array_equal(again.predict(DATA.validation), first.predict(DATA.validation))


@pytest.mark.slow
def test_more_trials_go_on_and_other_data_seed_or_space_begin_anew(tmp_path: Path) -> None:
    few, kept = replace(SEARCH, trials=2), replace(DATA, bench=Workbench(study=tmp_path / "study.db"))
    few.fit(kept, no_progress)

    def count(search: Search, data: TrainingData) -> int:
        seen: list[int] = []
        search.fit(data, lambda done, *_: seen.append(done))
        return len(seen)

    assert count(replace(few, trials=3), kept) == 1
    assert count(few, replace(kept, seed=8)) == 2
    assert count(few, replace(kept, train=DATA.train[:150])) == 2
    assert count(replace(few, space=(Range("dropout", 0.0, 0.5),)), kept) == 2


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Search(recipe=Fixed(), space=()), r"Search.space is empty; name fields of Fixed to search"),
        (
            lambda: Search(recipe=Fixed(), space=(Range("size", 0, 1),)),
            r"names 'size', which Fixed does not have; its fields are \['value', 'other'\]",
        ),
        (lambda: replace(SEARCH, recipe=Mlp(warm=True)), "Search.recipe is a warm Mlp; .* Leave warm out"),
        (lambda: replace(SEARCH, trials=0), "Search.trials is 0; it is a count of at least 1"),
        (lambda: replace(SEARCH, timeout_s=0.0), "Search.timeout_s is 0.0; it counts seconds above 0"),
        (lambda: replace(SEARCH, space=SEARCH.space[:1] * 2), "names a field twice"),
        (lambda: replace(SEARCH, space=(Range("dropout", 0.5, 1.5),)), "Mlp.dropout is 1.5; it is a share"),
        (lambda: Range("value", 1.0, 0.5), "Range value goes from 1.0 to 0.5; write the lower end first"),
        (lambda: Whole("other", 0, 4, log=True), "Whole other begins at 0; with log=True begin above 0"),
        (lambda: Choice("other", (1,)), "Choice other has options .*; name at least two"),
        (lambda: Choice("other", (1, "1")), "two of which have equal text"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(build: Any, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        build()
