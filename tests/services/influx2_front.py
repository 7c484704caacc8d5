"""`POST /api/v2/write` → `/write` of a real InfluxDB 1.x: token checked, bucket = database, errors in the 2.x form.

So the write path of influxdb-client meets a real storage engine. What the front adds (401, 404, 422 and the shape of
the error) follows the InfluxDB 2 API reference of /api/v2/write.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

CODES = {400: "invalid", 401: "unauthorized", 404: "not found", 413: "request too large", 422: "unprocessable entity"}


class Influx2Front:
    """A 2.x write endpoint at `url`; `script` answers (status, headers, body) go out first, one a request."""

    def __init__(self, behind: str, token: str) -> None:
        self.behind, self.token = behind, token
        self.script: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[dict[str, str]] = []
        self.max_body = 25_000_000
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None: ...

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = front.answer(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.requests.append(headers | {"path": path})
        if self.script:
            return self.script.pop(0)
        asked = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(asked.query))
        if asked.path != "/api/v2/write" or not query.get("org") or not query.get("bucket"):
            return self._error(404, "not found")
        if headers.get("Authorization") != f"Token {self.token}":
            return self._error(401, "unauthorized access")
        if len(body) > self.max_body:
            return self._error(413, "request is too large")
        return self._forward(query, headers, body)

    def _forward(
        self, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        target = urllib.parse.urlencode({"db": query["bucket"], "precision": query.get("precision", "ns")})
        encoding = {"Content-Encoding": headers["Content-Encoding"]} if "Content-Encoding" in headers else {}
        request = urllib.request.Request(f"{self.behind}/write?{target}", body, encoding)
        try:
            with urllib.request.urlopen(request, timeout=60):
                return 204, {}, b""
        except urllib.error.HTTPError as error:
            words = json.loads(error.read())["error"]
        except OSError as error:
            return self._error(503, str(error))
        if "database not found" in words:
            return self._error(404, f'bucket "{query["bucket"]}" not found')
        if words.startswith("partial write") and "unable to parse" not in words:
            return self._error(422, f"failure writing points to database: {words}")
        return self._error(400 if "parse" in words else 500, words)

    def _error(self, status: int, message: str) -> tuple[int, dict[str, str], bytes]:
        content = {"code": CODES.get(status, "internal error"), "message": message}
        return status, {"Content-Type": "application/json"}, json.dumps(content).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
