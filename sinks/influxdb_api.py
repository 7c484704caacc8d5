"""Line protocol → one HTTP request → the server's answer, for InfluxDB 1.x (`/write`) and 2.x (`/api/v2/write`)."""

from __future__ import annotations

import contextlib
import gzip
import re
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import orjson
import urllib3

from config import secrets
from config.errors import Unavailable
from config.hidden import hide
from config.model import InfluxSink as Config
from pipeline.retry_after import retry_after
from sinks.bounded_http import Bounded, Posts

_DROPPED: Final = re.compile(r"dropped=(\d+)\s*$")
_CONFLICT: Final = re.compile(r'input field "(?P<field>.*?)" on measurement "(?P<measurement>.*?)" is type')


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said to one write; `words` are its own, `after_s` [s] its wish when to come again."""

    status: int
    words: str = ""
    after_s: float | None = None
    from_database: bool = True  # False: not in the form InfluxDB answers in, so perhaps a proxy spoke

    @property
    def stored(self) -> bool:
        """Only 204 means stored: a login page answers 200."""
        return self.status == 204

    @property
    def refused(self) -> bool:
        """The request reached the database, and (part of) its content is what it will not take."""
        return self.status == 413 or (self.status in (400, 422) and self.from_database)

    @property
    def dropped(self) -> int | None:
        """How many points of the request were not stored, where the server says so."""
        found = _DROPPED.search(self.words)
        return int(found[1]) if found else None

    @property
    def conflict(self) -> tuple[str, str] | None:
        """(measurement, field) whose type differs from what the database has, where that is the reason."""
        found = _CONFLICT.search(self.words)
        return (found["measurement"], found["field"]) if found else None


class Api(Protocol):
    """One way to write; blocking, used by one thread at a time."""

    def post(self, payload: bytes) -> Answer:
        """Send the lines; raises Unavailable when no answer came."""

    def close(self) -> None: ...


def connect(config: Config) -> Api:
    """Return the API the configuration names; nothing is sent yet. Raises GatewayError for a missing secret."""
    return V1(config) if config.api == "v1" else V2(config)


class V1:
    """InfluxDB 1.x: `POST /write?db=…&precision=ns`."""

    def __init__(self, config: Config) -> None:
        query = {"db": config.database, "precision": "ns"}
        if config.retention_policy:
            query["rp"] = config.retention_policy
        self._place, self._packs = config.url, config.packs
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if config.packs:
            headers["Content-Encoding"] = "gzip"
        if config.username:
            password = secrets.read(config.password) if config.password else ""
            headers |= urllib3.make_headers(basic_auth=f"{config.username}:{password}")
        self._posts = Posts(f"{config.url.rstrip('/')}/write?{urlencode(query)}", headers, config.timeout_s)

    def post(self, payload: bytes) -> Answer:
        try:
            status, body, headers = self._posts.post(_body(payload, self._packs))
        except (OSError, HTTPException) as error:
            raise _silent(self._place, error) from error
        return _answer(status, body, headers.get("Retry-After"))

    def close(self) -> None:
        self._posts.close()


class V2:
    """InfluxDB 2.x and what speaks its write API: influxdb-client, synchronously, with ready lines.

    The service is the one behind the client's WriteApi, asked directly: WriteApi compresses at level 9, which costs
    ten times the processor time for a tenth fewer bytes.
    """

    def __init__(self, config: Config) -> None:
        from influxdb_client import InfluxDBClient, WriteService  # here: a gateway on 1.x need not carry them

        assert config.token is not None  # the model asks for it
        self._place, self._packs = config.url, config.packs
        self._client = InfluxDBClient(
            config.url.rstrip("/"), secrets.read(config.token), timeout=int(config.timeout_s * 1000), org=config.org
        )
        rest = self._client.api_client.rest_client
        rest.pool_manager = Bounded(rest.pool_manager)
        self._service = WriteService(self._client.api_client)
        self._target: dict[str, Any] = {
            "org": config.org,
            "bucket": config.bucket,
            "precision": "ns",
            "content_type": "text/plain; charset=utf-8",
        }
        if config.packs:
            self._target["content_encoding"] = "gzip"

    def post(self, payload: bytes) -> Answer:
        from influxdb_client.rest import ApiException

        try:
            _, status, headers = self._service.post_write_with_http_info(
                body=_body(payload, self._packs), **self._target
            )
        except ApiException as error:
            if not error.status:  # it stands for a failed TLS handshake
                raise _silent(self._place, error) from error
            return _answer(error.status, error.body or "", (error.headers or {}).get("Retry-After"))
        except urllib3.exceptions.HTTPError as error:
            raise _silent(self._place, error) from error
        return _answer(status, b"", headers.get("Retry-After"))

    def close(self) -> None:
        self._client.close()


def _body(payload: bytes, compress: bool) -> bytes:
    return gzip.compress(payload, compresslevel=1, mtime=0) if compress else payload


def _silent(place: str, error: Exception) -> Unavailable:
    cause = str(error).splitlines()[0] if str(error) else type(error).__name__
    return Unavailable(f"no answer from {place} ({cause}); check that the database runs and the way to it")


def _cut(words: str) -> str:
    """Return words with the middle left out of what no database says; how many points were dropped stands last."""
    return words if len(words) <= 2_000 else f"{words[:1_500]} … {words[-450:]}"


def _answer(status: int, body: bytes | str, after: str | None) -> Answer:
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    words, known = text.strip()[:500], False
    with contextlib.suppress(orjson.JSONDecodeError):
        content = orjson.loads(text)
        if isinstance(content, dict) and (said := content.get("message") or content.get("error")):
            words, known = _cut(str(said)), True
    return Answer(status, hide(words), retry_after(after), known)
