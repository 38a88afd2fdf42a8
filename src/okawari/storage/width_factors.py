"""Width factors of served intervals: a signed file for each version of a model, in the state folder beside its journal.

`monitor` computes them from outcomes (`okawari.evaluation.adaptive_width`), and the service multiplies the calibrated
half widths of the version's graph by them. A version without a file, so every new one, has the factor 1.
"""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from okawari.errors import InvalidInput
from okawari.security.signatures import is_signed, sign
from okawari.settings import load_settings
from okawari.storage.atomic_write import write_whole

LEAST, MOST = 0.1, 10.0
"""Bounds that a reader checks; factors are computed within narrower ones."""
KEPT = 50
"""Files of a case; older ones are removed."""


@dataclass(frozen=True, kw_only=True)
class WidthFactor:
    """Factors by which the calibrated half widths of a version are multiplied, one for each column of an answer.

    `number` counts the files of a version from 1. `n_outcomes` are the outcomes that each factor was computed from, and
    `graph_sha256` is the graph whose widths they multiply.
    """

    case: str
    version: str
    graph_sha256: str
    number: int
    factor_H: tuple[float, ...]
    n_outcomes_H: tuple[int, ...]

    @property
    def name(self) -> str:
        """How answers name it: version of the model and number."""
        return f"{self.version}.{self.number}"

    @property
    def n_outcomes(self) -> int:
        """Outcomes of all columns."""
        return sum(self.n_outcomes_H)


def find_factor_file(case_name: str, version: str) -> Path:
    """The file of a version, which need not exist."""
    return load_settings().state_dir / "widths" / case_name / f"{version}.json"


def save_factor(factor: WidthFactor) -> bool:
    """Store a signed factor; returns False where the stored one knows more outcomes, and so is newer."""
    file = find_factor_file(factor.case, factor.version)
    with _hold(file.parent):
        stored = load_stored(factor.case, factor.version, factor.graph_sha256)
        if stored is not None and stored.n_outcomes > factor.n_outcomes:
            return False
        content = _serialize(asdict(factor))
        signature = sign(_describe(content)).hex()
        signed = json.dumps({"content": content, "algorithm": "ed25519", "signature": signature})
        write_whole(file, lambda path: path.write_text(signed))
        _remove_old(file.parent)
    return True


def load_stored(case_name: str, version: str, graph_sha256: str) -> WidthFactor | None:
    """The stored factor of a version; None where there is no valid one, which the next `save_factor` replaces."""
    try:
        return load_factor(find_factor_file(case_name, version), case_name, version, graph_sha256)
    except InvalidInput:
        return None


def load_factor(file: Path, case_name: str, version: str, graph_sha256: str) -> WidthFactor | None:
    """Read a factor and check it; None where there is no file.

    Raises:
        InvalidInput: it is not signed by this installation, was changed, belongs to another model, or has a factor that
            is out of bounds.
    """
    try:
        told = json.loads(file.read_text())
        content, signature = str(told["content"]), bytes.fromhex(told["signature"])
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError, OSError) as damage:
        raise InvalidInput(
            f"{file} cannot be read ({damage}). Remove it; the next monitor writes it again."
        ) from damage
    if not is_signed(_describe(content), signature):
        raise InvalidInput(f"The signature in {file} does not fit its content. Remove it; the next monitor writes it.")
    factor = _parse(json.loads(content))
    if (factor.case, factor.version, factor.graph_sha256) != (case_name, version, graph_sha256):
        raise InvalidInput(
            f"{file} belongs to {factor.case} version {factor.version}, graph {factor.graph_sha256[:12]}, not to "
            f"{case_name} version {version}, graph {graph_sha256[:12]}. Remove it."
        )
    if not all(math.isfinite(each) and LEAST <= each <= MOST for each in factor.factor_H):
        raise InvalidInput(f"{file} has the factors {factor.factor_H}; they are {LEAST:g} to {MOST:g}. Remove it.")
    return factor


def _parse(content: dict[str, Any]) -> WidthFactor:
    content["factor_H"], content["n_outcomes_H"] = tuple(content["factor_H"]), tuple(content["n_outcomes_H"])
    return WidthFactor(**content)


def _serialize(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _describe(content: str) -> bytes:
    """The text that is signed."""
    return f"okawari width factor 1\n{content}".encode()


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Allow one writer at a time for the factors of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_old(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for file in files[KEPT:]:
        file.unlink(missing_ok=True)
