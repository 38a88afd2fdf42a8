"""The rules by which the loop decides about a case."""

from __future__ import annotations

from dataclasses import dataclass

from okawari.errors import require
from okawari.security.answer_ids import MAX_INSTANCES

MIN_HOLDOUT = 6
"""Fewest windows in the holdout: with fewer, no gain over the baseline is significant after Holm's adjustment."""
MIN_CALIBRATION = 9
"""Fewest calibration windows: the largest of nine errors covers nine tenths of new values."""

MOST_ORIGINS = 20
"""Most fits of one candidate in one training."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """When a challenger may replace the champion. Shares are relative: 0.01 is one percent.

    Every candidate is fitted `origins` times, and its answers to windows that it has not learned from are compared. A
    series is judged on its newest `calibration` and `holdout` windows, in `origins` blocks; each block is answered by
    models of the past before it (a rolling origin). Records are dealt into `origins` folds, so that each record is
    judged once; with one origin, the last `calibration` and `holdout` records are judged. The last `validation_share`
    of what a fit learns from is used for early stopping. The errors of judged windows set the intervals; coverage is
    measured on windows whose own errors did not set them.

    A candidate beats the baseline with a gain of at least `min_gain_share` whose p-value, corrected for the number of
    candidates, is at most `floor_level`. It replaces a champion where the p-value is at most `alpha`, or at equal point
    forecasts where the interval score is lower by `min_interval_gain_share` at `alpha`. The two levels differ because
    the errors do: serving what is better than the baseline by luck costs about half a percent of the loss, and refusing
    what is truly better costs its whole gain (docs/decisions/0010-evidence-of-a-promotion.md).

    With `approval`, a challenger that passes the gate (also the first one) does not serve before a person approves it:
    it waits for `okawari approve CASE`.
    """

    holdout: int = 120
    calibration: int = 250
    origins: int = 3
    validation_share: float = 0.1
    min_gain_share: float = 0.01
    alpha: float = 0.05
    floor_level: float = 0.25
    min_interval_gain_share: float = 0.05
    quantized_loss_share: float = 0.005
    quantized_saving_share: float = 0.3
    max_slowdown_share: float = 0.1
    approval: bool = False

    def __post_init__(self) -> None:
        require(
            self.holdout >= MIN_HOLDOUT,
            f"Gate.holdout is {self.holdout}; scores need at least {MIN_HOLDOUT} windows. Use 20 or more where the "
            "data allow it.",
        )
        require(
            self.calibration >= MIN_CALIBRATION,
            f"Gate.calibration is {self.calibration}; intervals need at least {MIN_CALIBRATION} windows; use 30 "
            "or more where the data allow it.",
        )
        require(
            1 <= self.origins <= MOST_ORIGINS,
            f"Gate.origins is {self.origins}; it counts fits of each candidate, 1 to {MOST_ORIGINS}. Use 3 to 6, or 1 "
            "where a fit takes long.",
        )
        require(0 < self.alpha < 0.5, f"Gate.alpha is {self.alpha}; use a probability between 0 and 0.5.")
        require(
            0 < self.floor_level < 1,
            f"Gate.floor_level is {self.floor_level}; use a probability between 0 and 1, such as 0.25.",
        )
        require(
            0 < self.validation_share < 0.5,
            f"Gate.validation_share is {self.validation_share}; use a share above 0 and below 0.5.",
        )


@dataclass(frozen=True, kw_only=True)
class Drift:
    """When the data has drifted: `reference` readings before the champion's snapshot against up to `current` new ones.

    `alpha` is the family-wise false-alarm rate over all features (Holm). `min_effect` is the smallest distance (KS, 0
    to 1) that counts as drift. Below `min_current` new readings the verdict is "not enough data".
    """

    reference: int = 750
    current: int = 60
    min_current: int = 20
    alpha: float = 0.05
    min_effect: float = 0.1

    def __post_init__(self) -> None:
        require(0 < self.alpha < 0.5, f"Drift.alpha is {self.alpha}; use a probability between 0 and 0.5.")
        require(
            self.min_current <= self.current < self.reference,
            f"Drift sizes are {self.min_current} <= {self.current} < {self.reference}; keep that order.",
        )


@dataclass(frozen=True, kw_only=True)
class Retrain:
    """Limits of retraining: at least `cooldown_readings` new readings between two trainings, at most `daily_budget`
    trainings a day, and no automatic one after `max_rejections` rejected challengers in a row. Performance is tested
    from `min_outcomes` outcomes on.
    """

    cooldown_readings: int = 20
    daily_budget: int = 24
    max_rejections: int = 5
    min_outcomes: int = 40

    def __post_init__(self) -> None:
        require(self.min_outcomes >= 2, f"Retrain.min_outcomes is {self.min_outcomes}; use 2 or more.")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Limits of the service: at most `max_batch_size` windows in a batch and `max_instances` in one request."""

    max_batch_size: int = 32
    max_instances: int = 256

    def __post_init__(self) -> None:
        require(self.max_batch_size >= 2, f"Serving.max_batch_size is {self.max_batch_size}; use 2 or more.")
        require(
            1 <= self.max_instances <= MAX_INSTANCES,
            f"Serving.max_instances is {self.max_instances}; use 1 to {MAX_INSTANCES}.",
        )
