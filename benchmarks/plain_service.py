"""A minimal service for comparison: FastAPI, typed models, the same graph, one request at a time.

It has no batches, no journal, no model swap, no rules between columns and no limits.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel, PositiveFloat

from okawari.graph.inference import Graph

app = FastAPI()
graph = Graph.load(Path(os.environ["PLAIN_GRAPH"]).read_bytes())


class Reading(BaseModel):
    date: str | None = None
    open: PositiveFloat
    high: PositiveFloat
    low: PositiveFloat
    close: PositiveFloat
    volume: PositiveFloat


class Request(BaseModel):
    instances: list[list[Reading]]


@app.post("/aapl/predict")
def predict(request: Request) -> dict[str, Any]:
    x_BTF = np.array([[[r.open, r.high, r.low, r.close, r.volume] for r in window] for window in request.instances])
    answer = graph.answer(x_BTF)
    assert answer.lower_BH is not None
    assert answer.upper_BH is not None
    return {"mean": answer.mean_BH.tolist(), "lower": answer.lower_BH.tolist(), "upper": answer.upper_BH.tolist()}


@app.get("/readyz")
def is_ready() -> str:
    return "ready"
