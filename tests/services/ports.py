"""Loopback ports for servers of one's own."""

from __future__ import annotations

import os
import random
import socket
from itertools import cycle
from typing import Final

# Below the range outgoing connections take theirs from, so that none of those is there first.
# What simulators take by themselves lies above.
_RANGE: Final = range(12_000, 22_000)
_EACH: Final = 1_250


def _mine() -> range:
    """Return the ports of this process: tests side by side have each their own, also while nobody listens there."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = worker * _EACH % len(_RANGE)
    return _RANGE[first : first + _EACH]


def _in_turn(ports: range) -> cycle[int]:
    """Return the ports again and again, from anywhere on: none comes twice while its server may still be away."""
    begin = random.SystemRandom().randrange(len(ports))
    return cycle([*ports[begin:], *ports[:begin]])


_PORTS: Final = _in_turn(_mine())


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
