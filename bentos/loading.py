"""Load a model from the model store and check it: signature, shapes, warm-up and golden question.

Shapes: B windows, T readings, F columns, H steps ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bentos.model_store import Entry
from okawari.case import Case
from okawari.clients.wire import ModelInfo
from okawari.dataset.arrays import decode_places
from okawari.errors import InvalidInput
from okawari.graph.dictionary import know_graph
from okawari.graph.inference import Graph, require_answers, require_fit
from okawari.models.windows import Values
from okawari.storage.deployable import Deployable, Manifest, load_deployable
from okawari.storage.width_factors import WidthFactor, find_factor_file, load_factor


@dataclass(frozen=True)
class Loaded:
    """A model that passed every check and is ready to answer."""

    tag: str
    manifest: Manifest
    graph: Graph
    recent: pd.DataFrame
    case: Case
    """The case with the dictionary of the graph, by which questions are encoded and answers are named."""
    factor: WidthFactor | None = None
    """By how much its intervals are wider than calibrated; None for not at all."""

    @property
    def width_H(self) -> Values | None:  # noqa: N802
        """Half widths for the graph; None for its own."""
        if self.factor is None or self.graph.width_H is None:
            return None
        width_H: Values = self.graph.width_H * np.array(self.factor.factor_H)
        return width_H

    @property
    def interval_version(self) -> str | None:
        """The name of the width factor; None for calibrated widths."""
        return None if self.factor is None else self.factor.name

    def describe(self) -> dict[str, Any]:
        """Identity and lineage, as every answer contains them."""
        known = {**vars(self.manifest), "interval_version": self.interval_version}
        return {name: known[name] for name in ModelInfo.model_fields}


def load_width_factor(model: Loaded) -> WidthFactor | None:
    """The stored width factor of a model; None where there is none.

    Raises:
        InvalidInput: it is not one of this installation for this model, or the graph takes no widths.
    """
    known = model.manifest
    file = find_factor_file(known.case, known.version)
    factor = load_factor(file, known.case, known.version, known.graph_sha256)
    if factor is None:
        return None
    widths = 0 if model.graph.width_H is None else len(model.graph.width_H)
    if len(factor.factor_H) != widths:
        raise InvalidInput(f"{file} has {len(factor.factor_H)} factors; the graph takes {widths}. Remove it.")
    return factor


@dataclass(frozen=True)
class Engine:
    """The device that runs a graph, "cpu" or "cuda", and the number of threads for one run."""

    device: str
    threads: int


def load_checked(entry: Entry, case: Case, engine: Engine, *, hot: Sequence[Loaded] = ()) -> Loaded:
    """Load an entry and check it: signature, shapes, warm-up, golden question.

    Args:
        entry: the entry that holds the deployable.
        case: the case that it must serve.
        engine: the device and threads that it runs on.
        hot: loaded models. The session of one with the same graph is reused, so a rollback needs no second load.

    Raises:
        InvalidInput: the deployable fails a check; the message says which.
        OSError: a file is missing.
    """
    deployable = load_deployable(entry.path)
    if deployable.manifest.case != case.name:
        raise InvalidInput(f"It belongs to case {deployable.manifest.case}, not {case.name}; deploy it there.")
    same = [model.graph for model in hot if model.graph.sha256 == deployable.manifest.graph_sha256]
    graph = same[0] if same else Graph.load(deployable.graph, threads=engine.threads, device=engine.device)
    require_fit(graph, case)
    require_answers(graph, case)
    _warm(graph, case)
    _check_golden(graph, deployable, case)
    own = know_graph(case, graph.labels)
    return Loaded(entry.tag, deployable.manifest, graph, decode_places(deployable.recent, own), own)


def _warm(graph: Graph, case: Case) -> None:
    """Run each shape once, because the first run of a shape allocates memory and is slow."""
    for n_windows in (1, case.serving.max_batch_size):
        graph.answer(np.ones((n_windows, case.history, len(case.input_columns))))


def _check_golden(graph: Graph, deployable: Deployable, case: Case) -> None:
    golden = deployable.golden
    mean_BH = graph.answer(golden.x_BTF).mean_BH
    if not golden.matches(mean_BH):
        raise InvalidInput(
            f"Its answer to the golden question is {_shorten(mean_BH)}; the recorded one is {_shorten(golden.mean_BH)} "
            f"(tolerance {golden.tolerance_share:g}). Package the version again."
        )


def _shorten(values: np.ndarray[Any, Any]) -> str:
    return "[" + ", ".join(f"{value:.6g}" for value in values.reshape(-1)[:3]) + ", ...]"
