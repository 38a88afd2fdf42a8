"""The Prefect server inside our guard; started by `uvicorn --factory flows.prefect_server:create_app`.

Prefect checks its password itself (`PREFECT_SERVER_API_AUTH_STRING`, also on WebSockets); its page keeps the password
in the browser's storage.
"""

from __future__ import annotations

from prefect.server.api.server import create_app as create_prefect_app

from okawari.security.asgi import App
from okawari.security.engine_access import TicketSignIn, finish_with_storage
from okawari.security.guard import Guard
from okawari.security.origins import Names
from okawari.settings import load_settings

_STORAGE_KEY = "prefect-password"
"""Where both versions of Prefect's page look for the password."""


def create_app() -> App:
    """The server's application: guard, sign-in, Prefect."""
    prefect = create_prefect_app(final=True)
    inner = TicketSignIn(prefect, "prefect", finish_with_storage("prefect", _STORAGE_KEY))
    return Guard(inner, Names.of(load_settings()))
