"""What a user's case file imports. A case is one prediction problem, declared once."""

from okawari.case.definition import (
    ARRIVED,
    Anticipate,
    AtLeast,
    Case,
    Change,
    Classify,
    Column,
    Forecast,
    Growth,
    LogRatio,
    Regress,
)
from okawari.case.rules import Drift, Gate, Retrain, Serving

__all__ = [
    "ARRIVED",
    "Anticipate",
    "AtLeast",
    "Case",
    "Change",
    "Classify",
    "Column",
    "Drift",
    "Forecast",
    "Gate",
    "Growth",
    "LogRatio",
    "Regress",
    "Retrain",
    "Serving",
]
