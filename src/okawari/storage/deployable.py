"""The files of a deployed model: graph, identity and lineage, a recorded input with its answer, recent readings.

A deployable is a folder of signed files, written by the `package` flow and read by the service:

    graph.onnx      the graph: raw readings in, answer in the user's units out
    manifest.json   `Manifest`: identity and lineage
    golden.json     `Golden`: a recorded input with its answer; the service refuses a graph whose answer differs
    recent.parquet  the newest readings at packaging time, so that a forecast works without a data folder
    signature.json  the signature of the other four, which is verified before any of them is parsed
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from okawari.errors import InvalidInput
from okawari.security.signatures import find_public_key, is_signed, sign

GRAPH_FILE, MANIFEST_FILE, GOLDEN_FILE, RECENT_FILE = "graph.onnx", "manifest.json", "golden.json", "recent.parquet"
SIGNATURE_FILE = "signature.json"
_SIGNED_FILES = (GOLDEN_FILE, GRAPH_FILE, MANIFEST_FILE, RECENT_FILE)


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Identity and lineage of one model; the only list of these fields. Times are ISO 8601, UTC.

    The registry stores them as tags of a version, a deployable stores them as its manifest, and the service returns
    some of them (`okawari.clients.wire.ModelInfo`). A new field without a default is required when a version is
    registered.
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
    """Share of true values that the interval is meant to contain; None for models without an interval."""
    measured_share: float | None = None
    """Share of held-out true values that it contained, for the first step or the first number."""


@dataclass(frozen=True, kw_only=True)
class Manifest(ModelIdentity):
    """The metadata of a deployable's model."""


def make_manifest(identity: ModelIdentity) -> Manifest:
    """The manifest of a registered version, or of any other `ModelIdentity`."""
    return Manifest(**{field.name: getattr(identity, field.name) for field in fields(Manifest)})


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A recorded input `x_BTF` and the answer `mean_BH` (target's unit) that every copy of the graph must reproduce."""

    x_BTF: NDArray[np.float64]
    mean_BH: NDArray[np.float64]
    tolerance_share: float = 1e-4

    def matches(self, mean_BH: NDArray[np.float64]) -> bool:
        """Whether an answer equals the recorded one within `tolerance_share` of its largest number.

        The tolerance is not relative to each number: a probability near 0 is the small difference of larger numbers,
        and its rounding error differs between processors.
        """
        largest = _find_largest(self.mean_BH) or 1.0
        return mean_BH.shape == self.mean_BH.shape and bool(
            np.allclose(mean_BH, self.mean_BH, rtol=0.0, atol=self.tolerance_share * largest)
        )


def record_golden(x_BTF: NDArray[np.float64], mean_BH: NDArray[np.float64], summed: float = 0.0) -> Golden:
    """An input with its answer. For answers that are sums, `summed` is their largest summand: where large summands
    cancel out, the sum may be near zero, but its rounding error is proportional to the summands.
    """
    share = Golden.tolerance_share * max(1.0, summed / (_find_largest(mean_BH) or 1.0))
    return Golden(x_BTF=x_BTF, mean_BH=mean_BH, tolerance_share=share)


def _find_largest(values: NDArray[np.float64]) -> float:
    return float(np.max(np.abs(values), initial=0.0))


@dataclass(frozen=True)
class Deployable:
    """A deployable folder's contents."""

    manifest: Manifest
    golden: Golden
    graph: bytes
    recent: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write the four files and their signature.

        Raises:
            InvalidInput: the graph's sha256 is not the one in the manifest.
        """
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
        signature = sign(_describe_files(_read_files(folder)))
        (folder / SIGNATURE_FILE).write_text(json.dumps({"algorithm": "ed25519", "signature": signature.hex()}))


def load_deployable(folder: Path) -> Deployable:
    """Read a deployable folder.

    Raises:
        InvalidInput: the folder is not signed with the trusted key, or a file differs from the signed one.
        OSError: a file is missing.
    """
    files = _read_files(folder)
    _verify(folder, files)
    manifest = Manifest(**json.loads(files[MANIFEST_FILE]))
    golden = json.loads(files[GOLDEN_FILE])
    recorded = Golden(
        x_BTF=np.asarray(golden["x"], dtype=np.float64),
        mean_BH=np.asarray(golden["mean"], dtype=np.float64),
        tolerance_share=golden["tolerance_share"],
    )
    return Deployable(manifest, recorded, files[GRAPH_FILE], pd.read_parquet(BytesIO(files[RECENT_FILE])))


def _read_files(folder: Path) -> dict[str, bytes]:
    """The signed files, each read once: what is verified is what is parsed."""
    return {name: (folder / name).read_bytes() for name in _SIGNED_FILES}


def _describe_files(files: dict[str, bytes]) -> bytes:
    """The text that is signed: a line with digest and name for each file."""
    lines = [f"{digest(content)}  {name}" for name, content in sorted(files.items())]
    return "\n".join(["okawari deployable 1", *lines]).encode()


def _verify(folder: Path, files: dict[str, bytes]) -> None:
    """Raise `InvalidInput` unless the holder of the trusted key signed the files."""
    try:
        told = json.loads((folder / SIGNATURE_FILE).read_text())
        signature = bytes.fromhex(told["signature"])
    except FileNotFoundError:
        raise InvalidInput(
            f"{folder} has no {SIGNATURE_FILE}; every deployable is signed by the installation that packages it. "
            "Package it again: okawari run CASE."
        ) from None
    except (ValueError, LookupError, TypeError):
        signature = b""
    if not is_signed(_describe_files(files), signature):
        raise InvalidInput(
            f"The signature in {folder} does not fit its files and the key {find_public_key()[:12]}...; only unchanged "
            "deployables of this installation are served. Package the version again with okawari run CASE, or set "
            "OKAWARI_SIGNING_KEY to the public key of the installation that packaged it."
        )


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
