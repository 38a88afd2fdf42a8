"""The gate's statistics against computed truths: what moves them, what must not, and how often they err."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from okawari.evaluation.evidence import Design, Origins, Records, bound_origins, compare, compare_pair
from okawari.evaluation.max_test import Errors, adjust_p_values, measure_record_errors, measure_series_errors

RECORDS, SERIES = Records(), Origins(overlap=2, n_fits=5)


def _draw(n: int = 60, n_columns: int = 3, seed: int = 0) -> tuple[np.ndarray, np.random.Generator]:
    random = np.random.default_rng(seed)
    return random.standard_normal((n, n_columns)) ** 2, random


# --- the gain -----------------------------------------------------------------------------------------------------


def test_the_loss_of_the_horizon_weighs_each_step_in_units_of_the_baseline() -> None:
    floor, _ = _draw()
    better = floor * np.array([0.5, 0.8, 1.1])
    [found] = compare(floor * [1, 100, 1e6], [better * [1, 100, 1e6]], SERIES)
    assert found.plain_gain_share == pytest.approx(1 - np.sqrt(0.8)) and found.loss_name == "horizon loss"
    assert (found.n_origins, found.n_fits, found.n_compared, found.noun) == (60, 5, 1, "origin")


def test_gains_of_log_losses_are_not_those_of_a_root() -> None:
    floor, _ = _draw(n_columns=1)
    [squared], [log] = (compare(floor, [0.64 * floor], RECORDS, loss_name=name) for name in ("RMSE", "log loss"))
    assert (squared.gain_share, log.gain_share) == (pytest.approx(0.2), pytest.approx(0.36))
    assert (squared.loss_name, log.loss_name) == ("RMSE", "log loss")


@pytest.mark.parametrize("design", [RECORDS, SERIES])
def test_equal_losses_are_no_evidence_and_equally_lower_ones_leave_no_doubt(design: Design) -> None:
    floor, _ = _draw()
    same, half, broken, perfect = compare(floor, [floor, floor / 4, np.full_like(floor, np.nan), 0 * floor], design)
    assert same.gain_share == 0 and same.p_value > 0.3
    assert half.gain_share == pytest.approx(0.5) and half.p_value < 0.01 and half.is_better
    assert broken.gain_share == -np.inf and broken.p_value == 1 and broken.low_share is None
    assert perfect.gain_share == pytest.approx(1) and perfect.p_value < 0.01


def test_nothing_beats_a_perfect_baseline_and_few_rows_claim_nothing() -> None:
    floor, _ = _draw()
    equal, worse = compare(0 * floor, [0 * floor, floor], SERIES)
    assert equal.gain_share == 0 and not worse.is_better and worse.p_value > 0.5
    [few] = compare(floor[:3], [floor[:3] / 4], SERIES)
    assert (few.gain_share, few.p_value, few.high_share) == (pytest.approx(0.5), 1.0, None)


def test_one_heavy_row_changes_nothing() -> None:
    floor, random = _draw(seed=3)
    better = floor * random.uniform(0.3, 0.9, floor.shape)
    [before] = compare(floor, [better], SERIES)
    floor[30], better[30] = 1e6, 1e6
    [after] = compare(floor, [better], SERIES)
    assert before.p_value < 0.01 and after.p_value < 0.01 and after.is_better
    assert after.gain_share == pytest.approx(before.gain_share, abs=0.05)
    # A single stroke of luck is no evidence either, however large it is.
    lucky = floor.copy()
    lucky[30] = 0
    [found] = compare(floor, [lucky], SERIES)
    assert found.plain_gain_share > 0.9 and found.p_value > 0.05


def test_an_origin_counts_at_most_ten_times_the_mean_of_the_others() -> None:
    losses = np.ones((2, 40))
    losses[:, 7] = 1000
    assert bound_origins(losses, RECORDS)[7] == pytest.approx(10 / 1000)
    assert np.delete(bound_origins(losses, RECORDS), 7) == pytest.approx(1)


# --- its uncertainty ----------------------------------------------------------------------------------------------


def test_the_evidence_of_one_loss_of_records_is_that_of_the_paired_t_test() -> None:
    random = np.random.default_rng(5)
    floor, other = (random.uniform(0.5, 1.5, (80, 1)) for _ in range(2))
    [found] = compare(floor, [other - 0.05], RECORDS, loss_name="log loss")
    one_sided = stats.ttest_rel(floor[:, 0], other[:, 0] - 0.05, alternative="greater")
    low, high = stats.ttest_rel(floor[:, 0], other[:, 0] - 0.05).confidence_interval(0.95)
    # The loss and its root are two statistics, nearly the same here, so the correction is between 1 and 2.
    assert 0.9 * one_sided.pvalue <= found.p_value <= 1.3 * one_sided.pvalue
    assert [found.low_share, found.high_share] == pytest.approx([low / floor.mean(), high / floor.mean()])


def test_neighbours_that_resemble_each_other_are_less_evidence() -> None:
    random = np.random.default_rng(6)
    moving = np.convolve(random.standard_normal(132), np.ones(13), "valid")[np.newaxis]
    errors = [measure_series_errors(each, 12).standard_V[0] for each in (moving, random.permuted(moving, axis=1))]
    assert errors[0] > 2 * errors[1]
    assert errors[1] == pytest.approx(moving.std(ddof=1) / np.sqrt(120), rel=0.4)
    assert measure_series_errors(moving, 12).dof == 120 // 13 and measure_series_errors(moving, 59).dof == 2


def test_luck_of_a_fit_moves_all_records_of_its_fold() -> None:
    random = np.random.default_rng(7)
    fold_B = np.arange(200) % 5
    noise = random.standard_normal((1, 200))
    lucky = noise + np.array([-1, 1, 0.5, -0.5, 0])[fold_B]
    plain = measure_record_errors(lucky).standard_V[0]
    folded = measure_record_errors(lucky, fold_B).standard_V[0]
    means = [lucky[0, fold_B == fold].mean() for fold in range(5)]
    assert folded == pytest.approx(np.std(means, ddof=1) / np.sqrt(5)) and folded > 3 * plain


# --- several candidates -------------------------------------------------------------------------------------------


def test_copies_of_a_candidate_cost_no_power_and_others_cost_some() -> None:
    floor, random = _draw(seed=8)
    better = floor * 0.9 + 0.03 * random.standard_normal(floor.shape) ** 2
    alone = compare(floor, [better], SERIES)[0].p_value
    copied = compare(floor, [better] * 8, SERIES)[0].p_value
    strangers = [floor + 0.3 * random.standard_normal(floor.shape) * floor for _ in range(7)]
    among = compare(floor, [better, *strangers], SERIES)[0].p_value
    assert copied == pytest.approx(alone, abs=0.01) and alone <= among
    hopeless = compare(floor, [better, *[9 * floor + each for each in strangers]], SERIES)[0].p_value
    assert hopeless == pytest.approx(alone, abs=0.01)


def test_independent_statistics_are_corrected_as_by_sidak() -> None:
    p_values = adjust_p_values(np.array([2.5, 1.0, 0.5]), Errors(np.ones(3), 1000, np.eye(3)), 1000)
    own = stats.t.sf([2.5, 1.0, 0.5], 1000)
    assert p_values == pytest.approx([1 - (1 - own[0]) ** 3, 1 - (1 - own[1]) ** 2, own[2]], abs=0.02)
    assert list(p_values) == sorted(p_values)


def test_the_same_losses_have_the_same_evidence() -> None:
    floor, random = _draw(seed=9)
    others = [floor * random.uniform(0.5, 1.4, floor.shape) for _ in range(4)]
    assert compare(floor, others, SERIES) == compare(floor, others, SERIES)


def test_a_pair_is_measured_in_units_of_the_baseline_and_corrected_for_the_choice() -> None:
    floor, random = _draw(seed=10)
    champion, challenger = floor * 0.8, floor * random.uniform(0.5, 0.9, floor.shape)
    rivals = [floor * random.uniform(0.4, 1.1, floor.shape) for _ in range(3)]
    alone = compare_pair(challenger, champion, floor, SERIES)
    chosen = compare_pair(challenger, champion, floor, SERIES, rivals=rivals)
    assert (alone.n_compared, chosen.n_compared) == (1, 4) and chosen.p_value >= alone.p_value
    assert alone.plain_gain_share == pytest.approx(
        1 - np.sqrt((challenger / floor.mean(axis=0)).mean() / (champion / floor.mean(axis=0)).mean())
    )


# --- how often it errs --------------------------------------------------------------------------------------------


def _draw_equals(random: np.random.Generator, n: int, share: float) -> list[np.ndarray]:
    """Squared errors [n, 1] of two equally good methods, whose errors are autoregressive or heavy-tailed."""
    if share == 0:
        common = random.standard_t(3, n)
        return [((common + random.standard_t(3, n)) ** 2)[:, np.newaxis] for _ in range(2)]
    error = random.standard_normal((2, n + 50))
    for t in range(1, n + 50):
        error[:, t] += share * error[:, t - 1]
    return [each[50:, np.newaxis] ** 2 for each in error]


@pytest.mark.parametrize(("share", "design"), [(0.0, Records()), (0.7, Origins())])
@pytest.mark.parametrize("n", [20, 60])
def test_equals_are_told_apart_in_at_most_one_case_of_twenty(share: float, design: Design, n: int) -> None:
    random = np.random.default_rng([n, int(10 * share)])
    pairs = [_draw_equals(random, n, share) for _ in range(250)]
    found = [compare(one, [other], design)[0] for one, other in pairs]
    n_wrong = sum(each.p_value <= 0.05 for each in found)
    assert n_wrong <= stats.binom.ppf(0.99, len(found), 0.05)
    held = np.mean([each.low_share <= 0 <= each.high_share for each in found])
    assert held >= 0.9
