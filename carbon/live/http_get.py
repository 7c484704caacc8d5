"""One GET request → the body of a 200 answer: TLS verified, no redirect, bounded in bytes and in time as a whole."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3

from carbon.live.providers import Ask
from config.errors import Rejected, Unavailable
from config.providers import LiveProvider
from pipeline.retry_after import retry_after

MOST_BYTES: Final = 2_000_000  # two weeks of half hours are a tenth of it
_CHUNK: Final = 65_536
_BUSY: Final = (408, 425, 429)


@dataclass(slots=True)
class HttpGet:
    """Asks one service; blocking, used by one thread at a time. What it says of a failure names the host only."""

    config: LiveProvider
    _pool: urllib3.PoolManager = field(init=False)

    def __post_init__(self) -> None:
        c = self.config
        # Without `ca_certs` those of the system hold; certificates are always asked for.
        trust: dict[str, Any] = {"ca_certs": str(c.ca)} if c.ca else {}
        if c.proxy:
            self._pool = urllib3.ProxyManager(c.proxy, num_pools=1, maxsize=1, retries=False, **trust)
        else:
            self._pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, **trust)

    def __call__(self, ask: Ask) -> bytes:
        """Return the body of the answer; raises Unavailable, and Rejected for what asking again will not change."""
        deadline = time.monotonic() + self.config.timeout_s
        headers = {"Accept": "application/json", "User-Agent": "tanflow"} | ask.headers
        try:
            response = self._pool.request(
                "GET", ask.url, headers=headers, redirect=False, preload_content=False,
                timeout=urllib3.Timeout(total=self.config.timeout_s),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"no answer from {self._host} ({_cause(error)})") from error
        try:
            self._judge(response)
            return self._body(response, deadline)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"the answer of {self._host} broke off ({_cause(error)})") from error
        finally:
            response.close()

    @property
    def _host(self) -> str:
        return urlsplit(self.config.url).hostname or ""

    def _judge(self, response: urllib3.BaseHTTPResponse) -> None:
        status = response.status
        if status == 200:
            return
        if status in (401, 403):
            raise Rejected(
                f"{self._host} refuses the token ({status}): check factors.live.token, and that it may read this zone"
            )
        if 300 <= status < 400:
            raise Rejected(f"{self._host} sends elsewhere ({status}), which is not followed: check factors.live.url")
        if 400 <= status < 500 and status not in _BUSY:
            raise Rejected(f"{self._host} cannot answer this ({status}): check the zone and url of factors.live")
        raise Unavailable(f"{self._host} answers {status}", retry_after(response.headers.get("Retry-After")))

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise Rejected(f"the answer of {self._host} is larger than {MOST_BYTES // 1_000_000} MB")
            if time.monotonic() > deadline:
                raise Unavailable(f"the answer of {self._host} took longer than {self.config.timeout_s:g} s")
        return b"".join(parts)


def _cause(error: Exception) -> str:
    """Return what kind of failure it was: the words of the library may hold the address with its query."""
    reason = getattr(error, "reason", None)
    return type(reason if isinstance(reason, Exception) else error).__name__
