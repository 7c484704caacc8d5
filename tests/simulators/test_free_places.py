"""Ports of what is served: free ones, each once, none that an outgoing connection might take first."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from simulators import free_places
from simulators.free_places import free_ports


def test_each_is_another_and_none_is_of_outgoing_connections() -> None:
    one = free_ports()
    ports = [one("127.0.0.1") for _ in range(300)]
    assert len(set(ports)) == len(ports)
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert max(ports) < int(outgoing[0]) or min(ports) > int(outgoing[1])


def test_one_that_is_taken_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(free_places, "_PORTS", range(port, port + 1))
        with pytest.raises(OSError, match=r"all ports of 127\.0\.0\.1"):
            free_ports()("127.0.0.1")
