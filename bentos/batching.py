"""Batched inference: questions of one case gather in BentoML's adaptive batches, the newest good model answers them.

Shapes: B windows, T readings, F columns, H steps ahead.

The batches are formed by BentoML's own dispatcher, inside this process. The two ways that BentoML documents (a
dependent service, a call through the service's own proxy) send every question through a second HTTP stack and
answered 1.6 to 3.6 times fewer requests (docs/decisions/0001-batching-in-process.md). This is its only home.
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

from bentos.loading import Engine, Loaded, load_checked
from bentos.metrics import ServingMetrics
from bentos.model_store import Entry, list_entries, read_newest
from okawari.case import Case
from okawari.errors import InvalidInput, NotYet, OkawariError
from okawari.models.windows import Floats

MAX_LATENCY_MS = 60_000
"""No promise but the wait after which BentoML cancels a question; far above any real one, for the queue is bounded."""


_log = logging.getLogger("bentoml.okawari")


class Overloaded(OkawariError):
    """More questions wait than will be answered soon."""


@dataclass(frozen=True)
class Answered:
    """One question's answer [B, H], in the target's unit, and the model that computed all of it."""

    model: Loaded
    mean_BH: Floats
    lower_BH: Floats | None
    upper_BH: Floats | None


@dataclass(frozen=True)
class ServedModels:
    """What a runner has in its hands. Replaced whole, so a reader never sees two halves of a swap."""

    current: Loaded | None = None
    previous: Loaded | None = None
    refused: str | None = None

    @property
    def hot(self) -> tuple[Loaded, ...]:
        """Every loaded model."""
        return tuple(model for model in (self.current, self.previous) if model is not None)


class Runner:
    """Answers one case's questions, in batches, with the newest model that passed its checks."""

    def __init__(self, case: Case, engine: Engine, worker: ThreadPoolExecutor) -> None:
        self.case = case
        self._engine, self._worker = engine, worker
        self._seen: str | None = None
        self._shelf = ServedModels()
        self._tally = ServingMetrics()
        # A request counts as one, however many windows it holds: BentoML would split a larger one over two batches,
        # and a swap between them would let two versions answer it.
        dispatcher: CorkDispatcher[Floats, Answered] = CorkDispatcher(
            MAX_LATENCY_MS, case.serving.max_batch_size, fallback=_give_up, get_batch_size=lambda _: 1
        )
        dispatcher.optimizer = _Prompt(MAX_LATENCY_MS / 1000)
        self._dispatch = dispatcher(self._run_batch)

    @property
    def shelf(self) -> ServedModels:
        """Current, previous and refused, as of now."""
        return self._shelf

    def require_model(self) -> Loaded:
        """The model that serves now.

        Raises:
            NotYet: none is deployed.
        """
        model = self._shelf.current
        if model is None:
            raise NotYet(f"Case {self.case.name} has no model yet; make one with: okawari run {self.case.name}.")
        return model

    async def answer(self, x_BTF: Floats) -> Answered:
        """Answer a question of valid readings, together with whatever else waits.

        Raises:
            NotYet: no model is deployed.
            InvalidInput: the answer is no finite number.
        """
        answered: Answered = await self._dispatch(x_BTF)
        if not all(bool(np.isfinite(part).all()) for part in _parts(answered)):
            raise InvalidInput("The model's answer is not a finite number; the readings lie outside all that it knows.")
        return answered

    async def _run_batch(self, questions: Sequence[Floats]) -> list[Answered]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self.compute, questions)

    def compute(self, questions: Sequence[Floats]) -> list[Answered]:
        """Answer several questions [B, T, F] by one and the same model."""
        model = self.require_model()  # once for the whole batch
        mean_BH, lower_BH, upper_BH = self._run_graph(model, np.concatenate(questions))
        ends = np.cumsum([len(question) for question in questions])
        parts = [slice(end - len(question), end) for end, question in zip(ends, questions, strict=True)]
        return [Answered(model, mean_BH[part], _cut(lower_BH, part), _cut(upper_BH, part)) for part in parts]

    def _run_graph(self, model: Loaded, x_BTF: Floats) -> tuple[Floats, Floats | None, Floats | None]:
        size = self.case.serving.max_batch_size
        chunks = [x_BTF[start : start + size] for start in range(0, len(x_BTF), size)]
        answers = [model.graph.answer(chunk) for chunk in chunks]
        for chunk in chunks:
            self._tally.count_batch(self.case.name, len(chunk))
        return (
            np.concatenate([answer.mean_BH for answer in answers]),
            _join([answer.lower_BH for answer in answers]),
            _join([answer.upper_BH for answer in answers]),
        )

    def check_store(self) -> None:
        """Take over the newest entry if it is not the one that was looked at last; without any model, an older one."""
        newest = read_newest(self.case.name)
        if newest is None or newest.tag == self._seen:
            return
        try:
            loaded = self._load(newest)
        except Exception as error:  # whatever a broken deployable raises, the old one goes on serving
            self._refuse(newest, error)
            if self._shelf.current is None:
                self._fall_back(newest)
        else:
            self._seen = newest.tag
            self._swap(loaded, refused=None)

    def _load(self, entry: Entry) -> Loaded:
        return load_checked(entry, self.case, self._engine, hot=self._shelf.hot)

    def _fall_back(self, refused: Entry) -> None:
        """Serve the newest older entry that passes."""
        for listed in list_entries(self.case.name):
            if listed.entry != refused:
                with suppress(Exception):  # as above; the reason that counts is that of the newest one
                    return self._swap(self._load(listed.entry), refused=self._shelf.refused)

    def _swap(self, loaded: Loaded, *, refused: str | None) -> None:
        self._shelf = ServedModels(current=loaded, previous=self._shelf.current, refused=refused)
        self._tally.count_swap(self.case.name, "served")
        _log.info("%s serves version %s (%s)", self.case.name, loaded.manifest.version, loaded.tag)

    def _refuse(self, entry: Entry, error: Exception) -> None:
        """Say why. A missing file is looked for again, anything else is final for this entry."""
        reason = f"{entry.tag} is refused: {error or type(error).__name__}"
        if not isinstance(error, OSError):
            self._seen = entry.tag
        if reason != self._shelf.refused:
            self._shelf = replace(self._shelf, refused=reason)
            self._tally.count_swap(self.case.name, "refused")
            _log.error("%s", reason)


class _Prompt(Optimizer):  # type: ignore[misc]  # BentoML is not typed
    """Never holds a question back in the hope of company: a batch is what came while the one before was computed.

    BentoML holds back by the mean wait of the last 50 batches, and so teaches itself to wait: after a minute of 64
    clients, a single one was answered in 15 ms instead of 2, for minutes (`benchmarks.serving`).
    """

    def trigger_refresh(self) -> None:
        """Learn the cost of a batch, as always, but no wait."""
        super().trigger_refresh()
        self.wait = 0


def _give_up() -> NoReturn:
    raise Overloaded("The question waited too long; ask again in a second.")


def _parts(answered: Answered) -> list[Floats]:
    return [part for part in (answered.mean_BH, answered.lower_BH, answered.upper_BH) if part is not None]


def _join(parts: Sequence[Floats | None]) -> Floats | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def _cut(values_BH: Floats | None, part: slice) -> Floats | None:
    return None if values_BH is None else values_BH[part]
