"""A service that refuses everything and says back all it was told: headers, what they decode to, and the body."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

STATUS = {"/401": 401, "/500": 500, "/400": 400}


class _Echo(BaseHTTPRequestHandler):
    """401, 500 or 400 by how the path begins."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._refuse()

    def do_POST(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        said = self.headers.get("Authorization", "")
        basic = base64.b64decode(said[6:]).decode(errors="replace") if said.startswith("Basic ") else ""
        words = f"no, not with {said} {basic} at {self.path} {unquote(self.path)} {body[:300].decode(errors='replace')}"
        answer = json.dumps({"code": "refused", "message": words, "error": words}, ensure_ascii=False).encode()
        self.send_response(STATUS.get(self.path[:4], 401))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@contextmanager
def echo() -> Iterator[int]:
    """Serve on a free port of loopback, which is returned."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
