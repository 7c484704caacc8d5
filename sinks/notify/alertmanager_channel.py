"""Messages → Prometheus Alertmanager, API v2: each alert with its labels, as long as it fires, and once it is over."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import UTC, datetime
from typing import Any, Final, Self

import orjson
import urllib3

from config import secrets
from config.errors import Rejected, Unavailable
from config.notify import AlertmanagerChannel as Config
from pipeline.clock import SECOND_NS
from pipeline.desk.episode import Episode
from pipeline.retry_after import retry_after
from sinks.bounded_http import Bounded
from sinks.notify.message import Message, Subject, Words

_LASTS: Final = 4  # refreshes that may be missed before Alertmanager takes an alert for over
_LATER: Final = (401, 403, 404, 407, 408, 425, 429)  # a wrong password or address is mended, and the alerts still stand


class AlertmanagerChannel:
    """One Alertmanager. It groups, repeats and routes by itself, so it is told everything, and at once."""

    joins: Final = False
    room: Final = 1_000_000

    def __init__(self, config: Config, words: Words) -> None:
        self._config, self._words = config, words
        self.refresh_s = config.refresh_s
        self._url = f"{config.url.rstrip('/')}/api/v2/alerts"
        self._headers: dict[str, str] = {}
        self._pool = Bounded(urllib3.PoolManager(num_pools=1))

    async def __aenter__(self) -> Self:
        config = self._config
        self._headers = {"Content-Type": "application/json"}
        if config.token:
            self._headers["Authorization"] = f"Bearer {secrets.read(config.token)}"
        elif config.username:
            password = secrets.read(config.password) if config.password else ""
            self._headers |= urllib3.make_headers(basic_auth=f"{config.username}:{password}")
        timeout = urllib3.Timeout(total=config.timeout_s)
        context = await asyncio.to_thread(self._context)
        pool = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False, timeout=timeout, ssl_context=context)
        self._pool = Bounded(pool)
        return self

    def _context(self) -> ssl.SSLContext:
        tls = self._config.tls
        context = ssl.create_default_context(cafile=str(tls.ca) if tls and tls.ca else None)
        if tls and tls.certificate:
            context.load_cert_chain(str(tls.certificate), str(tls.key) if tls.key else None)
        return context

    async def __aexit__(self, *_: object) -> None:
        self._pool.clear()

    async def send(self, message: Message) -> None:
        body = orjson.dumps([self._alert(subject) for subject in message.subjects])
        await asyncio.to_thread(self._post, body)

    def _post(self, body: bytes) -> None:
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"{self._config.url} cannot be reached: {type(error).__name__}") from error
        if answer.status == 200:
            return
        said = f"{self._config.url} answers {answer.status}: {answer.data[:200].decode(errors='replace')}"
        if 400 <= answer.status < 500 and answer.status not in _LATER:
            raise Rejected(said)
        raise Unavailable(said, retry_after(answer.headers.get("Retry-After")))

    def _alert(self, subject: Subject) -> dict[str, Any]:
        episode, words = subject.episode, self._words
        labels = {
            "alertname": episode.name,
            "site": words.site,
            "area": episode.area,
            "asset": episode.asset,
            "severity": episode.severity,
        }
        annotations = {
            "id": episode.id,
            "summary": words.alert(episode),
            "description": words.full(subject),
            "advice": words.advice(subject.advice),
            **{name: f"{v:g}" for name in ("value", "limit", "excess_kw") if (v := getattr(episode, name)) is not None},
            "unit": episode.unit,
        }
        return {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": _iso(episode.fired_ns),
            "endsAt": _iso(self._ends_ns(episode)),
            "generatorURL": words.url(episode) or "",
        }

    def _ends_ns(self, episode: Episode) -> int:
        """Return when Alertmanager may take it for over: by the wall's clock, which is its own."""
        return episode.ended_ns or time.time_ns() + int(_LASTS * self.refresh_s * SECOND_NS)


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / SECOND_NS, UTC).isoformat(timespec="milliseconds")
