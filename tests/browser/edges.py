"""The outermost edge of the page's world: real HTTP servers that give recorded answers in the documented form."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RUN_ID = "0f7a1c52-6a0b-4c7e-9a51-2f4f3f1f9d10"
COVERAGE_SHARE = 0.9


ANY_CASE: dict[str, Any] = {
    "name": "aapl",
    "title": "Apple closing price",
    "ready": False,
    "model": None,
    "previous": None,
    "refused": None,
    "columns": [],
    "history": 60,
    "horizon": 5,
    "unit": "USD",
    "labels": [],
    "targets": [],
}


class Edge:
    """Answers `"<METHOD> <path>"` from `answers` (status, JSON body) and counts what was asked."""

    def __init__(self) -> None:
        """Bind a free port on loopback and start to answer."""
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Free the port."""
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True)
class World:
    """A page that runs, with the servers next door that it talks to."""

    url: str
    service: Edge
    prefect: Edge


def _make_handler(edge: Edge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer("POST")

        def log_message(self, *args: object) -> None:
            """Nothing: the tests' output stays readable."""

        def _answer(self, method: str) -> None:
            question = f"{method} {self.path}"
            edge.asked[question] += 1
            status, body = edge.answers.get(question, (404, {"error": f"Nothing is recorded for {question}."}))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def name_case(name: str, version: str, **facts: Any) -> dict[str, Any]:
    """A case as `GET /cases` shows it while this version serves."""
    model = {
        "case": name,
        "version": version,
        "candidate": "lstm",
        "variant": "uint8",
        "graph_sha256": version.rjust(64, "0"),
        "run_id": "c" * 32,
        "snapshot_version": 0,
        "trained_until": "2012-12-04",
    }
    return {**ANY_CASE, "name": name, "ready": True, "model": model, **facts}


def serve_model(edge: Edge, version: str, *, has_interval: bool = True) -> None:
    """Let the service's edge answer with a model of that version."""
    case = name_case("aapl", version)
    edge.answers["GET /cases"] = (200, {"cases": [case]})
    edge.answers["POST /aapl/forecast"] = (200, _forecast(case["model"], has_interval))


def _forecast(model: dict[str, Any], has_interval: bool) -> dict[str, Any]:
    mean = [56.31, 56.37, 56.25, 56.48, 56.53]
    interval = {
        "coverage_share": COVERAGE_SHARE,
        "measured_share": None,
        "lower": [54.90, 54.38, 53.81, 53.66, 53.37],
        "upper": [57.71, 58.36, 58.69, 59.30, 59.69],
    }
    prediction = {
        "as_of": "2013-03-01",
        "unit": "USD",
        "level": 56.14,
        "times": ["2013-03-04", "2013-03-05", "2013-03-06", "2013-03-07", "2013-03-08"],
        "mean": mean,
        "interval": interval if has_interval else None,
        "note": None if has_interval else "This model has no calibrated interval.",
    }
    return {"id": "f" * 32, "model": model, "predictions": [prediction], "source": "ingested"}


def stand_run(edge: Edge, state: str | None) -> None:
    """Let the Prefect server's edge know one training in a state; None: it knows none."""
    run = {"id": RUN_ID, "name": "calm-heron", "state": {"type": state}, "parameters": {"case": "aapl"}}
    edge.answers["GET /api/deployments/name/train/train"] = (200, {"id": "d1"})
    edge.answers["POST /api/deployments/d1/create_flow_run"] = (201, run)
    edge.answers[f"GET /api/flow_runs/{RUN_ID}"] = (200, run)
    unfinished = state in ("SCHEDULED", "PENDING", "RUNNING")
    edge.answers["POST /api/flow_runs/filter"] = (200, [run] if unfinished else [])
