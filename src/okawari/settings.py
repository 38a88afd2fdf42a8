"""Folders, addresses and ports: the only home of environment variables (`OKAWARI_*`) and of their defaults.

A `Case` defines a prediction problem; `prefect.yaml` defines the schedules.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from okawari.errors import InvalidInput

_CHECKOUT = Path(__file__).resolve().parents[2]
_PREFIX = r"^(/[A-Za-z0-9._~-]+)*/?$"
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Settings(BaseSettings):
    """Settings of one Okawari installation; every field can be set as `OKAWARI_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="OKAWARI_", frozen=True, extra="ignore")

    home: Path = Field(Path(".okawari"), description="Folder of all state: data, registry, models, logs.")
    root: Path = Field(_CHECKOUT, description="The checkout that holds flows/, bentos/, ui/ and prefect.yaml.")
    host: str = Field("127.0.0.1", description="Address that every server binds to.")
    allowed_hosts: str = Field(
        "", description="Comma-separated names (with port, if not the usual one) that a proxy serves us under."
    )
    prefect_port: int = Field(4200, ge=1, le=65535, description="Prefect server and its page.")
    mlflow_port: int = Field(5000, ge=1, le=65535, description="MLflow server and its page.")
    service_port: int = Field(3000, ge=1, le=65535, description="Prediction service.")
    ui_port: int = Field(7860, ge=1, le=65535, description="Gradio page.")
    prefect_url: str = Field("", description="Address of a remote Prefect server; empty for the local one.")
    mlflow_url: str = Field("", description="Address of a remote MLflow server; empty for the local one.")
    service_url: str = Field("", description="Address of a remote prediction service; empty for the local one.")
    data_url: str = Field(
        "", description="Address of the Delta tables (a folder or s3://...); empty for a folder in `home`."
    )
    cases: str = Field("aapl", description="Comma-separated cases of the service.")
    candidates: str = Field("", description="Comma-separated recipes to train beside the baseline; empty for all.")
    cases_dir: Path = Field(Path("cases"), description="Folder of the user's own case files.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="Device for training torch models.")
    secret: str = Field(
        "", repr=False, description="Secret that all replicas of an installation share; empty for one in `home`."
    )
    trainings: int = Field(1, ge=1, le=64, description="Trainings of different cases that may run at a time.")
    api_key: str = Field(
        "", repr=False, description="Key that our programs send to the service; empty for the installation's own token."
    )
    tls_cert: str = Field("", description="Certificate file (PEM) of service and page; empty for plain HTTP.")
    tls_key: str = Field("", description="Private key file (PEM) of `tls_cert`.")
    tls_ca: str = Field("", description="File (PEM) of a private authority that signed a remote service's certificate.")
    root_path: str = Field(
        "", pattern=_PREFIX, description="Path prefix of service and page behind a reverse proxy, such as /models."
    )
    ui_root_path: str = Field(
        "", pattern=_PREFIX, description="Path prefix of the page, if it has another one than the service."
    )
    trusted_proxies: str = Field(
        "127.0.0.1", description="Comma-separated addresses and networks whose X-Forwarded-* headers are believed."
    )
    signing_key: str = Field(
        "", description="Public key that deployables are verified with; empty for the installation's own."
    )
    threads: int = Field(1, ge=1, description="Compute threads of one training or serving process.")

    @property
    def state_dir(self) -> Path:
        """The home folder as an absolute path."""
        return self.home.resolve()

    @property
    def logs_dir(self) -> Path:
        """Folder of the log files of all processes."""
        return self.state_dir / "logs"

    @property
    def reports_dir(self) -> Path:
        """Folder of the newest drift report of each case."""
        return self.state_dir / "reports"

    @property
    def studies_dir(self) -> Path:
        """Folder of the trials of searches, one file for each case, snapshot and candidate."""
        return self.state_dir / "studies"

    @property
    def data_base(self) -> str:
        """Address that contains a folder of Delta tables for each case."""
        return self.data_url.rstrip("/") or str(self.state_dir / "data")

    @property
    def prefect_base(self) -> str:
        """Base address of the Prefect server, without `/api`."""
        return self.prefect_url.rstrip("/") or f"http://{self.local_host}:{self.prefect_port}"

    @property
    def mlflow_base(self) -> str:
        """Base address of the MLflow server."""
        return self.mlflow_url.rstrip("/") or f"http://{self.local_host}:{self.mlflow_port}"

    @property
    def service_base(self) -> str:
        """Base address of the prediction service."""
        return self.service_url.rstrip("/") or f"{self.scheme}://{self.local_host}:{self.service_port}"

    @property
    def page_base(self) -> str:
        """Base address of the page on this machine."""
        return f"{self.scheme}://{self.local_host}:{self.ui_port}"

    @property
    def scheme(self) -> str:
        """Scheme of service and page."""
        return "https" if self.tls_cert else "http"

    @property
    def local_host(self) -> str:
        """The host part of addresses of servers on this machine; loopback, where they bind to every address."""
        host = _EVERY_ADDRESS.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def service_prefix(self) -> str:
        """Path prefix of the service behind a reverse proxy, without a slash at its end."""
        return self.root_path.rstrip("/")

    @property
    def ui_prefix(self) -> str:
        """Path prefix of the page behind a reverse proxy, without a slash at its end."""
        return (self.ui_root_path or self.root_path).rstrip("/")

    @property
    def case_names(self) -> tuple[str, ...]:
        """The cases of `cases`, in order, without blanks."""
        return _split_names(self.cases)

    @property
    def allowed_host_names(self) -> tuple[str, ...]:
        """The names of `allowed_hosts`."""
        return _split_names(self.allowed_hosts)

    @property
    def candidate_names(self) -> tuple[str, ...]:
        """The recipes of `candidates`; empty for all."""
        return _split_names(self.candidates)


def _split_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@cache
def load_settings() -> Settings:
    """Read the settings of this process once.

    Raises:
        InvalidInput: a variable has an invalid value.
    """
    try:
        return Settings()
    except ValidationError as refused:
        raise InvalidInput("\n".join(map(_explain, refused.errors()))) from refused


def _explain(error: ErrorDetails) -> str:
    name = f"OKAWARI_{str(error['loc'][0]).upper()}"
    return f"{name} is {error['input']!r}: {error['msg']}. Set {name} to a valid value or unset it."


def adopt_settings(settings: Settings) -> None:
    """Use these settings in this process and in every process that it starts later."""
    for name, value in settings.model_dump(mode="json").items():
        os.environ[f"OKAWARI_{name.upper()}"] = str(value)
    load_settings.cache_clear()
