"""Records whose variation float32 would lose are refused by the column's name; others are not."""

import numpy as np
import pandas as pd
import pytest

from okawari.case import ARRIVED, Case, Column, Regress
from okawari.data.datasets import Blobs
from okawari.dataset.windows import cut_windows
from okawari.errors import InvalidInput
from okawari.models.constant import Constant

CASE = Case(
    name="meters",
    title="Meters",
    source=Blobs(),
    time=ARRIVED,
    columns=(Column(name="count"), Column(name="size")),
    task=Regress(target=Column(name="cost")),
    candidates=(Constant(),),
)


def draw(count: float = 0.0, cost: float = 0.0, spread: float = 10.0) -> pd.DataFrame:
    random = np.random.default_rng(3)
    arrived = pd.date_range("2026-01-01", periods=200, freq="s").astype("datetime64[ns]")
    columns = {"count": count + spread * random.normal(size=200), "size": np.full(200, 7.0)}
    return pd.DataFrame({ARRIVED: arrived, **columns, "cost": cost + spread * random.normal(size=200)})


@pytest.mark.parametrize("name", ["count", "cost"])
def test_a_column_that_float32_cannot_resolve_is_named(name: str):
    with pytest.raises(InvalidInput, match=rf"Column {name} lies near 1\.?\d* ?.*varies by .*Subtract a constant"):
        cut_windows(draw(**{name: 1.2e9}), CASE)


@pytest.mark.parametrize("given", [{}, {"count": 1.2e9, "spread": 1e5}, {"cost": 1e4}])
def test_what_float32_resolves_is_taken(given: dict[str, float]):
    assert len(cut_windows(draw(**given), CASE)) == 200
