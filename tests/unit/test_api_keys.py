"""API keys: stored as hashes, private, in force at once, and never lost when several processes write."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from okawari.errors import InvalidInput, OkawariError
from okawari.security.api_keys import (
    KeyRing,
    KeyScope,
    create_key,
    find_keys_file,
    load_keys,
    parse_lifetime,
    record_use,
    revoke_key,
)
from tests.conftest import Said

PREDICT = [KeyScope.PREDICT]


def test_only_the_hash_of_a_key_is_stored_and_only_its_owner_can_read_it(home: Path) -> None:
    key, token = create_key("shop", [KeyScope.PREDICT, KeyScope.OUTCOMES])
    file = find_keys_file()
    content = file.read_text()
    assert token.startswith(f"okw_{key.id}_") and len(token) >= 50
    assert token not in content and token.rsplit("_", 1)[-1] not in content
    assert hashlib.sha256(token.encode()).hexdigest() in content
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in file.parent.iterdir()) == ["keys.json", "keys.lock"]


def test_a_ring_finds_a_key_by_its_whole_token_only(home: Path) -> None:
    ring = KeyRing(find_keys_file())
    assert ring.load() == ()
    key, token = create_key("shop", PREDICT)
    create_key("other", PREDICT)
    assert ring.find_token(token) == key  # made after the ring, and found at once
    for wrong in ("", token[:-1], token + "x", token.upper(), key.id, "okw_ü", key.sha256):
        assert ring.find_token(wrong) is None


def test_a_ring_notices_a_revoked_key_and_a_removed_file(home: Path) -> None:
    _, token = create_key("shop", PREDICT)
    ring = KeyRing(find_keys_file())
    found = ring.find_token(token)
    assert found is not None and found.revoked_at is None
    revoke_key("shop")
    found = ring.find_token(token)
    assert found is not None and found.revoked_at is not None
    find_keys_file().unlink()
    assert ring.find_token(token) is None and ring.load() == ()


def test_a_name_is_unique_among_keys_in_force(home: Path) -> None:
    first, _ = create_key("shop", PREDICT)
    with pytest.raises(InvalidInput, match="already a key 'shop'"):
        create_key("shop", PREDICT)
    revoke_key("shop")
    second, _ = create_key("shop", PREDICT)
    assert [key.id for key in load_keys()] == [first.id, second.id]
    revoke_key("shop")
    with pytest.raises(InvalidInput, match="no key 'shop' to revoke"):
        revoke_key("shop")


@pytest.mark.parametrize("name", ["", " shop", "a b", "-x", "../x", "x" * 65, "shop\n"])
def test_an_odd_name_is_refused(name: str, home: Path) -> None:
    with pytest.raises(InvalidInput, match="is not allowed"):
        create_key(name, PREDICT)


def test_a_key_without_scope_is_refused(home: Path) -> None:
    with pytest.raises(InvalidInput, match="no scope"):
        create_key("shop", [])


def test_admin_includes_all_scopes_and_the_others_only_themselves(home: Path) -> None:
    admin, _ = create_key("boss", [KeyScope.ADMIN])
    reader, _ = create_key("reader", [KeyScope.READ])
    assert all(admin.allows(scope) for scope in KeyScope)
    assert [scope for scope in KeyScope if reader.allows(scope)] == [KeyScope.READ]


def test_a_key_expires(home: Path) -> None:
    key, _ = create_key("shop", PREDICT, timedelta(hours=1))
    now = datetime.now(UTC)
    assert not key.has_expired(now)
    assert key.has_expired(now + timedelta(hours=1, seconds=1))


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1.5h", "90D", "3w", "1d1h", "999999d"])
def test_a_lifetime_has_one_form(text: str) -> None:
    with pytest.raises(InvalidInput, match="such as 90d"):
        parse_lifetime(text)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [{"id": "a"}]}'])
def test_a_damaged_file_admits_nobody(content: bytes, home: Path) -> None:
    _, token = create_key("shop", PREDICT)
    find_keys_file().write_bytes(content)
    with pytest.raises(InvalidInput, match="is damaged"):
        KeyRing(find_keys_file()).find_token(token)
    with pytest.raises(InvalidInput, match="is damaged"):
        create_key("other", PREDICT)
    assert find_keys_file().read_bytes() == content  # left for a person to look at


def test_a_file_that_others_can_use_is_refused(home: Path) -> None:
    create_key("shop", PREDICT)
    find_keys_file().chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        load_keys()


def test_a_folder_that_cannot_be_made_gets_a_sentence(home: Path) -> None:
    home.mkdir()
    (home / "secrets").write_text("in the way")
    with pytest.raises(OkawariError, match="cannot be stored"):
        create_key("other", PREDICT)


_WRITER = """
import sys
from datetime import UTC, datetime
from okawari.security.api_keys import KeyScope, create_key, load_keys, record_use, revoke_key
me, shared = sys.argv[1:]
for number in range(8):
    create_key(f"{me}-{number}", [KeyScope.READ])
    record_use(shared, datetime.now(UTC))
    if number % 2:
        revoke_key(f"{me}-{number}")
"""


@pytest.mark.fault
def test_processes_that_write_together_lose_no_key_no_revocation_and_no_use(home: Path) -> None:
    shared, _ = create_key("shared", PREDICT)
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, name, shared.id]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    keys = {key.name: key for key in load_keys()}
    assert len(keys) == 1 + 3 * 8
    for name, key in keys.items():
        assert (key.revoked_at is not None) == (name != "shared" and int(name[-1]) % 2 == 1), name
    assert keys["shared"].used_at is not None


def test_a_use_of_a_key_that_was_removed_meanwhile_changes_nothing(home: Path) -> None:
    create_key("shop", PREDICT)
    before = load_keys()
    record_use("none", datetime.now(UTC))
    assert load_keys() == before


# --- the command line ---------------------------------------------------------------------------------------------

Call = Callable[..., Said]


def test_a_key_is_shown_once(call: Call) -> None:
    made = call("keys", "create", "shop", "--scope", "predict", "--scope", "outcomes", "--expires", "90d")
    assert made.code == 0
    token = made.out.strip()
    assert KeyRing(find_keys_file()).find_token(token) is not None
    assert "shown only now" in made.err and token not in made.err
    listed = call("keys", "list")
    assert listed.code == 0
    assert "shop" in listed.out and "predict, outcomes" in listed.out
    assert token not in listed.out and token.rsplit("_", 1)[-1] not in listed.out


def test_a_revoked_key_is_listed_as_such(call: Call) -> None:
    call("keys", "create", "shop", "--scope", "read")
    assert call("keys", "revoke", "shop").code == 0
    (key,) = load_keys()
    assert key.revoked_at is not None
    assert f"{key.revoked_at:%Y-%m-%d %H:%M}" in call("keys", "list").out


def test_without_keys_the_list_says_what_that_means(call: Call) -> None:
    said = call("keys", "list")
    assert said.code == 0 and "loopback only" in said.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("create", "a b", "--scope", "read"), "is not allowed"),
        (("create", "shop", "--scope", "read", "--expires", "soon"), "such as 90d"),
        (("create", "shop", "--scope", "write"), "write"),
        (("create", "shop"), "--scope"),
        (("revoke", "nobody"), "no key 'nobody'"),
    ],
)
def test_a_wrong_command_gets_a_sentence(arguments: tuple[str, ...], text: str, call: Call) -> None:
    said = call("keys", *arguments)
    assert said.code != 0
    assert text in said.err and "Traceback" not in said.err
    assert load_keys() == ()
