"""Certificates that tests make for servers on this machine."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its private key, as PEM files."""

    cert: Path
    key: Path


def make_certificate(folder: Path, name: str = "own", *, host: str = "localhost", password: str = "") -> Certificate:
    """Make a certificate that names one host, and not 127.0.0.1."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    protection = ("-passout", f"pass:{password}") if password else ("-nodes",)
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", *protection, "-days", "2", "-subj", f"/CN={host}")
    files = ("-addext", f"subjectAltName=DNS:{host}", "-out", str(made.cert), "-keyout", str(made.key))
    subprocess.run([*command, *files], check=True, capture_output=True, timeout=60)
    return made
