"""API keys: who may call the service, for what, and until when.

`<state folder>/secrets/keys.json` (0600) holds the SHA-256 of each key and never the key itself. A plain SHA-256 is
enough here: a key holds 256 random bits, so nobody can guess it, and the slow hashes that passwords need would only
cost time on each request.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from okawari.errors import InvalidInput, OkawariError
from okawari.settings import load_settings

_N_RANDOM_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LIFETIME = re.compile(r"([1-9][0-9]{0,4})([dh])")
_UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1)}


class KeyScope(StrEnum):
    """What a key is good for; `admin` includes the others."""

    PREDICT = "predict"
    OUTCOMES = "outcomes"
    READ = "read"
    ADMIN = "admin"


class ApiKey(BaseModel):
    """A key without its secret part; times are aware UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scopes: tuple[KeyScope, ...]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created_at: datetime
    expires_at: datetime | None = None
    used_at: datetime | None = None
    revoked_at: datetime | None = None

    def allows(self, scope: KeyScope) -> bool:
        """Whether the key has the scope."""
        return scope in self.scopes or KeyScope.ADMIN in self.scopes

    def has_expired(self, now: datetime) -> bool:
        """Whether the key's time is over."""
        return self.expires_at is not None and self.expires_at <= now


class _Contents(BaseModel):
    version: int = 1
    keys: tuple[ApiKey, ...] = ()


Keys = tuple[ApiKey, ...]


def find_keys_file() -> Path:
    """The file of this installation's keys; it need not exist."""
    return load_settings().state_dir / "secrets" / "keys.json"


def load_keys() -> Keys:
    """All keys, also expired and revoked ones, oldest first.

    Raises:
        InvalidInput: the file is damaged or readable by other users.
        OkawariError: the file cannot be read.
    """
    return _read(find_keys_file())


def create_key(name: str, scopes: Sequence[KeyScope], lifetime: timedelta | None = None) -> tuple[ApiKey, str]:
    """Make a key; returns it with its token, `okw_<id>_<random>`, which is stored nowhere.

    Raises:
        InvalidInput: the name is not allowed or taken, or there is no scope.
    """
    _check_request(name, scopes)
    id, now = secrets.token_hex(4), datetime.now(UTC)
    token = f"okw_{id}_{secrets.token_urlsafe(_N_RANDOM_BYTES)}"
    key = ApiKey(
        id=id,
        name=name,
        scopes=tuple(dict.fromkeys(scopes)),
        sha256=_digest(token),
        created_at=now,
        expires_at=lifetime and now + lifetime,
    )
    _update(lambda keys: (*_without_taken(keys, name), key))
    return key, token


def revoke_key(name: str) -> ApiKey:
    """Revoke a key; running servers refuse it from the next request on. Its record stays.

    Raises:
        InvalidInput: no key in force has this name.
    """
    now = datetime.now(UTC)

    def revoke(keys: Keys) -> Keys:
        if not any(_is_in_force(key, name) for key in keys):
            known = ", ".join(key.name for key in keys if key.revoked_at is None) or "none"
            raise InvalidInput(f"There is no key {name!r} to revoke; keys in force: {known}. Use one of these.")
        return tuple(key.model_copy(update={"revoked_at": now}) if _is_in_force(key, name) else key for key in keys)

    return next(key for key in _update(revoke) if key.name == name and key.revoked_at == now)


def record_use(key_id: str, at: datetime) -> None:
    """Record when a key was last used; other changes that were made meanwhile stay.

    Raises:
        OkawariError: the file cannot be written.
    """
    _update(lambda keys: tuple(key.model_copy(update={"used_at": at}) if key.id == key_id else key for key in keys))


def parse_lifetime(text: str) -> timedelta:
    """A lifetime in days or hours.

    >>> parse_lifetime("90d")
    datetime.timedelta(days=90)

    Raises:
        InvalidInput: the text has another form.
    """
    found = _LIFETIME.fullmatch(text)
    if found is None:
        raise InvalidInput(f"The lifetime {text!r} has an unknown form; it is days or hours, such as 90d or 12h.")
    return int(found[1]) * _UNITS[found[2]]


class KeyRing:
    """The keys of a running server: read again as soon as the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: Keys = ()
        self._mark: tuple[int, ...] | None = None

    def load(self) -> Keys:
        """All keys as of now; raises like `load_keys`. It costs one `stat` if the file has not changed."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._keys = _read(self._path)
            self._mark = mark
        return self._keys

    def find_token(self, token: str) -> ApiKey | None:
        """The key of a token, in whatever state; compared in constant time with all keys."""
        digest, found = _digest(token), None
        for key in self.load():
            if hmac.compare_digest(digest, key.sha256):
                found = key
        return found

    def find_id(self, key_id: str) -> ApiKey | None:
        """The key with an id, in whatever state."""
        return next((key for key in self.load() if key.id == key_id), None)


def _check_request(name: str, scopes: Sequence[KeyScope]) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"The name {name[:80]!r} is not allowed; it has 1 to 64 letters, digits, dots, dashes and underscores and "
            "begins with a letter or a digit. Choose another."
        )
    if not scopes:
        raise InvalidInput(f"The key has no scope; give one or more of {', '.join(KeyScope)} with --scope.")


def _without_taken(keys: Keys, name: str) -> Keys:
    if any(_is_in_force(key, name) for key in keys):
        raise InvalidInput(f"There is already a key {name!r}; choose another name, or run: okawari keys revoke {name}.")
    return keys


def _is_in_force(key: ApiKey, name: str) -> bool:
    return key.name == name and key.revoked_at is None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _mark(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    except OSError as failed:
        raise _unreadable(path, failed) from failed
    return (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode)


def _read(path: Path) -> Keys:
    try:
        mode, content = path.stat().st_mode & 0o077, path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as failed:
        raise _unreadable(path, failed) from failed
    if mode:
        raise InvalidInput(f"Other users may use {path}, which holds the API keys. Run: chmod 600 {path}.")
    try:
        return _Contents.model_validate_json(content).keys
    except ValidationError as refused:
        raise InvalidInput(
            f"{path} is damaged ({refused.error_count()} faults). Restore it from a copy, or remove it and create the "
            "API keys again."
        ) from refused


def _unreadable(path: Path, failed: OSError) -> OkawariError:
    return OkawariError(f"The API keys in {path} cannot be read ({failed}). Make the file readable for its owner.")


def _update(change: Callable[[Keys], Keys]) -> Keys:
    """Change the keys under a lock that all processes share, and replace the file at once."""
    path = find_keys_file()
    try:
        with _lock(path):
            keys = change(_read(path))
            _replace(path, _Contents(keys=keys).model_dump_json(indent=1).encode())
    except OSError as failed:
        raise OkawariError(f"The API keys cannot be stored in {path} ({failed}). Make the folder writable.") from failed
    return keys


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
