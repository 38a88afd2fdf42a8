"""TLS by certificate files: the service that `okawari up` starts, and what its clients trust."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import httpx
import pytest

from okawari.clients.prediction_service import Client
from okawari.errors import InvalidInput, ServerUnreachable
from okawari.local.programs import build_environment, list_programs
from okawari.polling import retry_for
from okawari.security.tls import check_certificate, trust_own
from okawari.settings import Settings, load_settings
from tests.certificates import Certificate, make_certificate
from tests.ports import find_free_port
from tests.service.conftest import BUSY_S, START_S, STOP_S, Kitchen, MakeDeployable

pytestmark = pytest.mark.fault


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(
    make_kitchen: Callable[[], Kitchen], make_deployable: MakeDeployable, own: Certificate
) -> Iterator[Settings]:
    """The settings of a running service with TLS."""
    kitchen = make_kitchen()
    kitchen.put(make_deployable("1", 1.01))
    files = {"tls_cert": str(own.cert), "tls_key": str(own.key)}
    settings = Settings(home=kitchen.home, service_port=find_free_port(), **files)
    (program,) = [program for program in list_programs(settings) if program.name == "service"]
    with (kitchen.home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            program.command, cwd=settings.root, env={**build_environment(settings), **kitchen.environment}, stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            ask = lambda: httpx.get(f"{settings.service_base}/readyz", verify=trust_own(settings))  # noqa: E731
            retry_for(ask, errors=(httpx.HTTPError,), every_s=0.2, timeout_s=START_S)
            yield settings
        finally:
            process.terminate()
            process.wait(STOP_S)


def use(settings: Settings, **changed: str) -> Client:
    """A client under these settings."""
    values = {"home": str(settings.home), "service_port": str(settings.service_port), **changed}
    with patch.dict(os.environ, {f"OKAWARI_{name.upper()}": value for name, value in values.items()}):
        load_settings.cache_clear()
        client = Client(timeout=BUSY_S)
    load_settings.cache_clear()
    return client


def test_our_clients_trust_exactly_the_certificate_of_this_machine(
    secure: Settings, own: Certificate, tmp_path: Path
) -> None:
    assert secure.service_base.startswith("https://127.0.0.1:")
    with use(secure, tls_cert=str(own.cert), tls_key=str(own.key)) as client:
        assert client.forecast("aapl").model.version == "1"
    other = make_certificate(tmp_path, "other")
    with use(secure, tls_cert=str(other.cert)) as client, pytest.raises(ServerUnreachable, match="cannot be trusted"):
        client.cases()


def test_a_remote_client_trusts_the_named_authority_and_checks_the_name(secure: Settings, own: Certificate) -> None:
    named = f"https://localhost:{secure.service_port}"
    with use(secure, service_url=named, tls_ca=str(own.cert)) as client:
        assert [case.name for case in client.cases()] == ["aapl"]
    with use(secure, service_url=named) as client, pytest.raises(ServerUnreachable, match="OKAWARI_TLS_CA"):
        client.cases()
    numbered = f"https://127.0.0.1:{secure.service_port}"
    with use(secure, service_url=numbered, tls_ca=str(own.cert)) as client, pytest.raises(ServerUnreachable):
        client.cases()


def test_plain_http_gets_no_answer(secure: Settings) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{secure.service_port}/readyz")


# --- the files ----------------------------------------------------------------------------------------------------


def test_files_that_belong_together_are_accepted(own: Certificate) -> None:
    check_certificate(Settings(tls_cert=str(own.cert), tls_key=str(own.key)))
    check_certificate(Settings())


def test_wrong_files_get_a_sentence(own: Certificate, tmp_path: Path) -> None:
    other = make_certificate(tmp_path, "other")
    locked = make_certificate(tmp_path, "locked", password="secret")
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing")
    for cert, key, text in (
        (own.cert, "", "OKAWARI_TLS_KEY is not set"),
        ("", own.key, "OKAWARI_TLS_CERT is not set"),
        (tmp_path / "none.crt", own.key, "which is no file"),
        (own.cert, tmp_path, "which is no file"),
        (own.cert, other.key, "belong together"),
        (junk, own.key, "belong together"),
        (locked.cert, locked.key, "belong together"),
    ):
        with pytest.raises(InvalidInput, match=text):
            check_certificate(Settings(tls_cert=str(cert), tls_key=str(key)))
