"""Exponential smoothing (ETS) with additive errors, trend and season, fitted by statsforecast (imported inside `fit`).

Where growth is learned, it smooths logarithms, so that trend and season multiply. Multiplicative errors are left out:
with them, the forecast would not be an affine map of a window.

Shapes: n readings of a series, K states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from okawari.errors import require
from okawari.models.cores import Core
from okawari.models.fit_context import Progress, TrainingData
from okawari.models.innovations import Innovations
from okawari.models.level_series import read_straight, require_readings, require_season
from okawari.models.phased_model import FittedSeries, PhasedModel
from okawari.models.season_profile import PreparedSeries, prepare_series
from okawari.models.windows import Floats, WindowSet

FORMS = ("ANN", "AAN", "AAdN", "ANA", "AAA", "AAdA")
"""Error, trend (d: damped) and season: none or additive."""
_FEWEST_READINGS = 12
_MOST_READINGS = 3000


@dataclass(frozen=True, kw_only=True)
class Ets:
    """Recipe of additive exponential smoothing; of the forms of error, trend and season, AICc chooses one.

    Args:
        season: readings of a season; 0 or 1 for none. One of more than 24 readings is taken off by STL first.
        form: one of `FORMS`, to fit no other.

    Parameters are those of the newest 3,000 train readings, at least four seasons.
    Source: Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing, 2008, chapters 2, 5 and 7.

    Example:
        >>> Ets(season=12).name
        'ets_12'
    """

    season: int = 0
    form: str = ""

    def __post_init__(self) -> None:
        require_season("Ets", self.season)
        require(
            self.form in ("", *FORMS),
            f"Ets.form is {self.form!r}; it is one of {', '.join(FORMS)}, or empty, so that the fit chooses.",
        )

    @property
    def name(self) -> str:
        """Short name of the candidate; it does not tell the form."""
        return f"ets_{self.season}" if self.season > 1 else "ets"

    def fit(self, data: TrainingData, progress: Progress) -> EtsModel:
        """Choose the form and its parameters on the series that the train windows cover; deterministic.

        Raises:
            InvalidInput: the task is not a forecast, or the train part has fewer than 12 readings.
        """
        history, horizon = data.train.x_BTF.shape[1], data.train.r_BH.shape[1]
        straight_N = read_straight(data, "Ets")
        series = prepare_series(straight_N, self.season, _MOST_READINGS)
        require_readings("Ets", len(series.y_N), _FEWEST_READINGS)
        fitted, form, facts = _choose(series, self.form)
        progress(1, 1, facts)
        return EtsModel(recipe=self, form=form, phased=fitted.meet_windows(history, horizon, facts))

    def describe(self) -> dict[str, Any]:
        """Settings as plain JSON values."""
        return {"recipe": "Ets", **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class EtsModel:
    """Smoothing of one `form`, from windows."""

    recipe: Ets
    form: str
    phased: PhasedModel

    @property
    def history(self) -> tuple[Mapping[str, float], ...]:
        """AICc and the smoothing parameters, in one step."""
        return self.phased.history

    def predict(self, windows: WindowSet) -> Floats:
        """Moves `r_BH`."""
        return self.phased.predict(windows)

    def core(self) -> Core:
        """An affine map, with a bias for each phase of a season."""
        return self.phased.core()

    def settle(self) -> Ets:
        """The recipe of the chosen form, for a fit on more readings."""
        return replace(self.recipe, form=self.form)


def _choose(series: PreparedSeries, form: str) -> tuple[FittedSeries, str, dict[str, float]]:
    """The form of the best AICc, fitted, and its numbers."""
    fit = _fit_form(series, form)
    error, trend, season, damped = fit["components"]
    alpha, beta, gamma, phi = (float(each) for each in np.nan_to_num(fit["par"][:4]))
    shape = error + trend + ("d" if damped == "D" else "") + season
    model = build_smoothing(
        alpha=alpha,
        beta=beta if trend == "A" else None,
        gamma=gamma if season == "A" else None,
        phi=phi if damped == "D" else 1.0,
        season=series.season,
    )
    fitted = FittedSeries(
        model=model, y_N=series.y_N, season=series.period, scale=series.scale, profile_S=series.profile_S
    )
    return fitted, form or shape, {"aicc": float(fit["aicc"]), "alpha": alpha, "beta": beta, "gamma": gamma, "phi": phi}


def _fit_form(series: PreparedSeries, form: str) -> Mapping[str, Any]:
    from statsforecast.models import AutoETS

    trend, damped = (form[1], "d" in form) if form else ("Z", None)
    season = "N" if series.season == 1 else form[-1:] or "Z"
    library = AutoETS(season_length=series.season, model=f"A{trend}{season}", damped=damped)
    fit: Mapping[str, Any] = library.fit(series.y_N).model_
    return fit


def build_smoothing(*, alpha: float, beta: float | None, gamma: float | None, phi: float, season: int) -> Innovations:
    """The state space of a form: the level, the slope unless `beta` is None, and unless `gamma` is None the season,
    newest place first.
    """
    slope, places = int(beta is not None), season if gamma is not None else 0
    n_states = 1 + slope + places
    transition_KK, design_K, gain_K = np.zeros((n_states, n_states)), np.zeros(n_states), np.zeros(n_states)
    transition_KK[0, 0] = design_K[0] = 1.0
    gain_K[0] = alpha
    if beta is not None:
        transition_KK[:2, 1] = design_K[1] = phi
        gain_K[1] = beta
    if gamma is not None:
        first = 1 + slope
        transition_KK[first, -1] = design_K[-1] = 1.0
        transition_KK[first + 1 :, first:-1] = np.eye(places - 1)
        gain_K[first] = gamma
    return Innovations(design_K=design_K, transition_KK=transition_KK, gain_K=gain_K)
