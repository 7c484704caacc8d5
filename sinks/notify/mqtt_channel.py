"""Messages → a topic of a broker, one JSON object for each transition, QoS 1, not retained; on a session of its own."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Self

import orjson
from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from config import secrets
from config.connections import MqttConnection
from config.errors import Rejected, Unavailable
from config.notify import MqttChannel as Config
from sinks.notify.message import Message, Telling, Words

_TIMEOUT_S: Final = 10.0


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
        episode, words = telling.episode, self._words
        cost = words.cost(episode.asset, episode.excess_kw, episode.counted_ns) if episode.excess_kw else None
        known = episode.to_json() | {"what": telling.what, "advice": telling.advice, "site": words.site}
        known |= cost._asdict() if cost else {}
        known |= {"text": words.alert(episode), "link": words.url(episode)}
        return {name: value for name, value in known.items() if value not in (None, "", 0)}

    def _publish(self, payloads: list[bytes]) -> None:
        """Connect, publish, wait for every acknowledgement; blocking. Raises Unavailable and Rejected."""
        said: list[ReasonCode] = []
        refused: list[ReasonCode] = []
        client = self._client()
        client.on_connect = lambda _c, _d, _f, code, _p: said.append(code)
        client.on_publish = lambda _c, _d, _m, code, _p: refused.append(code) if code.is_failure else None
        try:
            client.connect(self._connection.host, self._port, keepalive=30)
            client.loop_start()
            sent = [client.publish(self._config.topic, payload, qos=1, retain=False) for payload in payloads]
            for one in sent:
                one.wait_for_publish(_TIMEOUT_S)
            taken = all(one.is_published() for one in sent)
        except (OSError, ValueError, RuntimeError) as error:
            raise Unavailable(f"{self._where} cannot be reached: {error}") from error
        finally:
            client.disconnect()
            client.loop_stop()
        if said and said[0].is_failure:
            raise Unavailable(f"{self._where} refuses the connection: {said[0]}; check user and password")
        if refused:
            raise Rejected(f"{self._where} refuses topic {self._config.topic}: {refused[0]}; grant the user this topic")
        if not taken:
            raise Unavailable(f"{self._where} did not acknowledge within {_TIMEOUT_S:g} s")

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
