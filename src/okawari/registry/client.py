"""MLflow's client for our server: short time-outs, and MLflow's errors converted to ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from okawari.errors import NotYet, OkawariError, ServerUnreachable
from okawari.security.engine_access import make_auth_string
from okawari.settings import load_settings
from okawari.storage.group_lock import explain_absence, name_server, reach

if TYPE_CHECKING:
    from mlflow import MlflowClient


_HEALTH_TIMEOUT_S = 2.0
_INTERACTIVE_TIMEOUT_S = 2
_PATIENCE_S = 62.0
"""Sum of the waits between the attempts of one request: 0, 2, 4, 8, 16 and 32 s. A restart takes about 10 s."""
_OUTAGE_SIGNS = ("Max retries exceeded", "Connection refused", "Connection aborted", "timed out", "RemoteDisconnected")
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
_ABSENT_FILE = (None, errno.ENOENT, errno.ENOTDIR)
"""MLflow raises an OSError without a number for an artefact that a local folder does not have."""
_ABSENT_TEXT = "404 Client Error"
_UNANSWERED = ("Max retries exceeded", "timed out")
_INTERRUPTED = ("failed with exception", "Connection broken", "Connection aborted", "Response ended prematurely")
"""Parts of messages in which MLflow repeats errors of its connections; the errors themselves are not passed on."""
_BROKEN = "The connection to the MLflow server at {base} broke ({error}); try again, and see its log if this repeats."


def limit_waiting() -> None:
    """Make this process send each request once and wait at most 2 s for it, because a person waits for the result.

    Flows keep the longer limits of `load_mlflow`, so that a busy server does not make a training fail.
    """
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(_INTERACTIVE_TIMEOUT_S)


def require_server() -> None:
    """Request the server's health, because MLflow's client repeats a refused connection for many seconds.

    Raises:
        ServerUnreachable: no server answers at the address in the settings.
    """
    if load_settings().mlflow_base.startswith("http"):
        reach(_request_health)


def _request_health() -> None:
    server = name_server("mlflow")
    try:
        httpx.get(f"{server.base}/health", timeout=_HEALTH_TIMEOUT_S)
    except httpx.HTTPError as error:
        raise explain_absence(server, error) from error


@contextmanager
def translate_errors(missing: str = "not there") -> Iterator[None]:
    """Raise our own errors in place of MLflow's.

    Raises:
        NotYet: the requested thing does not exist; its message is `missing`.
        ServerUnreachable: the server does not answer, or the connection broke.
        OSError: a local file cannot be read or written for another reason, such as a full disk.
    """
    from mlflow.exceptions import MlflowException

    base = load_settings().mlflow_base
    try:
        yield
    except OSError as failed:
        if _is_broken_connection(failed):
            raise ServerUnreachable(_BROKEN.format(base=base, error=failed)) from failed
        if failed.errno in _ABSENT_FILE or hasattr(failed, "response"):
            raise NotYet(missing) from failed
        raise
    except MlflowException as failed:
        text = str(failed)
        if failed.error_code in _ABSENT or _ABSENT_TEXT in text:
            raise NotYet(missing) from failed
        if any(sign in text for sign in _UNANSWERED):
            raise explain_absence(name_server("mlflow")) from failed
        if any(sign in text for sign in _INTERRUPTED):
            raise ServerUnreachable(_BROKEN.format(base=base, error=text.splitlines()[-1])) from failed
        raise


def _is_broken_connection(error: OSError) -> bool:
    """Whether a connection ended before the answer was complete, or the answer is an error of the server.

    The errors of requests, MLflow's HTTP library, are OSErrors with a response, which is None for a broken connection.
    """
    if hasattr(error, "response"):
        return error.response is None or error.response.status_code != httpx.codes.NOT_FOUND
    return isinstance(error, ConnectionError | TimeoutError)


@contextmanager
def name_outage() -> Iterator[None]:
    """Raise our own error if MLflow stays away for longer than its client repeats a request; other errors pass.

    Raises:
        ServerUnreachable: the server does not answer.
    """
    try:
        yield
    except Exception as failed:
        if not _is_outage(failed):
            raise
        base = load_settings().mlflow_base
        raise ServerUnreachable(
            f"The MLflow server at {base} has not answered for about {_PATIENCE_S:.0f} s, so the training stopped. It "
            "is started again within minutes; if not, look at the log of MLflow in the folder logs of OKAWARI_HOME."
        ) from failed


def _is_outage(error: BaseException | None) -> bool:
    """Whether an error, or one that caused it, is a connection that failed."""
    if error is None:
        return False
    if isinstance(error, OkawariError):
        return False
    text = f"{type(error).__name__}: {error}"
    return any(sign in text for sign in _OUTAGE_SIGNS) or _is_outage(error.__cause__)


@cache
def load_mlflow() -> Any:
    """MLflow, set up for our server, without telemetry; a request is repeated for `_PATIENCE_S` while it restarts."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    if not load_settings().mlflow_url:
        user, _, password = make_auth_string("mlflow").partition(":")
        os.environ.update(MLFLOW_TRACKING_USERNAME=user, MLFLOW_TRACKING_PASSWORD=password)
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
