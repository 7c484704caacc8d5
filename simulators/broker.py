"""A small MQTT 3.1.1 broker inside this process, on loopback, so that the simulated plant needs nothing installed."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Self

from amqtt.broker import Broker as AmqttBroker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

_PATIENCE_S: Final = 5.0

for _chatty in ("amqtt", "transitions"):
    logging.getLogger(_chatty).setLevel(logging.CRITICAL)


class Anyone(BaseAuthPlugin):  # type: ignore[misc]
    """Lets everyone in without marking the session anonymous: amqtt forgets anonymous sessions when they disconnect."""

    async def authenticate(self, *, session: Session) -> bool:
        return True


class Broker:
    """The broker while it is entered; anyone on this machine may connect. Sessions live in memory only."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._broker: AmqttBroker | None = None

    async def __aenter__(self) -> Self:
        self._broker = AmqttBroker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
                "plugins": {f"{__name__}.{Anyone.__name__}": {}},
            },
            loop=asyncio.get_running_loop(),
        )
        await self._broker.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._broker is not None
        # It may wait for ever for a client that has connected and said nothing yet.
        ending = asyncio.ensure_future(self._broker.shutdown())
        done, late = await asyncio.wait({ending}, timeout=_PATIENCE_S)
        for task in late:
            task.cancel()
        for task in done:
            task.result()
