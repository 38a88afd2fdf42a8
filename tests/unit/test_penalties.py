"""Penalties and leaf sizes that are chosen within the train part, against plain versions of the same choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, cross_val_score

from okawari.errors import InvalidInput
from okawari.models import linear
from okawari.models.fit_context import TrainingData, no_progress
from okawari.models.forest import RandomForest
from okawari.models.linear import Linear, fit_path
from okawari.models.penalties import MOST_CHOOSING, PENALTIES, choose_penalty
from okawari.models.windows import WindowSet
from okawari.schema.heads import LabelHead, NumberHead

NUMBER = NumberHead(name="y", start=0)
LABEL = LabelHead(name="y", start=0, words=("a", "b", "c"))


def _draw(n: int, noise: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x_BN = random.normal(size=(n, 12))
    return x_BN, (x_BN[:, :3].sum(axis=1) + noise * random.normal(size=n))[:, None]


def _read(x_BN: np.ndarray, r_BH: np.ndarray, heads: tuple = ()) -> TrainingData:  # type: ignore[type-arg]
    x_B1N = x_BN[:, None].astype(np.float32)
    windows = WindowSet(
        x_BTF=x_B1N.astype(np.float64), z_BSK=x_B1N, r_BH=r_BH.astype(np.float32), level_B=r_BH[:, 0],
        at_B=np.arange(len(x_BN)).astype("datetime64[ns]"), target_index=None,
    )  # fmt: skip
    return TrainingData(windows, windows[:0], seed=3, heads=heads)


def test_the_penalty_of_a_number_is_that_of_plain_cross_validation() -> None:
    for noise in (0.1, 10.0):
        x_BN, r_BH = _draw(60, noise)
        losses = [
            -cross_val_score(
                Ridge(alpha=penalty), x_BN, r_BH[:, 0], cv=KFold(5), scoring="neg_mean_squared_error"
            ).mean()
            for penalty in PENALTIES
        ]
        assert choose_penalty(NUMBER, x_BN, r_BH, fit_path) == PENALTIES[int(np.argmin(losses))]


def test_the_penalty_of_a_label_is_that_of_plain_cross_validation() -> None:
    x_BN, r_BH = _draw(90, 1.0)
    label_B = np.digitize(r_BH[:, 0], (-1, 1))
    chosen = choose_penalty(LABEL, x_BN, np.eye(3)[label_B], fit_path)
    losses = {
        penalty: -cross_val_score(
            LogisticRegression(C=1 / penalty, max_iter=1000), x_BN, label_B, cv=KFold(5), scoring="neg_log_loss"
        ).mean()
        for penalty in {chosen, *PENALTIES[6::3]}
    }
    assert losses[chosen] == pytest.approx(min(losses.values()), rel=1e-3)


def test_noise_alone_gets_a_strong_penalty_and_a_clear_signal_a_weak_one() -> None:
    x_BN, r_BH = _draw(200, 0.05)
    noise_BH = np.random.default_rng(5).normal(size=r_BH.shape)
    assert choose_penalty(NUMBER, x_BN, r_BH, fit_path) <= 1 < 1000 <= choose_penalty(NUMBER, x_BN, noise_BH, fit_path)


def test_each_head_gets_a_penalty_of_its_own_and_keeps_it() -> None:
    x_BN, r_BH = _draw(120, 0.05)
    noise_BH = np.random.default_rng(5).normal(size=r_BH.shape)
    heads = (NumberHead(name="clear", start=0), NumberHead(name="noise", start=1))
    data = _read(x_BN, np.hstack([r_BH, noise_BH]), heads)
    model = Linear(penalty="cv").fit(data, no_progress)
    settled = model.settle()
    clear, noise = settled.recipe.penalty
    assert clear < noise and settled.name == "linear_cv"
    np.testing.assert_allclose(settled.fit(data, no_progress).weight_HN, model.weight_HN)
    with pytest.raises(InvalidInput, match="has 3 weights; the answer has 2 heads"):
        Linear(penalty=(1.0, 2.0, 3.0)).fit(data, no_progress)


def test_many_rows_are_decomposed_by_their_products(monkeypatch: pytest.MonkeyPatch) -> None:
    x_BN, r_BH = _draw(300, 1.0)
    x_BN[:, -1] = x_BN[:, 0] + x_BN[:, 1]  # one column adds nothing
    whole = [fit_path(NUMBER, x_BN + 5, r_BH, (0.0, 10.0))]
    monkeypatch.setattr(linear, "_MOST_DECOMPOSED", 0)
    whole.append(fit_path(NUMBER, x_BN + 5, r_BH, (0.0, 10.0)))
    for (weight, bias), (other_weight, other_bias) in zip(*whole, strict=True):
        np.testing.assert_allclose(other_weight, weight, atol=1e-8)
        np.testing.assert_allclose(other_bias, bias, atol=1e-7)


def test_more_rows_than_needed_are_thinned_evenly() -> None:
    x_BN, r_BH = _draw(MOST_CHOOSING + 5000, 1.0)
    assert choose_penalty(NUMBER, x_BN, r_BH, fit_path) in PENALTIES


@pytest.mark.parametrize("penalty", [-1.0, "best", (), (1.0, -1.0)])
def test_other_penalties_are_refused(penalty: object) -> None:
    with pytest.raises(InvalidInput, match=r"Linear\.penalty is"):
        Linear(penalty=penalty)  # type: ignore[arg-type]


def test_a_forest_takes_large_leaves_for_noise_and_small_ones_for_a_signal() -> None:
    x_BN, r_BH = _draw(400, 0.05)
    noise_BH = np.random.default_rng(5).normal(size=r_BH.shape)
    recipe = RandomForest(n_trees=30, lags=1, min_leaf=(30, 1))
    leaves = [recipe.fit(_read(x_BN, each), no_progress).settle().min_leaf for each in (r_BH, noise_BH)]
    assert leaves == [1, 30]


def test_the_newest_windows_teach_where_there_are_too_many() -> None:
    x_BN, r_BH = _draw(400, 1.0)
    data = _read(x_BN, r_BH)
    recipe = RandomForest(n_trees=5, lags=1, min_leaf=5, most_windows=100)
    newest = recipe.fit(replace(data, train=data.train[300:]), no_progress).predict(data.train)
    np.testing.assert_array_equal(recipe.fit(data, no_progress).predict(data.train), newest)


def test_a_fit_of_the_newest_windows_stops_by_a_quarter_as_many() -> None:
    data = _read(*_draw(6000, 1.0))
    many = replace(data, validation=data.train)
    for most, n_stopping in ((100, 1000), (5000, 1250), (50_000, 6000)):
        kept = many.keep_newest(most)
        assert len(kept.train) == min(most, 6000)
        np.testing.assert_array_equal(kept.validation.r_BH, data.train.r_BH[6000 - n_stopping :])
