"""A way between gateway and InfluxDB: a write enters; it passes, or is treated as the door is told to treat all."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

_END_TO_END: Final = ("Content-Type", "Content-Encoding", "Authorization")


class Passage(BaseHTTPRequestHandler):
    """One request on its way; an act reads it, asks the database and answers, or does not."""

    protocol_version = "HTTP/1.1"
    door: Door

    def log_message(self, format: str, *args: Any) -> None: ...

    def do_POST(self) -> None:
        self.door.asked += 1
        self.door.act(self)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def forward(self) -> tuple[int, dict[str, str], bytes]:
        """Let the database have it and return what it says: status, headers, body."""
        link = http.client.HTTPConnection("127.0.0.1", self.door.behind, timeout=60)
        try:
            headers = {name: self.headers[name] for name in _END_TO_END if name in self.headers}
            link.request("POST", self.path, self.body(), headers)
            answer = link.getresponse()
            return answer.status, {"Content-Type": answer.headers.get("Content-Type", "")}, answer.read()
        except OSError as error:
            return 502, {}, str(error).encode()
        finally:
            link.close()

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self) -> None:
        """End the connection; what was not read of the request makes it a reset."""
        self.close_connection = True


Act = Callable[[Passage], None]


def passes(passage: Passage) -> None:
    passage.answer(*passage.forward())


def late(seconds: float) -> Act:
    """The database answers at once, the gateway hears it seconds later."""

    def act(passage: Passage) -> None:
        answer = passage.forward()
        time.sleep(seconds)
        passage.answer(*answer)

    return act


def answers(status: int, body: bytes = b"", **headers: str) -> Act:
    """The database is not asked; names of headers are written with _ for -."""

    def act(passage: Passage) -> None:
        passage.body()
        passage.answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    return act


def lost_answer(passage: Passage) -> None:
    """The write is stored; nobody hears of it."""
    passage.forward()
    passage.hang_up()


def half_answer(passage: Passage) -> None:
    """The write is stored; the answer ends in the middle of its first line."""
    passage.forward()
    passage.wfile.write(b"HTTP/1.1 2")
    passage.hang_up()


def reset(passage: Passage) -> None:
    """The connection ends after a part of the request."""
    passage.rfile.read(20)
    passage.hang_up()


class Door:
    """Listens at `url` and treats every write as `act` says."""

    def __init__(self, behind: int) -> None:
        self.behind = behind
        self.act: Act = passes
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Mine", (Passage,), {"door": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let it listen until the block is left."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
