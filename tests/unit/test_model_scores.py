"""What the benchmark of models compares: losses against their definitions, bootstrap bounds, the best single method."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.model_scores import Losses, choose_best, compare, score_results
from benchmarks.public_tables import PublicTable

OWN = "okawari"


def _draw_losses(scale: float, n: int = 400, seed: int = 1) -> Losses:
    row_B = scale * np.random.default_rng(seed).chisquare(1, n)
    return Losses(row_B, row_B, is_root=True)


def test_the_loss_of_a_series_weighs_each_step_by_the_last_value() -> None:
    """Three known values, later ones 4, 6, 9, and two steps: origins at 2, at 4 and, for one step alone, at 6."""
    frame = pd.DataFrame({"date": pd.date_range("2000-01-01", periods=6), "value": [1.0, 3.0, 2.0, 4.0, 6.0, 9.0]})
    table = PublicTable(
        name="t", group="series", origin="", frame=frame, target="value", later_B=np.arange(3, 6), time="date"
    )
    own = {"rows": [0, 1, 2], "mean": [[3.0, 4.0], [6.0, 8.0], [8.0, 0.0]]}
    last = {"mean": [[2.0, 2.0, 2.0], [4.0, 4.0, 4.0], [6.0, 6.0, 6.0]]}
    losses = score_results(table, {OWN: own, "last": last}, OWN)
    # Squared errors: (1, 4), (0, 1) and (1, -); those of the last value: (4, 16), (4, 25) and (9, -).
    first, second = (4 + 4 + 9) / 3, (16 + 25) / 2
    # The second step has two of three origins, so each of them counts one and a half times: steps weigh alike.
    expected = [(1 / first + 1.5 * 4 / second) / 2, (0 + 1.5 * 1 / second) / 2, 1 / first / 2]
    assert losses[OWN].row_B == pytest.approx(expected)
    assert losses[OWN].loss == pytest.approx(np.sqrt(np.mean(expected)))
    assert losses[OWN].first_loss == pytest.approx(np.sqrt(2 / 3))
    assert losses["last"].first_loss == pytest.approx(np.sqrt(first))
    assert losses["last"].loss == pytest.approx(1.0)


def test_labels_are_compared_by_name_and_unknown_ones_have_the_smallest_probability() -> None:
    frame = pd.DataFrame({"x": range(6), "y": ["b", "a", "b", "a", "b", "c"]})
    table = PublicTable(name="t", group="labels", origin="", frame=frame, target="y", later_B=np.array([3, 4, 5]))
    own = {"rows": [0, 2], "mean": [[0.2, 0.8], [0.5, 0.5]], "labels": ["b", "a"]}
    peer = {"mean": [[0.7, 0.3], [0.9, 0.1], [0.4, 0.6]]}
    losses = score_results(table, {OWN: own, "peer": peer}, OWN)
    assert losses[OWN].row_B == pytest.approx([-np.log(0.8), -np.log(1e-6)])
    assert losses["peer"].row_B == pytest.approx([-np.log(0.7), -np.log(1e-6)])


def test_numbers_have_their_rmse_on_the_rows_that_okawari_answers() -> None:
    frame = pd.DataFrame({"x": range(5), "y": [0.0, 0.0, 1.0, 2.0, 3.0]})
    table = PublicTable(name="t", group="numbers", origin="", frame=frame, target="y", later_B=np.array([2, 3, 4]))
    own, peer = {"rows": [0, 2], "mean": [[2.0], [3.0]]}, {"mean": [[1.0], [99.0], [5.0]]}
    losses = score_results(table, {OWN: own, "peer": peer}, OWN)
    assert losses[OWN].loss == pytest.approx(np.sqrt(0.5))
    assert losses["peer"].loss == pytest.approx(np.sqrt(2.0))


@pytest.mark.parametrize("block", [1, 5])
def test_bounds_hold_the_ratio_and_tell_a_clear_loss_from_luck(block: int) -> None:
    base = _draw_losses(1.0)
    worse, equal = _draw_losses(1.5), _draw_losses(1.0, seed=2)
    clear = compare(worse, base, block)
    assert clear.value == pytest.approx(np.sqrt(1.5))
    assert clear.lower == pytest.approx(clear.upper)  # the same rows times 1.5: their ratio never changes
    assert clear.is_lost
    luck = compare(equal, base, block)
    assert luck.lower < luck.value < luck.upper
    assert not luck.is_lost


def test_bounds_of_two_hundred_ratios_without_difference_leave_out_one_in_about_twenty() -> None:
    outside = 0
    for seed in range(200):
        ratio = compare(_draw_losses(1.0, 80, 2 * seed), _draw_losses(1.0, 80, 2 * seed + 1), 1)
        outside += not ratio.lower <= 1.0 <= ratio.upper
    assert 2 <= outside <= 26


def test_the_best_single_method_has_the_best_geometric_mean_and_answers_every_table() -> None:
    first = {OWN: _draw_losses(1.0), "steady": _draw_losses(2.0), "mixed": _draw_losses(1.0), "rare": _draw_losses(0.1)}
    second = {OWN: _draw_losses(1.0), "steady": _draw_losses(2.0), "mixed": _draw_losses(9.0)}
    assert choose_best([first, second], OWN) == "steady"
