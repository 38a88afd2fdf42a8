"""A real program that stands for the Prefect server where the group's own work is tested.

python -u small_prefect.py serve PORT             answers every question with "nothing here"
python -u small_prefect.py --no-prompt deploy     writes $OKAWARI_HOME/deployed; fails if $DEPLOY_FAILS says why
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Nothing(BaseHTTPRequestHandler):
    """An API on which there is nothing yet."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")


def main() -> None:
    """Serve or deploy, as told."""
    if "deploy" in sys.argv:
        Path(os.environ["OKAWARI_HOME"], "deployed").touch()
        sys.exit(os.environ.get("DEPLOY_FAILS"))
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[-1])), Nothing).serve_forever()


if __name__ == "__main__":
    main()
