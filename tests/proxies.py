"""A real nginx with the configuration of the manual, on free ports, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from okawari.polling import retry_for
from tests.certificates import Certificate

DOCS = Path(__file__).parents[1] / "docs"
HOST = "models.example"
_FRAME = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
worker_processes 1; events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/proxied; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{server}
}}
"""


def find_nginx() -> str:
    """The program; a person without it gets a skip, but CI has none."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        assert "CI" not in os.environ, "CI installs nginx"
        pytest.skip("nginx is not installed; install nginx-light to test reverse proxies")
    return found


def read_manual() -> str:
    """The server block of the manual's chapter about reverse proxies."""
    blocks = [block for page in sorted(DOCS.glob("operating*.md")) for block in _find_blocks(page)]
    assert len(blocks) == 1, "the manual has one configuration of nginx"
    return blocks[0]


def _find_blocks(page: Path) -> list[str]:
    return re.findall(r"```nginx\n(.*?)```", page.read_text(), re.DOTALL)


@contextmanager
def run_nginx(folder: Path, certificate: Certificate, port: int, ports: Mapping[int, int]) -> Iterator[str]:
    """Run the manual's configuration until the block ends, with other ports and files; the address is yielded."""
    server = read_manual().replace("listen 443", f"listen 127.0.0.1:{port}")
    server = server.replace("/etc/okawari/models.crt", str(certificate.cert))
    server = server.replace("/etc/okawari/models.key", str(certificate.key))
    for default, used in ports.items():
        assert f"127.0.0.1:{default}" in server
        server = server.replace(f"127.0.0.1:{default}", f"127.0.0.1:{used}")
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_FRAME.format(folder=folder, server=server, user=user))
    command = [find_nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command)
    try:
        ask = lambda: httpx.get(f"https://127.0.0.1:{port}/", verify=False)  # noqa: E731
        retry_for(ask, errors=(httpx.HTTPError,), every_s=0.05, timeout_s=20)
        yield f"https://{HOST}:{port}"
    finally:
        process.terminate()
        process.wait(20)
