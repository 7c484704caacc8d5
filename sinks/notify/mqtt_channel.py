"""Messages → a topic of a broker, one JSON object for each transition, QoS 1, not retained; on a session of its own."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any, Final, Self

import orjson
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from config import secrets
from config.errors import Rejected, Unavailable
from config.notify import MqttChannel as Config
from config.protocols.mqtt import MqttConnection
from sinks.notify.message import Message, Telling, Words

_TIMEOUT_S: Final = 10.0
_FIELDS: Final = (
    "id", "asset", "area", "name", "kind", "severity", "unit", "fired_ns", "ended_why", "value", "limit", "worst",
    "excess_kw", "energy_kwh",
)  # fmt: skip


class MqttChannel:
    """One topic. A session lasts as long as a message; it never reads and has a client id of its own."""

    joins: Final = False
    room: Final = 1_000_000
    refresh_s: Final = 0.0

    def __init__(self, config: Config, connection: MqttConnection, words: Words) -> None:
        self._config, self._connection, self._words = config, connection, words
        self._port = connection.port or (8883 if connection.tls else 1883)
        self._where = f"mqtt://{connection.host}:{self._port}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, message: Message) -> None:
        payloads = [orjson.dumps(self._payload(telling)) for telling in message.tellings]
        await asyncio.to_thread(self._publish, payloads)

    def _payload(self, telling: Telling) -> dict[str, Any]:
        """Return what is known of a transition; what is not is left out."""
        episode, words = telling.episode, self._words
        known = {name: getattr(episode, name) for name in _FIELDS}
        known |= {"what": telling.what, "site": words.site, "ended_ns": episode.ended_ns or None}
        if episode.excess_kw is not None:
            known |= words.cost(episode.asset, episode.excess_kw, episode.counted_ns)._asdict()
        known |= {"text": words.alert(episode), "advice": words.advice(telling.advice), "link": words.url(episode)}
        return {name: value for name, value in known.items() if value is not None and value != ""}

    def _publish(self, payloads: list[bytes]) -> None:
        """Connect, publish, wait for every acknowledgement; blocking. Raises Unavailable and Rejected."""
        said: Future[ReasonCode] = Future()
        refused: list[ReasonCode] = []
        client = self._client()
        client.on_connect = lambda _c, _d, _f, code, _p: said.set_result(code)
        client.on_publish = lambda _c, _d, _m, code, _p: refused.append(code) if code.is_failure else None
        try:
            client.connect(self._connection.host, self._port, keepalive=30)
            client.loop_start()
            if (code := said.result(_TIMEOUT_S)).is_failure:
                raise Unavailable(f"{self._where} refuses the connection: {code}; check user and password")
            self._hand_over(client, payloads)
        except TimeoutError as error:
            raise Unavailable(f"{self._where} does not answer within {_TIMEOUT_S:g} s") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise Unavailable(f"{self._where} cannot be reached: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()
        if refused:
            raise Rejected(f"{self._where} refuses topic {self._config.topic}: {refused[0]}; grant the user this topic")

    def _hand_over(self, client: Client, payloads: list[bytes]) -> None:
        """Publish and wait until all is acknowledged; raises TimeoutError."""
        until = time.monotonic() + _TIMEOUT_S
        sent = [client.publish(self._config.topic, payload, qos=1, retain=False) for payload in payloads]
        for one in sent:
            one.wait_for_publish(max(0.0, until - time.monotonic()))
            if not one.is_published():
                raise TimeoutError

    def _client(self) -> Client:
        config = self._connection
        protocol = MQTTv5 if config.version == "5" else MQTTv311
        client = Client(
            CallbackAPIVersion.VERSION2, f"{config.client_id}-alerts", protocol=protocol, reconnect_on_failure=False
        )
        client.connect_timeout = _TIMEOUT_S
        if config.username is not None:
            client.username_pw_set(config.username, secrets.read(config.password) if config.password else None)
        if config.tls is not None:
            ca, certificate, key = (
                str(p) if p else None for p in (config.tls.ca, config.tls.certificate, config.tls.key)
            )
            client.tls_set(ca_certs=ca, certfile=certificate, keyfile=key)
        return client
