"""Servers, brokers, lines and databases that send without end: a failure with a reason, and little memory."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import pytest
import urllib3

from collectors.mqtt import MqttCollector
from config.errors import Unavailable
from config.model import InfluxSink
from config.protocols.mqtt import MqttConnection
from pipeline.counters import Counters
from sinks.bounded_http import MOST_BYTES, Bounded
from sinks.influxdb_api import _answer, connect
from tests.collectors.driving import ids_of, origin
from tests.collectors.test_mqtt_forms import meter
from tests.hostile.cost import TRAPPED_S, measured

MIB = 1 << 20
Serve = Callable[[socket.socket], None]


@contextmanager
def server(serve: Serve) -> Iterator[int]:
    """Run a server that does to each connection what is given, and yield its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(60)
                    with contextlib.suppress(OSError):
                        serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listener.getsockname(), timeout=1).close()
        listener.close()
        thread.join(300)


def endless(head: bytes, body: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(head)
        for _ in range(4 * 1024):
            connection.sendall(body)

    return serve


ENDLESS = {
    "bytes": (b"HTTP/1.1 500 no\r\n\r\n", b"x" * 65_536),
    "a length of a terabyte": (
        b"HTTP/1.1 400 no\r\ncontent-length: 1000000000000\r\n\r\n",
        b'{"error": "' + b"x" * 65_000,
    ),
    "chunks": (b"HTTP/1.1 503 no\r\ntransfer-encoding: chunked\r\n\r\n", b"ffff\r\n" + b"x" * 65_535 + b"\r\n"),
    "a gzip bomb": (b"HTTP/1.1 400 no\r\ncontent-encoding: gzip\r\n\r\n", b"\x1f\x8b" + b"\0" * 65_000),
}


@pytest.mark.parametrize("name", list(ENDLESS))
def test_an_answer_without_end_is_cut(name: str) -> None:
    with server(endless(*ENDLESS[name])) as port, measured() as cost:
        pool = Bounded(urllib3.PoolManager(retries=False, timeout=30.0))
        answer = pool.request("POST", f"http://127.0.0.1:{port}/write", body=b"x")
        assert answer.status >= 400
        assert len(answer.data) <= MOST_BYTES + 8_192
        pool.clear()
    assert cost.peak_bytes < 4 * MIB


def test_a_headers_line_without_end_is_an_error() -> None:
    with server(endless(b"HTTP/1.1 200 ok\r\nx: ", b"y" * 65_536)) as port, measured() as cost:
        pool = Bounded(urllib3.PoolManager(retries=False, timeout=30.0))
        with pytest.raises(urllib3.exceptions.HTTPError):
            pool.request("POST", f"http://127.0.0.1:{port}/write", body=b"x")
        pool.clear()
    assert cost.peak_bytes < 4 * MIB


def trickling(head: bytes, body: bytes) -> Serve:
    """Answer at once with `head`, then a byte each tenth of a second: no pause is ever long."""

    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(head)
        for n in range(36_000):
            time.sleep(0.1)
            connection.sendall(body[n % len(body) :][:1])

    return serve


TRICKLES = {
    "status line": (b"", b"HTTP/1.1 204 " + b"y" * 65_536),
    "headers": (b"HTTP/1.1 204 ok\r\n", b"x: y\r\n"),
    "a body of a length": (b"HTTP/1.1 503 no\r\ncontent-length: 36000\r\n\r\n", b"x"),
    "a body": (b"HTTP/1.1 503 no\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 503 no\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
}


@pytest.mark.parametrize("name", list(TRICKLES))
@pytest.mark.parametrize("api", ["v1", "v2"])
def test_an_answer_that_comes_byte_by_byte_holds_a_sink_no_longer_than_its_timeout(
    name: str, api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "a-token-of-this-test")
    target: dict[str, Any] = (
        {"database": "d"} if api == "v1" else {"token": {"env": "TOKEN"}, "org": "o", "bucket": "b"}
    )
    with server(trickling(*TRICKLES[name])) as port:
        place = {"type": "influxdb", "api": api, "url": f"http://127.0.0.1:{port}", "timeout_s": 1}
        database = connect(InfluxSink.model_validate(place | target))
        began_s = time.monotonic()
        with pytest.raises(Unavailable, match="no answer from"):
            database.post(b"m f=1 1\n")
        database.close()
    assert time.monotonic() - began_s < 600  # the answer takes an hour


def test_a_databases_words_are_searched_at_bounded_cost() -> None:
    trap = 'input field "' * 2_400 + '" on measurement "' * 1_800
    with measured() as cost:
        answer = _answer(400, orjson.dumps({"error": trap + " dropped=3"}), {})
        assert answer.dropped == 3
        assert answer.conflict is None
    assert len(answer.words) <= 2_000
    assert cost.cpu_s < TRAPPED_S


# ── MQTT ──────────────────────────────────────────────────────────────────────────────────────────


def broker(after: bytes, then: bytes = b"") -> Serve:
    """Take CONNECT and SUBSCRIBE of version 5, and send what is given."""

    def serve(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(bytes.fromhex("2003000000"))
        connection.recv(4_096)
        connection.sendall(bytes.fromhex("9004000100 01".replace(" ", "")))
        connection.sendall(after)
        for _ in range(64 if then else 0):
            connection.sendall(then)
        with contextlib.suppress(TimeoutError):
            connection.recv(1)

    return serve


@asynccontextmanager
async def collecting(port: int) -> AsyncIterator[MqttCollector]:
    device = meter({"path": "x"})
    said = MqttConnection.model_validate({"protocol": "mqtt", "host": "127.0.0.1", "port": port})
    async with MqttCollector(origin(), said, [device], ids_of([device]), Counters()) as collector:
        yield collector


async def test_a_message_of_a_quarter_gigabyte_ends_the_connection_before_it_has_come() -> None:
    async def collect(port: int) -> None:
        async with collecting(port) as collector, asyncio.timeout(300):
            async for _ in collector.batches():
                pass

    says = "more than 16777216; set the broker's largest message lower"
    hostile = server(broker(b"\x30\xff\xff\xff\x7f", b"x" * 65_536))
    with hostile as port, measured() as cost, pytest.raises(Unavailable, match=says):
        await collect(port)
    assert cost.peak_bytes < 8 * MIB


def publish(topic: bytes, payload: bytes) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + b"\0" + payload
    size, length = b"", len(body)
    while True:
        length, low = divmod(length, 128)
        size += bytes((low | (0x80 if length else 0),))
        if not length:
            return b"\x30" + size + body


async def test_giant_topics_and_payloads_are_dead_letters() -> None:
    topic = b"works/\x1b[31m\n" + b"t" * 65_000
    sent = publish(topic, b"1") + publish(b"works/meter", b"[" * 600_000) + publish(b"works/meter", b"1" * (2 * MIB))
    with server(broker(sent)) as port, measured() as cost:
        async with collecting(port) as collector, asyncio.timeout(300):
            rejects: list[str] = []
            async for batch in collector.batches():
                rejects += [reject.reason for reject in batch.rejects]
                if len(rejects) >= 3:
                    break
    assert all(len(reason) < 400 for reason in rejects)
    assert cost.peak_bytes < 24 * MIB
