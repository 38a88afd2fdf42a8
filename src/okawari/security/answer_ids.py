"""Ids of answers. Each carries a MAC, so that every replica recognises it without reading a journal.

An id has 40 hexadecimal digits: 20 random ones, 4 for the number of instances, and the first 16 of an HMAC-SHA256 over
the case and the first 24. A forged id passes with a chance of 2^-64.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from okawari.security.secrets import derive_secret

PATTERN = "^[0-9a-f]{40}$"
MAX_INSTANCES = 0xFFFF
"""The largest number of instances that an id can name."""

_N_RANDOM_BYTES = 10
_N_COUNT_DIGITS = 4
_N_MAC_DIGITS = 16


class AnswerIds:
    """Issues and recognises the ids of one case's answers."""

    def __init__(self, case_name: str) -> None:
        self._prefix = f"{case_name}\0".encode()
        self._secret = derive_secret("answers")

    def issue(self, n_instances: int) -> str:
        """A new id for an answer to `n_instances` instances, 1 to 65535."""
        assert 0 < n_instances <= MAX_INSTANCES
        content = f"{secrets.token_hex(_N_RANDOM_BYTES)}{n_instances:0{_N_COUNT_DIGITS}x}"
        return content + self._sign(content)

    def derive(self, nonce: str, place: int, n_instances: int) -> str:
        """The id of a part of a long job: the same for the same nonce, place and number of instances, 1 to 65535.

        So a job that was killed and goes on gives its parts the same ids. The nonce is random.
        """
        assert 0 < n_instances <= MAX_INSTANCES
        drawn = hashlib.sha256(f"{nonce}\0{place}".encode()).hexdigest()[: 2 * _N_RANDOM_BYTES]
        content = f"{drawn}{n_instances:0{_N_COUNT_DIGITS}x}"
        return content + self._sign(content)

    def count_instances(self, answer_id: str) -> int | None:
        """Number of instances of an id that matches `PATTERN`; None if it was not issued for this case."""
        content, mac = answer_id[:-_N_MAC_DIGITS], answer_id[-_N_MAC_DIGITS:]
        if not hmac.compare_digest(self._sign(content).encode(), mac.encode()):
            return None
        return int(content[-_N_COUNT_DIGITS:], 16)

    def _sign(self, content: str) -> str:
        return hmac.digest(self._secret, self._prefix + content.encode(), hashlib.sha256).hex()[:_N_MAC_DIGITS]
