"""One MQTT session on the event loop: messages go to a callback, acknowledgements come back; paho without a thread."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from collectors.mqtt_client import client_of, connect, port_of
from collectors.reaching import why_not
from config.errors import Unavailable
from config.protocols.mqtt import Broker

_OPEN_S: Final = 10.0  # for the broker's answer to CONNECT and SUBSCRIBE
_AT_ONCE: Final = 200  # packets read before other tasks get their turn
_RETAINED_IF_NEW: Final = 1  # retain handling: retained messages only where the subscription did not exist yet


class Outgoing(NamedTuple):
    """A message that is published; nothing is unless the user allows it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Session(NamedTuple):
    """What a collector wants of the broker: for how long the session is kept, and what is published should it break."""

    qos: int = 1  # of the subscriptions
    receive_maximum: int = 2_000
    expiry_s: int = 0  # 0: it begins anew at each connection
    will: Outgoing | None = None


class Link:
    """A session from CONNECT to its end; `failure` says why it ended."""

    def __init__(
        self,
        connection: Broker,
        session: Session,
        on_session: Callable[[bool], None],
        on_subscribed: Callable[[dict[str, str]], None],
        on_message: Callable[[MQTTMessage], None],
        on_end: Callable[[], None],
    ) -> None:
        """Take what to tell: `on_session` before the first message whether the broker still had our session,
        `on_subscribed` the filters the broker refuses, with its reasons; messages may come before that.
        """
        self._connection = connection
        self._wanted = session
        self._on_session = on_session
        self._on_subscribed = on_subscribed
        self._on_message = on_message
        self._on_end = on_end
        self._received = 0
        self._fd = -1
        self._paused = False
        self.is_open = False  # connected and subscribed
        self._timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None  # with a broker that owes us the answer to SUBSCRIBE
        self.failure: Exception | None = None

    @property
    def where(self) -> str:
        return f"mqtt://{self._connection.host}:{port_of(self._connection)}"

    async def open(self, filters: Sequence[str]) -> None:
        """Connect and ask for the filters. Raises Unavailable.

        The answer to SUBSCRIBE is not waited for: what the broker kept for our session may come before it, and has to
        be committed and acknowledged before some brokers send anything more.
        """
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._client = client = self._make_client()
        try:
            # Name look-up, TCP and TLS handshake block, so they run in a thread; nothing else ever does.
            wanted = self._wanted
            await asyncio.to_thread(connect, client, self._connection, wanted.expiry_s, wanted.receive_maximum)
            self._attach()
            code = await self._answer(self._connected)
            if code.is_failure:
                raise Unavailable(f"{self.where} refuses the connection: {code}; check user, password and client_id")
        except (OSError, TimeoutError, Unavailable) as error:
            if self._connected.done():
                raise
            why = why_not(error)
            tls = self._connection.tls
            if tls is not None and tls.certificate is None and not isinstance(error, TimeoutError):
                why += "; if the broker wants a client certificate, name one: tls: {certificate: …, key: …}"
            raise Unavailable(f"{self.where} cannot be opened: {why}") from error
        self._filters = filters
        options = SubscribeOptions(self._wanted.qos, retainHandling=_RETAINED_IF_NEW)
        v5 = self._connection.version == "5"
        client.subscribe([(f, options) for f in filters] if v5 else [(f, self._wanted.qos) for f in filters])
        self._wait_for_subscription(-1)

    def _wait_for_subscription(self, received: int) -> None:
        """Give the link up where nothing has come since `received` messages had: its answer may be behind thousands."""
        if self._received == received:
            self._fail(Unavailable(f"{self.where} cannot be subscribed: no answer in time"))
        else:
            self._patience = self._loop.call_later(_OPEN_S, self._wait_for_subscription, self._received)

    def ack(self, packets: Iterable[int]) -> None:
        """Acknowledge messages by packet id, in the order they came; after the end of the link it does nothing."""
        if self._fd >= 0:
            for packet in packets:
                self._client.ack(packet, 1)

    def publish(self, message: Outgoing) -> None:
        """Hand over one message; after the end of the link it does nothing."""
        if self._fd >= 0:
            self._client.publish(message.topic, message.payload, message.qos, message.retain)

    def pause(self, paused: bool) -> None:
        """Stop or go on reading, so that a broker without a receive maximum is held back by TCP."""
        if paused != self._paused and self._fd >= 0:
            self._paused = paused
            if paused:
                self._loop.remove_reader(self._fd)
            else:
                self._loop.add_reader(self._fd, self._readable)
                self._loop.call_soon(self._readable)  # TLS may hold decrypted bytes no event tells of

    def close(self) -> None:
        """End the connection in order; the session stays with the broker."""
        if self._fd >= 0:
            self._client.on_disconnect = None
            self._client.disconnect()
            self._client.loop_write()
            self._detach()

    # ── paho ──────────────────────────────────────────────────────────────────────────────────────

    def _make_client(self) -> Client:
        client = client_of(self._connection, self._wanted.expiry_s)
        if (will := self._wanted.will) is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        return client

    def _connect_answered(self, _client: Client, _data: Any, flags: Any, code: ReasonCode, _properties: Any) -> None:
        if not code.is_failure:
            self._on_session(bool(flags.session_present))
        if not self._connected.done():
            self._connected.set_result(code)

    def _subscribe_answered(
        self, _client: Client, _data: Any, _packet: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        assert self._patience is not None
        self._patience.cancel()
        self.is_open = True
        self._on_subscribed({f: str(code) for f, code in zip(self._filters, codes, strict=True) if code.is_failure})

    def _disconnected(self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any) -> None:
        self._fail(Unavailable(f"{self.where} is lost: {code}"))

    def _message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._received += 1
        self._on_message(message)

    async def _answer(self, answer: asyncio.Future[Any]) -> Any:
        async with asyncio.timeout(_OPEN_S):
            await asyncio.wait([answer, self._ended], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and self.failure is not None:
            raise self.failure
        return answer.result()

    # ── the socket on the event loop ──────────────────────────────────────────────────────────────

    def _attach(self) -> None:
        self._socket = self._client.socket()
        if self._socket is None:
            raise OSError("the connection was closed at once")
        self._fd = self._socket.fileno()
        self._client.on_socket_register_write = lambda *_: self._loop.add_writer(self._fd, self._writable)
        self._client.on_socket_unregister_write = self._unregister_write
        self._client.on_connect = self._connect_answered
        self._client.on_subscribe = self._subscribe_answered
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._message
        self._loop.add_reader(self._fd, self._readable)
        if self._client.want_write():
            self._loop.add_writer(self._fd, self._writable)
        self._tick()

    def _detach(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            self._fd = -1
            self.is_open = False
            for timer in (self._timer, self._patience):
                if timer is not None:
                    timer.cancel()
            with contextlib.suppress(OSError):
                self._socket.close()  # type: ignore[union-attr]
        if not self._ended.done():
            self._ended.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self.failure is None:
            self.failure = error
        self._detach()
        self._on_end()

    def _run(self, step: Callable[[], MQTTErrorCode]) -> bool:
        """Do one step of paho; an exception of ours ends the link, where the event loop would only log it."""
        try:
            code = step()
        except Exception as error:  # noqa: BLE001  raised again by whoever waits on this link
            self._fail(error)
            return False
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS and self._fd >= 0:
            self._fail(Unavailable(f"{self.where} is lost: {code.name}"))
        return self._fd >= 0

    def _readable(self) -> None:
        """Read while each step brings a message: paho reads one packet a step and does not say if there is more."""
        for _ in range(_AT_ONCE):
            before = self._received
            if self._fd < 0 or self._paused or not self._run(self._client.loop_read):
                return
            if self._received == before and not self._pending():
                return
        if self._pending():
            self._loop.call_soon(self._readable)

    def _pending(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket) and self._fd >= 0 and self._socket.pending() > 0

    def _unregister_write(self, *_: object) -> None:
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)

    def _writable(self) -> None:
        if self._fd >= 0:
            self._run(self._client.loop_write)

    def _tick(self) -> None:
        if self._run(self._client.loop_misc):
            self._timer = self._loop.call_later(1.0, self._tick)
