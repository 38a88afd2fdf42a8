"""The service behind a real reverse proxy that ends TLS and publishes it under a path prefix."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from okawari.security.api_keys import KeyScope, create_key
from tests.certificates import make_certificate
from tests.ports import find_free_port
from tests.proxies import HOST, run_nginx
from tests.service.conftest import BUSY_S, Kitchen, MakeDeployable, Records, Server
from tests.service.test_keys import at_home

pytestmark = pytest.mark.fault


@dataclass(frozen=True)
class Published:
    """A service behind nginx: its public address, and a client that resolves the public name to this machine."""

    server: Server
    base: str
    trust: ssl.SSLContext
    keys: dict[str, str]

    def send(self, method: str, url: str, key: str = "admin", **options: object) -> httpx.Response:
        """Send a request to a public address, as a machine does that resolves the name."""
        parts = urlsplit(urljoin(f"{self.base}/models/", url))
        assert parts.hostname == HOST, url
        headers = {"Host": parts.netloc} | ({"Authorization": f"Bearer {self.keys[key]}"} if key else {})
        headers |= options.pop("headers", {})  # type: ignore[arg-type]
        address = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl()
        with httpx.Client(verify=self.trust, timeout=BUSY_S) as client:
            extensions = {"sni_hostname": HOST}
            return client.request(method, address, headers=headers, extensions=extensions, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def published(
    make_kitchen: Callable[[], Kitchen],
    make_deployable: MakeDeployable,
    serve: Callable[..., AbstractContextManager[Server]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    kitchen, folder, port = make_kitchen(), tmp_path_factory.mktemp("nginx"), find_free_port()
    kitchen.put(make_deployable("1", 1.01))
    with at_home(kitchen):
        keys = {scope.value: create_key(scope, [scope])[1] for scope in KeyScope}
    certificate = make_certificate(folder, host=HOST)
    names = {"OKAWARI_ALLOWED_HOSTS": f"{HOST}:{port}", "OKAWARI_ROOT_PATH": "/models"}
    kitchen.extra |= names
    with serve(kitchen) as server:
        ports = {3000: int(server.client.base_url.port or 0), 7860: find_free_port()}
        with run_nginx(folder, certificate, port, ports) as base:
            yield Published(server, base, ssl.create_default_context(cafile=str(certificate.cert)), keys)


def test_a_client_predicts_through_the_proxy(published: Published, records: Records) -> None:
    answer = published.send("POST", "aapl/predict", "predict", json={"instances": [records]})
    assert answer.status_code == 200, answer.text
    sent = {"outcomes": [{"id": answer.json()["id"], "index": 0, "step": 1, "value": 1.5}]}
    assert published.send("POST", "aapl/outcomes", "outcomes", json=sent).status_code == 202


def test_keys_count_through_the_proxy(published: Published) -> None:
    assert published.send("GET", "cases", "").status_code == 401
    assert published.send("GET", "cases", "predict").status_code == 403
    assert published.send("GET", "metrics", "").status_code == 401
    assert published.send("GET", "readyz", "").status_code == 200


def test_the_api_page_finds_everything_below_the_prefix(published: Published) -> None:
    start = published.send("GET", "")
    assert start.status_code == 307
    address = urljoin(f"{published.base}/models/", start.headers["location"])
    assert address == f"{published.base}/models/docs"
    page = published.send("GET", address)
    found = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert any(name.endswith("openapi.json") for name in found) and len(found) >= 3
    for name in found:
        assert published.send("GET", urljoin(address, name)).status_code == 200, name


def test_the_description_of_the_api_names_the_prefix(published: Published) -> None:
    described = published.send("GET", "openapi.json").json()
    assert described["servers"] == [{"url": "/models"}]
    assert "/aapl/predict" in described["paths"]


def test_the_service_without_prefix_still_answers_on_this_machine(published: Published) -> None:
    headers = {"Authorization": f"Bearer {published.keys['read']}"}
    assert published.server.client.get("/cases", headers=headers).status_code == 200
    assert published.server.client.get("/models/cases", headers=headers).status_code == 200


def test_an_unknown_name_and_a_foreign_page_are_refused_through_the_proxy(published: Published) -> None:
    named = published.send("GET", "cases", headers={"Host": "evil.example"})
    assert named.status_code == 421
    foreign = published.send("POST", "aapl/forecast", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    own = published.send("POST", "aapl/forecast", headers={"Origin": published.base})
    assert own.status_code == 200, own.text
