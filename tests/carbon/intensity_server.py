"""A web server on loopback that answers as a test wants: well, late, drop by drop, too much, or not at all."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(slots=True)
class Answer:
    """One answer; `length`: what Content-Length claims, `drip_s`: pause between single bytes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    drip_s: float = 0.0


@dataclass(slots=True)
class Served:
    """What the server was asked, and where it is."""

    url: str
    answer: Callable[[str], Answer]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[str], Answer] | Answer, tls: Path | None = None) -> Iterator[Served]:
    """Serve answers to paths until the block is left; `tls`: folder of server.pem and server.key."""
    answering = answer if callable(answer) else lambda _: answer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, dict(self.headers)))
            given = served.answer(self.path)
            self.send_response(given.status)
            self.send_header("Content-Length", str(len(given.body) if given.length is None else given.length))
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                if not given.drip_s:
                    self.wfile.write(given.body)
                for byte in given.body if given.drip_s else b"":
                    self.wfile.write(bytes([byte]))
                    time.sleep(given.drip_s)
            except OSError:  # whoever asked has gone
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Served(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}", answering)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
