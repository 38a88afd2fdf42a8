"""The MLflow server inside our guard and with a password; an entry point, for `mlflow server --app-name okawari`.

MLflow's own user accounts need a database and a sign-up for each person; one installation needs one password.
"""

from __future__ import annotations

from okawari.security.asgi import App
from okawari.security.engine_access import RequirePassword, TicketSignIn, finish_with_cookie
from okawari.security.guard import Guard
from okawari.security.origins import Names
from okawari.settings import load_settings

ENGINE = "mlflow"
_OPEN = ("/health", "/static-files/")


def create_app() -> App:
    """The server's application: guard, sign-in, password, MLflow."""
    from mlflow.server.fastapi_app import app

    inner = TicketSignIn(RequirePassword(app, ENGINE, _is_open), ENGINE, finish_with_cookie(ENGINE))
    return Guard(inner, Names.of(load_settings()))


def _is_open(path: str) -> bool:
    """The server's health, and the script and style of its page."""
    return path == _OPEN[0] or (path.startswith(_OPEN[1]) and ".." not in path)
