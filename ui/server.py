"""The page's server: Gradio inside our layers, and the links that sign a browser in to Prefect and MLflow."""

from __future__ import annotations

import gradio as gr
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from okawari.security.access import Access
from okawari.security.asgi import App
from okawari.security.engine_access import make_entry
from okawari.security.guard import Guard
from okawari.security.origins import Names, split_netloc
from okawari.security.reverse_proxy import ReverseProxy
from okawari.security.sign_in import SignIn
from okawari.security.tls import check_certificate
from okawari.settings import Settings, load_settings
from ui.theme import MARK, STYLE_SHEET, build_theme

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Nothing from other hosts. Gradio and Plotly need inline scripts and styles, and functions made from text."""


def build_app(page: gr.Blocks, settings: Settings) -> App:
    """The application of the page's server."""
    outer = Starlette(routes=[Route("/open/{engine}", _open_engine)])
    gr.mount_gradio_app(
        outer,
        page,
        path="/",
        server_name=settings.host,
        server_port=settings.ui_port,
        theme=build_theme(),
        css_paths=STYLE_SHEET,
        favicon_path=str(MARK),
        allowed_paths=[str(settings.reports_dir)],
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
        max_file_size="1mb",
        root_path=settings.ui_prefix or None,
    )
    guarded = Guard(SignIn(outer, Access.of(settings)), Names.of(settings), POLICY)
    return ReverseProxy(guarded, settings.trusted_proxies, settings.ui_prefix)


def serve(page: gr.Blocks) -> None:
    """Serve the page until interrupted."""
    settings = load_settings()
    check_certificate(settings)
    uvicorn.run(
        build_app(page, settings),
        host=settings.host,
        port=settings.ui_port,
        log_level="warning",
        proxy_headers=False,  # `ReverseProxy` reads them
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
        timeout_graceful_shutdown=2,
    )


async def _open_engine(request: Request) -> Response:
    """Redirect to a page of Prefect or MLflow, signed in if it is a server of this installation."""
    settings, engine = load_settings(), request.path_params["engine"]
    path, host = request.query_params.get("path", "/"), split_netloc(request.headers["host"])[0]
    own = {"prefect": settings.prefect_port, "mlflow": settings.mlflow_port}
    remote = {"prefect": settings.prefect_url, "mlflow": settings.mlflow_url}
    if engine not in own:
        return PlainTextResponse(f"There is no engine {engine[:40]!r}; open prefect or mlflow.", 404)
    if remote[engine].startswith("http"):
        return RedirectResponse(f"{remote[engine].rstrip('/')}/{path.lstrip('/')}", 303)
    named = f"[{host}]" if ":" in host else host
    entry = make_entry(engine, f"http://{named}:{own[engine]}", path)
    return RedirectResponse(entry, 303, headers={"Cache-Control": "no-store"})
