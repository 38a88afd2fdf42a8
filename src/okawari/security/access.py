"""Who sends a request: the rule that says when a key is needed, and the check of a key.

Without keys, only loopback is served. From the first key on, and for every request that another machine sent or could
have sent, each request needs one; that stays so when the last key has expired or is revoked. Programs of the
installation itself send a token that is derived from the installation's secret.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import IPv6Address, ip_address

from okawari.errors import InvalidInput, OkawariError
from okawari.security.api_keys import ApiKey, KeyRing, KeyScope, find_keys_file, load_keys, record_use
from okawari.security.asgi import Scope, read_cookie, read_header, read_headers
from okawari.security.secrets import derive_password
from okawari.security.signed_text import sign_text, verify_text
from okawari.settings import Settings

SESSION_S = 12 * 3600.0
_USE_INTERVAL = timedelta(minutes=1)
_log = logging.getLogger(__name__)


class NotKnown(OkawariError):
    """A request without a valid key; the message says why (status 401)."""


class NotAllowed(OkawariError):
    """A request whose key lacks the scope (status 403)."""


@dataclass(frozen=True)
class Caller:
    """Who sends a request: the name, the scopes, and the key's id, which is empty where no key was needed."""

    name: str
    scopes: tuple[KeyScope, ...]
    key_id: str = ""

    def allows(self, scope: KeyScope) -> bool:
        """Whether the caller has the scope."""
        return scope in self.scopes or KeyScope.ADMIN in self.scopes

    def require(self, scope: KeyScope) -> None:
        """Raise `NotAllowed` unless the caller has the scope."""
        if not self.allows(scope):
            raise NotAllowed(
                f"The key {self.name!r} has {', '.join(self.scopes)}; this request needs {scope}. Use another key, or "
                f"ask the operator for one, who runs: okawari keys create NAME --scope {scope}."
            )


ANYONE = Caller("anyone", (KeyScope.ADMIN,))
"""A caller on loopback while there are no keys."""
OWN_PROGRAM = Caller("this installation", (KeyScope.ADMIN,))


@dataclass
class Access:
    """The keys of a server and the rule that says when one is needed; `is_private` if only this machine reaches it."""

    is_private: bool
    ring: KeyRing = field(default_factory=lambda: KeyRing(find_keys_file()))
    _recorded: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Access:
        """The access of an installation's servers."""
        return cls(is_private(settings))

    @cached_property
    def _own_token(self) -> str:
        return derive_password("internal")

    def needs_key(self, scope: Scope) -> bool:
        """Whether a request needs a key.

        A server that was started by hand may bind to more than OKAWARI_HOST says, and a proxy may lead other machines
        to loopback, so the request's own addresses count too (those that `ReverseProxy` leaves).
        """
        ends = (scope.get("server") or ("",))[0], (scope.get("client") or ("",))[0]
        return not (self.is_private and all(map(is_loopback, ends))) or bool(self.ring.load())

    def identify(self, scope: Scope, *, with_session: bool) -> Caller:
        """The caller of a request; a session's cookie counts where `with_session`.

        Raises:
            NotKnown: the request needs a key and has no valid one.
        """
        if not self.needs_key(scope):
            return ANYONE
        if read_headers(scope, b"authorization"):
            return self.identify_token(_read_token(scope))
        session = self._find_session(scope) if with_session else None
        if session is None:
            raise NotKnown(_NO_KEY)
        return self._admit(session)

    def identify_token(self, token: str) -> Caller:
        """The caller with a token.

        Raises:
            NotKnown: no key in force has this token.
        """
        if hmac.compare_digest(token.encode("utf-8", "replace"), self._own_token.encode()):
            return OWN_PROGRAM
        key = self.ring.find_token(token)
        if key is None:
            raise NotKnown("The API key is not known here. Check that it is complete, or ask the operator for one.")
        return self._admit(key)

    def start_session(self, caller: Caller) -> str:
        """The text of a cookie that stands for a caller's key, for `SESSION_S` or until the key ends."""
        return sign_text("session", caller.key_id, SESSION_S)

    def _find_session(self, scope: Scope) -> ApiKey | None:
        key_id = verify_text("session", read_cookie(scope, name_cookie()))
        return self.ring.find_id(key_id) if key_id else None

    def _admit(self, key: ApiKey) -> Caller:
        now = datetime.now(UTC)
        if key.revoked_at is not None:
            raise NotKnown(f"The key {key.name!r} was revoked on {key.revoked_at:%Y-%m-%d}. Ask the operator for one.")
        if key.has_expired(now):
            raise NotKnown(
                f"The key {key.name!r} expired on {key.expires_at:%Y-%m-%d}. Ask the operator for a new one."
            )
        self._note_use(key, now)
        return Caller(key.name, key.scopes, key.id)

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        """Record the use of a key, at most once a minute, without making the request wait."""
        last = max(filter(None, (key.used_at, self._recorded.get(key.id))), default=None)
        if last is None or now - last >= _USE_INTERVAL:
            self._recorded[key.id] = now
            _start(lambda: _record_quietly(key.id, now))


def _start(work: Callable[[], None]) -> None:
    try:
        asyncio.get_running_loop().run_in_executor(None, work)
    except RuntimeError:
        work()


def _record_quietly(key_id: str, at: datetime) -> None:
    try:
        record_use(key_id, at)
    except OkawariError as failed:
        _log.warning("The use of key %s is not recorded: %s", key_id, failed)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0", "")]
    [True, True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def is_private(settings: Settings) -> bool:
    """Whether only this machine can reach an installation: it binds to loopback, and no proxy leads to it."""
    return is_loopback(settings.host) and not settings.allowed_host_names


def needs_keys(settings: Settings) -> bool:
    """Whether every request to service and page needs a key; raises like `load_keys`."""
    return not is_private(settings) or bool(load_keys())


def require_keys_beyond_loopback(settings: Settings) -> None:
    """Check that an installation that other machines can reach has keys.

    Raises:
        InvalidInput: OKAWARI_HOST is not loopback, or OKAWARI_ALLOWED_HOSTS is set, and there are no keys.
    """
    if is_private(settings) or load_keys():
        return
    is_bound = not is_loopback(settings.host)
    name, value = ("HOST", settings.host) if is_bound else ("ALLOWED_HOSTS", settings.allowed_hosts)
    raise InvalidInput(
        f"OKAWARI_{name} is {value!r}, so other machines can reach this installation, and there are no API keys; "
        "without keys, only loopback is served. Make one with: okawari keys create NAME --scope predict --scope read, "
        f"or unset OKAWARI_{name}."
    )


def load_own_token(settings: Settings) -> str:
    """The token that our own programs send to the service; empty for a service of another installation.

    OKAWARI_API_KEY comes first. The installation's own token is sent to its own service only, or to the service of a
    cluster, which shares OKAWARI_SECRET.

    Raises:
        InvalidInput: OKAWARI_SECRET or its file is refused.
    """
    if settings.api_key:
        return settings.api_key
    has_secret = (settings.state_dir / "secrets" / "installation").exists()
    if settings.secret or (has_secret and not settings.service_url):
        return derive_password("internal")
    return ""


def name_cookie() -> str:
    """Name of the session's cookie. Browsers send cookies to all ports, so each installation has a name of its own."""
    return f"okawari-{derive_password('session cookie')[:8]}"


_NO_KEY = (
    "The request has no API key, and this server needs one. Send it as 'Authorization: Bearer KEY', or set "
    "OKAWARI_API_KEY; the operator makes keys with: okawari keys create NAME --scope predict."
)


def _read_token(scope: Scope) -> str:
    scheme, _, token = read_header(scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotKnown("The header Authorization has another form than 'Bearer KEY'. Send the API key in this form.")
    return token.strip()
