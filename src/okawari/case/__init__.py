"""The names that a user's case file imports. A case is one prediction problem, declared once."""

from okawari.case.definition import Case
from okawari.case.rules import Drift, Gate, Retrain, Serving
from okawari.schema.calendar_features import Holiday, Hour, Month, Weekday
from okawari.schema.column_rules import AtLeast
from okawari.schema.columns import Column
from okawari.schema.features import Change, LogRatio
from okawari.schema.tasks.classification import Classify
from okawari.schema.tasks.forecast import Forecast
from okawari.schema.tasks.multi_target import Anticipate, Growth
from okawari.schema.tasks.regression import Regress
from okawari.schema.tasks.task import ARRIVED

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
    "Holiday",
    "Hour",
    "LogRatio",
    "Month",
    "Regress",
    "Retrain",
    "Serving",
    "Weekday",
]
