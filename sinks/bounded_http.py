"""HTTP whose answers end: no more than so many bytes of one are read, nor for longer than the timeout.

A server that fails or is taken over, or a proxy before it, can answer without end, or a byte at a time. Of too many
bytes the first are its answer; one that is not complete in time is none.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.wait import wait_for_read

MOST_BYTES: Final = 65_536  # of an answer: an error's words
_CHUNK: Final = 8_192


@dataclass(frozen=True, slots=True)
class Bounded:
    """Stands where a PoolManager does; a request's read timeout is for the answer as a whole."""

    pool: urllib3.PoolManager

    def __post_init__(self) -> None:
        self.pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def request(self, method: str, url: str, **options: Any) -> urllib3.HTTPResponse:
        """Return the answer with its body as sent, cut where it goes on for too long; raises urllib3's HTTPError."""
        response = self.pool.request(method, url, **options | {"preload_content": False, "decode_content": False})
        body, whole = bytearray(), False
        try:
            whole = _read(response, body)
        finally:
            # A connection on which something may still come is of no use to the next request.
            response.release_conn() if whole else response.close()
        return urllib3.HTTPResponse(
            io.BytesIO(body),
            response.headers,
            response.status,
            reason=response.reason,
            decode_content=False,
            enforce_content_length=False,
        )

    def clear(self) -> None:
        """Close all connections."""
        self.pool.clear()


class Posts:
    """Bodies to one URL over one kept connection; a small write costs a third of the CPU it does through urllib3."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        """Nothing is sent yet; `timeout_s` is for connecting and for the answer as a whole."""
        at = urlsplit(url)
        assert at.hostname is not None
        made = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
        self._connection = made(at.hostname, at.port, timeout=timeout_s)
        self._target = urlunsplit(("", "", at.path, at.query, ""))
        self._headers, self._timeout_s = dict(headers), timeout_s

    def post(self, body: bytes) -> tuple[int, bytes, http.client.HTTPMessage]:
        """Return status, body and headers of the answer; raises OSError or HTTPException when none came."""
        connection, whole = self._connection, False
        deadline_s = time.monotonic() + self._timeout_s
        if connection.sock is not None:
            if wait_for_read(connection.sock, 0):
                connection.close()  # the other side has hung up, or says what nobody asked for
            else:
                connection.sock.settimeout(self._timeout_s)
        try:
            connection.request("POST", self._target, body, self._headers)
            connection.response_class = partial(_Answer, deadline_s - time.monotonic())  # type: ignore[assignment]
            answer, said = connection.getresponse(), bytearray()
            with answer:
                whole = _read(answer, said)
            return answer.status, bytes(said), answer.headers
        finally:
            if not whole:
                connection.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _read(answer: http.client.HTTPResponse | urllib3.BaseHTTPResponse, body: bytearray) -> bool:
    """Read an answer's body, at most MOST_BYTES of it; return whether that is all."""
    while len(body) < MOST_BYTES:
        part = answer.read1(_CHUNK)
        body += part
        if not part:
            return True
    return False


class _Until(io.RawIOBase):
    """What comes on a socket until an instant; a socket's own timeout begins anew with each byte."""

    def __init__(self, received: io.BufferedReader, carrier: socket.socket, deadline_s: float) -> None:
        self._received, self._carrier, self._deadline_s = received, carrier, deadline_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("its answer did not end in time")
        self._carrier.settimeout(left_s)
        return self._received.readinto1(buffer)

    def close(self) -> None:
        self._received.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose status, headers and body come in time altogether."""

    def __init__(self, timeout_s: float, sock: socket.socket, *given: Any, **options: Any) -> None:
        super().__init__(sock, *given, **options)
        self.fp = io.BufferedReader(_Until(self.fp, sock, time.monotonic() + timeout_s))


class _Connection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
        if self.timeout is not None:  # by now it is what is left for reading
            self.response_class = partial(_Answer, self.timeout)  # type: ignore[assignment]
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
