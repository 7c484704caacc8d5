"""OPC UA servers that keep a history, of two makes, as processes that can be frozen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.node import PEERS, NodeOpcua


class HistoryServer(NodeOpcua):
    """node-opcua's or asyncua's server with the variables `ns=1;s=v0` … of opcua_history.js or .py."""

    def __init__(self, make: str, node: str, keys: Path, folder: Path, **given: Any) -> None:
        super().__init__(node, keys, folder)
        self.make = make
        self._given = given

    def command(self) -> list[str]:
        if self.make == "asyncua":
            return [sys.executable, str(PEERS / "opcua_history.py"), str(self.port), json.dumps(self._given)]
        return [self._node, str(PEERS / "opcua_history.js"), str(self.port), str(self._keys), json.dumps(self._given)]

    def order(self, what: str) -> None:
        """Let a node-opcua server `forget` its subscriptions or `expire` its sessions."""
        self._order({"order": what})

    def start_again(self, **changed: Any) -> None:
        """Start it anew on the same port, with some of what was given changed."""
        self.stop()
        self._given |= changed
        self.start()


Start = Callable[..., HistoryServer]


@pytest.fixture
def start_history(node: str, node_opcua_keys: Path, tmp_path: Path) -> Iterator[Start]:
    """Start a server: `start_history("node-opcua", items=3, step_ms=50)`."""
    started: list[HistoryServer] = []

    def start(make: str, **given: Any) -> HistoryServer:
        server = HistoryServer(make, node, node_opcua_keys, tmp_path, **given)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
