"""MLflow's client: pointed at our server, failing within seconds, errors as our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from okawari.errors import NotYet, ServerUnreachable
from okawari.settings import load_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient


_KNOCK_S = 2.0


_SHORT_S = 2


_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")


def limit_waiting() -> None:
    """From now on, this process asks the server once and waits 2 s at most, as people wait for what it shows.

    Flows keep the patient limits of `load_mlflow`, for a busy server must not cost them a training.
    """
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(_SHORT_S)


def require_server() -> None:
    """Ask for the server's health, because MLflow's client repeats a refused connection for many seconds.

    Raises:
        ServerUnreachable: no server answers where it should.
    """
    base = load_settings().mlflow_base
    if base.startswith("http"):
        try:
            httpx.get(f"{base}/health", timeout=_KNOCK_S)
        except httpx.HTTPError as error:
            raise ServerUnreachable(
                f"No MLflow server answers at {base} ({error}); start it with: okawari up."
            ) from error


@contextmanager
def asking(missing: str = "not there") -> Iterator[None]:
    """Turn what MLflow raises into our own errors: what is not there is `NotYet`, a server that is not, unreachable."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except OSError as absent:
        raise NotYet(missing) from absent
    except MlflowException as failed:
        if failed.error_code in _ABSENT:
            raise NotYet(missing) from failed
        if "Max retries exceeded" in str(failed) or "timed out" in str(failed):
            base = load_settings().mlflow_base
            raise ServerUnreachable(f"No MLflow server answers at {base}; start it with: okawari up.") from failed
        raise


@cache
def load_mlflow() -> Any:
    """The library, pointed at our server, without telemetry, and failing within seconds where no server answers."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow
    import mlflow.onnx

    mlflow.set_tracking_uri(load_settings().mlflow_base)
    return mlflow


@cache
def load_client() -> MlflowClient:
    """MLflow's client of that server."""
    load_mlflow()
    from mlflow import MlflowClient

    return MlflowClient()
