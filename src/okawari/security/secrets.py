"""The secret of an installation, and the secrets that are derived from it.

The secret is the setting OKAWARI_SECRET (the same for every replica of a cluster) or, without it, a random one in
`<state folder>/secrets/installation`, made at the first use and readable by its owner only.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from okawari.errors import InvalidInput, OkawariError
from okawari.settings import load_settings

_N_BYTES = 32
_MIN_LENGTH = 32
"""Characters of OKAWARI_SECRET: 32 hexadecimal digits are 128 bits."""


def derive_secret(purpose: str) -> bytes:
    """The 32 bytes of this installation for one purpose: HMAC-SHA256 of the purpose under the installation's secret.

    Who knows the secret of one purpose learns nothing about the others.

    Raises:
        InvalidInput: OKAWARI_SECRET is too short, or the secret's file is damaged or readable by other users.
        OkawariError: the secret cannot be stored.
    """
    return hmac.digest(_load_root(), purpose.encode(), hashlib.sha256)


def derive_password(purpose: str) -> str:
    """The secret of a purpose as text that an HTTP header can carry."""
    return derive_secret(purpose).hex()


def _load_root() -> bytes:
    settings = load_settings()
    if not settings.secret:
        return _read_or_make(settings.state_dir / "secrets" / "installation")
    if len(settings.secret) < _MIN_LENGTH:
        raise InvalidInput(
            f"OKAWARI_SECRET has {len(settings.secret)} characters; it needs at least {_MIN_LENGTH}. Make one with: "
            "openssl rand -hex 32."
        )
    return settings.secret.encode()


@lru_cache(maxsize=64)
def _read_or_make(path: Path) -> bytes:
    """The bytes of the secret's file; a missing file is made. Of several processes, the first one's secret stays."""
    try:
        if not path.exists():
            _make(path)
        _require_private(path)
        content = path.read_bytes()
    except OSError as failed:
        raise OkawariError(
            f"The installation's secret {path} cannot be stored or read ({failed}). Make the folder writable, or set "
            "OKAWARI_HOME to one that is."
        ) from failed
    if len(content) != _N_BYTES:
        raise InvalidInput(
            f"{path} has {len(content)} bytes; the installation's secret has {_N_BYTES}. Restore it from a copy, or "
            "remove it and start Okawari again: a new one is made, and answers and models of the old one are refused."
        )
    return content


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_N_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _link_first(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _link_first(temporary: Path, path: Path) -> None:
    """Give the file its name unless another process was first; a link, unlike a rename, replaces nothing."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return


def _require_private(path: Path) -> None:
    if (mode := path.stat().st_mode & 0o077) != 0:
        raise InvalidInput(
            f"{path} can be read by other users (mode {mode | 0o600:o}); it holds the installation's secret. Run: "
            f"chmod 600 {path}."
        )
