"""urllib3's pool whose answers end: no more than so many bytes of one are read, nor for longer than it may take.

A server that fails or is taken over, or a proxy before it, can answer without end; what it said so far is its answer.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import Any, Final

import urllib3

MOST_BYTES: Final = 65_536  # of an answer: an error's words
_CHUNK: Final = 8_192


@dataclass(frozen=True, slots=True)
class Bounded:
    """Stands where a PoolManager does; `timeout_s` is for the body as a whole."""

    pool: urllib3.PoolManager
    timeout_s: float

    def request(self, method: str, url: str, **options: Any) -> urllib3.HTTPResponse:
        """Return the answer with its body as sent, cut where it goes on for too long; raises urllib3's HTTPError."""
        deadline = time.monotonic() + self.timeout_s
        response = self.pool.request(method, url, **options | {"preload_content": False, "decode_content": False})
        body = bytearray()
        whole = False
        try:
            while len(body) < MOST_BYTES and time.monotonic() < deadline:
                part = response.read1(_CHUNK)
                body += part
                if not part:
                    whole = True
                    break
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
