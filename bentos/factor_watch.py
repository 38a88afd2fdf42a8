"""Watches the width factor of the model that serves: the newest valid one is used, an invalid one changes nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from bentos.loading import Loaded, load_width_factor
from okawari.errors import InvalidInput
from okawari.storage.width_factors import find_factor_file

Stamp = tuple[str, int, int]
"""A file's version, time of change and size."""

_log = logging.getLogger("bentoml.okawari")


class FactorWatch:
    """Reads a factor when its file has changed since the last look, or another model serves."""

    def __init__(self) -> None:
        self._seen: tuple[str, Stamp | None] | None = None

    def check(self, model: Loaded, refused: str | None) -> tuple[Loaded, str | None]:
        """The model with its newest valid factor, and why a newer one is refused; both as before if nothing changed."""
        file = find_factor_file(model.manifest.case, model.manifest.version)
        seen = (model.tag, _stamp(file))
        if seen == self._seen:
            return model, refused
        self._seen = seen
        try:
            factor = load_width_factor(model)
        except InvalidInput as reason:
            _log.error("%s keeps its intervals: %s", model.manifest.case, reason)
            return model, str(reason)
        if factor is not None and model.factor is not None and factor.number < model.factor.number:
            return model, f"{file} holds intervals {factor.name}, older than {model.factor.name}, which are used."
        return replace(model, factor=factor), None


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return file.name, found.st_mtime_ns, found.st_size
