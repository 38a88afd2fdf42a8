"""What a deployed model carries: the graph, who made it from what, and the questions it must answer the same way.

A deployable is a folder of four files, written by the `package` flow and read by the service:

    graph.onnx      the graph: raw readings in, answer in the user's units out
    manifest.json   `Manifest`: identity and lineage
    golden.json     `Golden`: a recorded question with its answer; a copy that answers differently is refused
    recent.parquet  the newest readings at packaging time, so that a forecast works without a data folder
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput

GRAPH_FILE, MANIFEST_FILE, GOLDEN_FILE, RECENT_FILE = "graph.onnx", "manifest.json", "golden.json", "recent.parquet"


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Identity and lineage of one model: the one list of these fields. Times are ISO 8601, UTC.

    The registry keeps them as tags of a version, a deployable as its manifest, and the service answers with some of
    them (`okawari.clients.wire.ModelInfo`). A new field without a default has to be given when
    a version is registered.
    """

    case: str
    version: str
    """Version in the registry."""
    run_id: str
    candidate: str
    variant: str
    graph_sha256: str
    snapshot_version: int
    snapshot_digest: str
    trained_until: str
    decision_id: str
    coverage_share: float | None = None
    """Share of truths that the interval is meant to hold; None where the model has no interval."""
    measured_share: float | None = None
    """Share of held-out truths that it held, of the first step or the first number."""


@dataclass(frozen=True, kw_only=True)
class Manifest(ModelIdentity):
    """The metadata of a deployable's model."""


def make_manifest(identity: ModelIdentity) -> Manifest:
    """The manifest of a registered version, or of whatever else carries an identity."""
    return Manifest(**{field.name: getattr(identity, field.name) for field in fields(Manifest)})


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A recorded question `x_BTF` and the answer `mean_BH` (target's unit) that every copy of the graph must give."""

    x_BTF: NDArray[np.float32]
    mean_BH: NDArray[np.float32]
    tolerance_share: float = 1e-4

    def matches(self, mean_BH: NDArray[np.float32]) -> bool:
        """Whether an answer equals the recorded one within `tolerance_share` of its largest number.

        Not of each number: a probability near 0 is what is left of 1, and rounds apart on another processor.
        """
        largest = _find_largest(self.mean_BH) or 1.0
        return mean_BH.shape == self.mean_BH.shape and bool(
            np.allclose(mean_BH, self.mean_BH, rtol=0.0, atol=self.tolerance_share * largest)
        )


def record_golden(x_BTF: NDArray[np.float32], mean_BH: NDArray[np.float32], summed: float = 0.0) -> Golden:
    """A question with its answer. Where answers are sums, `summed` is the largest number in them: what is left of large
    numbers that cancel out may be next to nothing, and still rounds in their size.
    """
    share = Golden.tolerance_share * max(1.0, summed / (_find_largest(mean_BH) or 1.0))
    return Golden(x_BTF=x_BTF, mean_BH=mean_BH, tolerance_share=share)


def _find_largest(values: NDArray[np.float32]) -> float:
    return float(np.max(np.abs(values), initial=0.0))


@dataclass(frozen=True)
class Deployable:
    """A deployable folder's contents."""

    manifest: Manifest
    golden: Golden
    graph: bytes
    recent: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write the four files; the graph must be the one that the manifest names."""
        _check_digest(self.graph, self.manifest)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / GRAPH_FILE).write_bytes(self.graph)
        (folder / MANIFEST_FILE).write_text(json.dumps(asdict(self.manifest), indent=2))
        golden = {
            "x": self.golden.x_BTF.tolist(),
            "mean": self.golden.mean_BH.tolist(),
            "tolerance_share": self.golden.tolerance_share,
        }
        (folder / GOLDEN_FILE).write_text(json.dumps(golden))
        self.recent.to_parquet(folder / RECENT_FILE, index=False)


def load_deployable(folder: Path) -> Deployable:
    """Read a deployable folder.

    Raises:
        InvalidInput: the graph's bytes are not those that the manifest names.
    """
    manifest = load_manifest(folder)
    graph = (folder / GRAPH_FILE).read_bytes()
    _check_digest(graph, manifest)
    golden = json.loads((folder / GOLDEN_FILE).read_text())
    question = Golden(
        x_BTF=np.asarray(golden["x"], dtype=np.float32),
        mean_BH=np.asarray(golden["mean"], dtype=np.float32),
        tolerance_share=golden["tolerance_share"],
    )
    return Deployable(manifest, question, graph, pd.read_parquet(folder / RECENT_FILE))


def load_manifest(folder: Path) -> Manifest:
    """Read only the identity of a deployable folder."""
    return Manifest(**json.loads((folder / MANIFEST_FILE).read_text()))


def digest(content: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _check_digest(graph: bytes, manifest: Manifest) -> None:
    found = digest(graph)
    if found != manifest.graph_sha256:
        raise InvalidInput(
            f"The graph of {manifest.case} version {manifest.version} has sha256 {found[:12]}, "
            f"its manifest names {manifest.graph_sha256[:12]}; package the version again."
        )
