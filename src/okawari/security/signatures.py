"""Signatures of deployables: Ed25519, with a key that is derived from the installation's secret.

Who has the secret can sign. Who has the public key alone can verify: a built Bento carries it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from okawari.errors import InvalidInput
from okawari.security.secrets import derive_secret
from okawari.settings import load_settings


def sign(content: bytes) -> bytes:
    """The signature of this installation, 64 bytes."""
    return _load_private_key().sign(content)


def is_signed(content: bytes, signature: bytes) -> bool:
    """Whether the holder of the trusted key signed the content.

    Raises:
        InvalidInput: OKAWARI_SIGNING_KEY is not a public key.
    """
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(find_public_key())).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def find_public_key() -> str:
    """The trusted key as 64 hexadecimal digits: OKAWARI_SIGNING_KEY or, without it, this installation's own.

    Raises:
        InvalidInput: OKAWARI_SIGNING_KEY is not a public key.
    """
    key = load_settings().signing_key.strip()
    if not key:
        return _load_private_key().public_key().public_bytes_raw().hex()
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    except ValueError:
        raise InvalidInput(
            f"OKAWARI_SIGNING_KEY is {key[:80]!r}; a public key has 64 hexadecimal digits. Show the key of the "
            "installation that packages with: python -m bentos.deploy key."
        ) from None
    return key


def _load_private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive_secret("deployables"))
