"""Loopback ports for servers of one's own."""

from __future__ import annotations

import random
import socket

# Below the range outgoing connections take theirs from, so that none of those is there first.
_RANGE = range(12_000, 32_000)


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    while True:
        port = random.choice(_RANGE)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
