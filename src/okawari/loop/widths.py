"""Widths of served intervals follow outcomes: compute the factor of the champion from its answers, and store it."""

from __future__ import annotations

import pandas as pd

from okawari.case import Case
from okawari.evaluation.adaptive_width import adapt_width
from okawari.evaluation.interval_outcomes import collect_scores
from okawari.registry.versions import Version
from okawari.storage import prediction_log
from okawari.storage.width_factors import WidthFactor, load_stored, save_factor

_DIGITS = 3
"""Factors are rounded, so that outcomes that change nothing make no new version of an interval."""


def update_widths(case: Case, champion: Version, readings: pd.DataFrame) -> WidthFactor | None:
    """Store the width factor of the champion if outcomes have changed it; returns it, or None where it stays.

    It is computed anew from all matured answers of the version, so that a killed or repeated call changes nothing.

    Args:
        case: the case.
        champion: the version that serves.
        readings: the newest snapshot, which has the true values of forecasts.
    """
    if champion.coverage_share is None:
        return None
    found = compute_widths(case, champion, readings)
    stored = load_stored(case.name, champion.version, champion.graph_sha256)
    before = (1.0,) * len(found.factor_H) if stored is None else stored.factor_H
    if found.factor_H == before:
        return None
    numbered = WidthFactor(**{**vars(found), "number": 1 if stored is None else stored.number + 1})
    return numbered if save_factor(numbered) else None


def compute_widths(case: Case, champion: Version, readings: pd.DataFrame) -> WidthFactor:
    """The width factor of the champion by all of its matured answers, with the number 0."""
    share = champion.coverage_share
    assert share is not None, "only versions with intervals have widths"
    logs = (prediction_log.load_predictions(case.name), prediction_log.load_outcomes(case.name))
    scores = collect_scores(case, logs, readings, champion.version)
    columns = range(case.task.width)
    return WidthFactor(
        case=case.name,
        version=champion.version,
        graph_sha256=champion.graph_sha256,
        number=0,
        factor_H=tuple(
            round(adapt_width(scores[column], share).factor, _DIGITS) if column in scores else 1.0 for column in columns
        ),
        n_outcomes_H=tuple(len(scores[column]) if column in scores else 0 for column in columns),
    )
