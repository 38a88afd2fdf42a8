"""Batched inference: BentoML's adaptive batches collect the requests for one case; the newest valid model answers them.

Shapes: B windows, T readings, F columns, H steps ahead.

BentoML's own dispatcher forms the batches, inside this process. The two ways that BentoML documents (a dependent
service, a call through the service's own proxy) send every request through a second HTTP stack and answered 1.6 to 3.6
times fewer requests (docs/decisions/0001-batching-in-process.md). Only this module uses the dispatcher.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
from bentoml._internal.marshal.dispatcher import CorkDispatcher, Optimizer

from bentos.errors import Overloaded
from bentos.factor_watch import FactorWatch
from bentos.loading import Engine, Loaded, load_checked
from bentos.metrics import ServingMetrics
from bentos.model_store import Entry, list_entries, read_newest
from bentos.requests import Question
from okawari.case import Case
from okawari.errors import InvalidInput, NotYet
from okawari.models.windows import Values

MAX_LATENCY_MS = 60_000
"""BentoML cancels a request after this wait. Real waits are far shorter, because the queue is bounded."""

_NO_POINTER = (
    "The file `latest` of the model store names no complete entry; it names the newest one. Package the version again."
)

_log = logging.getLogger("bentoml.okawari")


@dataclass(frozen=True)
class Answered:
    """The answer to one request [B, H], in the target's unit, and the model that computed all of it."""

    model: Loaded
    mean_BH: Values
    lower_BH: Values | None
    upper_BH: Values | None


@dataclass(frozen=True)
class ServedModels:
    """The models that a runner holds. Replaced as a whole, so a reader never sees half of a swap."""

    current: Loaded | None = None
    previous: Loaded | None = None
    refused: str | None = None
    interval_refused: str | None = None

    @property
    def hot(self) -> tuple[Loaded, ...]:
        """Every loaded model."""
        return tuple(model for model in (self.current, self.previous) if model is not None)


class Runner:
    """Answers one case's requests in batches, with the newest model that passed its checks."""

    def __init__(self, case: Case, engine: Engine, worker: ThreadPoolExecutor) -> None:
        self.case = case
        self._engine, self._worker = engine, worker
        self._seen: str | None = None
        self._tried: frozenset[str] = frozenset()
        self._served = ServedModels()
        self._factors = FactorWatch()
        self._metrics = ServingMetrics()
        self._many = asyncio.Lock()
        # A request counts as one, however many windows it holds: BentoML would split a larger one over two batches,
        # and a swap between them would let two versions answer it.
        dispatcher: CorkDispatcher[Question, Answered] = CorkDispatcher(
            MAX_LATENCY_MS, case.serving.max_batch_size, fallback=_raise_overloaded, get_batch_size=lambda _: 1
        )
        dispatcher.optimizer = _NoWait(MAX_LATENCY_MS / 1000)
        self._dispatch = dispatcher(self._run_batch)

    @property
    def served(self) -> ServedModels:
        """Current, previous and refused, as of now."""
        return self._served

    def require_model(self) -> Loaded:
        """The model that serves now.

        Raises:
            NotYet: none is deployed.
        """
        model = self._served.current
        if model is None:
            raise NotYet(f"Case {self.case.name} has no model yet; make one with: okawari run {self.case.name}.")
        return model

    async def answer(self, question: Question) -> Answered:
        """Answer a question, in one batch with other waiting requests if they fit into a batch.

        The question is encoded when its model is known, by that model's dictionary.

        Raises:
            NotYet: no model is deployed.
            InvalidInput: the answer holds a number that is not finite.
        """
        fits = len(question.x_BTF) <= self.case.serving.max_batch_size
        answered: Answered = await (self._dispatch(question) if fits else self._answer_many(question))
        if not all(bool(np.isfinite(part).all()) for part in _parts(answered)):
            raise InvalidInput(
                "The model's answer is not a finite number; the readings lie outside the range that it can handle. "
                "Check their values and units."
            )
        return answered

    async def _answer_many(self, question: Question) -> Answered:
        """Answer more windows than a batch holds with one model, in parts; batches of others run in between."""
        size = self.case.serving.max_batch_size
        async with self._many:
            model = self.require_model()
            x_BTF = question.encode(model.case)
            loop = asyncio.get_running_loop()
            parts = [
                await loop.run_in_executor(self._worker, self._run_graph, model, x_BTF[start : start + size])
                for start in range(0, len(x_BTF), size)
            ]
        means, lowers, uppers = zip(*parts, strict=True)
        return Answered(model, np.concatenate(means), _join(lowers), _join(uppers))

    async def _run_batch(self, requests: Sequence[Question]) -> list[Answered]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self.compute, requests)

    def compute(self, requests: Sequence[Question]) -> list[Answered]:
        """Answer several requests with one model, each encoded by its dictionary."""
        model = self.require_model()  # once for the whole batch
        encoded = [request.encode(model.case) for request in requests]
        mean_BH, lower_BH, upper_BH = self._run_graph(model, np.concatenate(encoded))
        ends = np.cumsum([len(x_BTF) for x_BTF in encoded])
        parts = [slice(end - len(x_BTF), end) for end, x_BTF in zip(ends, encoded, strict=True)]
        return [Answered(model, mean_BH[part], _cut(lower_BH, part), _cut(upper_BH, part)) for part in parts]

    def _run_graph(self, model: Loaded, x_BTF: Values) -> tuple[Values, Values | None, Values | None]:
        size = self.case.serving.max_batch_size
        chunks = [x_BTF[start : start + size] for start in range(0, len(x_BTF), size)]
        answers = [model.graph.answer(chunk, model.width_H) for chunk in chunks]
        for chunk in chunks:
            self._metrics.count_batch(self.case.name, len(chunk))
        return (
            np.concatenate([answer.mean_BH for answer in answers]),
            _join([answer.lower_BH for answer in answers]),
            _join([answer.upper_BH for answer in answers]),
        )

    def check_store(self) -> None:
        """Load the newest entry and the newest width factor of what serves, unless they were checked before."""
        self._check_entries()
        served = self._served
        if served.current is not None:
            current, refused = self._factors.check(served.current, served.interval_refused)
            self._served = replace(served, current=current, interval_refused=refused)

    def _check_entries(self) -> None:
        """Load the newest entry unless it was checked before. If it fails and no model serves, load an older entry."""
        newest = read_newest(self.case.name)
        if newest is None:
            return self._check_unnamed()
        if newest.tag == self._seen:
            return
        try:
            loaded = self._load(newest)
        except Exception as error:  # a broken deployable can raise anything; the current model keeps serving
            self._refuse(newest, error)
            if self._served.current is None:
                self._fall_back(newest)
        else:
            self._seen = newest.tag
            self._swap(loaded, refused=None)

    def _load(self, entry: Entry) -> Loaded:
        return load_checked(entry, self.case, self._engine, hot=self._served.hot)

    def _check_unnamed(self) -> None:
        """Load the newest valid entry if the pointer names none and no model serves; try each set of entries once."""
        if self._served.current is not None:
            return
        tags = frozenset(each.entry.tag for each in list_entries(self.case.name))
        if tags and tags != self._tried:
            self._tried = tags
            self._served = replace(self._served, refused=_NO_POINTER)
            self._fall_back(None)

    def _fall_back(self, refused: Entry | None) -> None:
        """Serve the newest older entry that passes its checks."""
        for listed in list_entries(self.case.name):
            if listed.entry != refused:
                with suppress(Exception):  # as above; the reported reason is that of the newest entry
                    return self._swap(self._load(listed.entry), refused=self._served.refused)

    def _swap(self, loaded: Loaded, *, refused: str | None) -> None:
        self._served = ServedModels(current=loaded, previous=self._served.current, refused=refused)
        self._metrics.count_swap(self.case.name, "served")
        _log.info("%s serves version %s (%s)", self.case.name, loaded.manifest.version, loaded.tag)

    def _refuse(self, entry: Entry, error: Exception) -> None:
        """Record and log the reason. An entry with a missing file is checked again; any other failure is final."""
        reason = f"{entry.tag} is refused: {error or type(error).__name__}"
        if not isinstance(error, OSError):
            self._seen = entry.tag
        if reason != self._served.refused:
            self._served = replace(self._served, refused=reason)
            self._metrics.count_swap(self.case.name, "refused")
            _log.error("%s", reason)


class _NoWait(Optimizer):  # type: ignore[misc]  # BentoML is not typed
    """Adds no wait: a batch holds the requests that arrived while the previous batch was computed.

    BentoML's optimizer waits for the mean wait of the last 50 batches, so a busy period lengthens later waits: after a
    minute of 64 clients, a single client waited 15 ms for an answer instead of 2, for minutes (`benchmarks.serving`).
    """

    def trigger_refresh(self) -> None:
        """Update the estimated cost of a batch like the base class, then set the wait to 0."""
        super().trigger_refresh()
        self.wait = 0


def _raise_overloaded() -> NoReturn:
    raise Overloaded(
        f"The request was not computed within {MAX_LATENCY_MS // 1000} s, the most allowed; send it again in a second."
    )


def _parts(answered: Answered) -> list[Values]:
    return [part for part in (answered.mean_BH, answered.lower_BH, answered.upper_BH) if part is not None]


def _join(parts: Sequence[Values | None]) -> Values | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _cut(values_BH: Values | None, part: slice) -> Values | None:
    return None if values_BH is None else values_BH[part]
