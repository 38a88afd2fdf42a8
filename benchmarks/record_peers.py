"""Answers of the models that a user might pick for records, to the rows of the later part.

Each is fitted on all known rows with a target. Boosted trees take words as categories and missing values as they are;
forests and linear models take words as 0 and 1 and medians for missing numbers. Defaults of LightGBM and
scikit-learn; the penalties of the linear models are chosen by cross validation.

Shapes: B rows, C labels.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.public_tables import PublicTable
from benchmarks.series_peers import Peer

Array = NDArray[np.float64]

_MOST_WORDS = 100
"""Columns with more different words are names and no input."""


@dataclass(frozen=True)
class RecordsTask:
    """Inputs of the known and the later rows, and the truth of the known ones; `labels` are empty for numbers."""

    known: pd.DataFrame
    later: pd.DataFrame
    truth: pd.Series
    labels: tuple[str, ...]


def prepare_records(table: PublicTable) -> RecordsTask:
    """The task of a table; rows without a target are not learned."""
    known = table.known.dropna(subset=[table.target])
    truth = known[table.target]
    words = truth.dtype == object
    n_known = len(known)
    inputs = _prepare_inputs(pd.concat([known, table.later]).drop(columns=table.target).reset_index(drop=True))
    labels = tuple(sorted(truth.unique())) if words else ()
    return RecordsTask(inputs.iloc[:n_known], inputs.iloc[n_known:], truth.reset_index(drop=True), labels)


def _prepare_inputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, dates as years, words as categories; names are left out."""
    prepared: dict[object, Any] = {}
    for name, values in frame.items():
        if pd.api.types.is_numeric_dtype(values):
            prepared[name] = values.astype(float)
        elif values.dropna().str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
            prepared[name] = pd.to_datetime(values).dt.year.astype(float)
        elif values.nunique() <= _MOST_WORDS:
            prepared[name] = values.astype("category")
    return pd.DataFrame(prepared).rename(columns=lambda name: "".join(c if c.isalnum() else "_" for c in str(name)))


def _answer_with(build: Callable[[bool], Any]) -> Callable[[RecordsTask], Peer]:
    """A library's model; `build` is told whether the target is a label."""

    def answer(task: RecordsTask) -> Peer:
        model = build(bool(task.labels))
        started = time.perf_counter()
        model.fit(task.known, task.truth)
        fit_s = time.perf_counter() - started
        if not task.labels:
            return Peer(np.asarray(model.predict(task.later), dtype=float)[:, None], fit_s)
        places = [list(model.classes_).index(label) for label in task.labels]
        return Peer(model.predict_proba(task.later)[:, places], fit_s)

    return answer


def _build_lightgbm(labelled: bool) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    return (LGBMClassifier if labelled else LGBMRegressor)(n_jobs=1, verbosity=-1)


def _build_histgb(labelled: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if labelled else HistGradientBoostingRegressor
    return kind(random_state=7, categorical_features="from_dtype")


def _build_forest(labelled: bool) -> Any:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    return _encode_before((RandomForestClassifier if labelled else RandomForestRegressor)(random_state=7, n_jobs=1))


def _build_linear(labelled: bool) -> Any:
    from sklearn.linear_model import LogisticRegressionCV, RidgeCV

    if labelled:
        settings = {"l1_ratios": (0,), "use_legacy_attributes": False}  # the defaults to come; both warn if unset
        return _encode_before(LogisticRegressionCV(Cs=10, cv=5, scoring="neg_log_loss", max_iter=2000, **settings))
    return _encode_before(RidgeCV(np.logspace(-3, 4, 29)))


def _encode_before(model: Any) -> Any:
    from sklearn.compose import ColumnTransformer, make_column_selector
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("words", words, make_column_selector(dtype_include="category")),
        ]
    )
    return make_pipeline(encoder, model)


RECORD_PEERS: Mapping[str, Callable[[RecordsTask], Peer]] = {
    "LightGBM": _answer_with(_build_lightgbm),
    "HistGB": _answer_with(_build_histgb),
    "forest": _answer_with(_build_forest),
    "linear CV": _answer_with(_build_linear),
}
"""Peers of records by name; `linear CV` is ridge for numbers and logistic regression for labels."""
