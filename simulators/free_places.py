"""A configuration enters; the one a gateway needs to read what is served here, on free ports if wanted, leaves."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from config.model import Gateway
from config.protocols.dlt645 import dlt645_address
from config.protocols.modbus import modbus_address

_ON_BROKERS: Final = ("mqtt", "sparkplug")
_HERE: Final = "127.0.0.1"
_PORTS: Final = range(22_000, 32_000)  # below those outgoing connections take: none of them is there first


def free_ports() -> Callable[[str], int]:
    """Return a function that gives a TCP port of a host nobody listens on now, another one each time."""
    left = random.SystemRandom().sample(_PORTS, len(_PORTS))

    def one(host: str) -> int:
        while left:
            port = left.pop()
            with suppress(OSError), socket.create_server((host, port), family=_family(host)):
                return port
        raise OSError(f"all ports of {host} from {_PORTS.start} to {_PORTS.stop - 1} are taken")

    return one


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def as_served(gateway: Gateway, own: str | None, own_broker: bool) -> Gateway:
    """Return the configuration a gateway needs to read what is served here; ports are free ones where `own` is given.

    Serial ports then stand in the folder `own`, without the parity a pseudo-terminal does not know.
    """
    moving = own is not None
    free_port = free_ports()
    data: dict[str, Any] = gateway.model_dump()
    for connection in data["connections"].values():
        if connection["protocol"] in _ON_BROKERS and own_broker:  # all the small broker speaks
            connection |= {"version": "3.1.1", "tls": None, "username": None, "password": None}
        if moving and connection["protocol"] in _ON_BROKERS:
            connection["port"] = free_port(_HERE)
        if moving and connection["protocol"] == "opcua":
            url = urlsplit(connection["url"])
            connection["url"] = url._replace(netloc=f"{url.hostname}:{free_port(_HERE)}").geturl()
        if moving and (connection.get("serial") or {}).get("port"):
            connection["serial"] |= {"port": f"{own}/{connection['serial']['port'].replace('/', '-')}", "parity": "N"}
    if moving:
        _move(data, free_port)
    return Gateway.model_validate(data)


def _move(data: dict[str, Any], free_port: Callable[[str], int]) -> None:
    """Give every device that is reached by host and port a free port, those of one place the same."""
    moved: dict[str, int] = {}
    for area in data["areas"].values():
        for asset in area["assets"].values():
            for device in asset["devices"].values():
                connection = data["connections"][device["connection"]]
                parts = {"modbus": modbus_address, "dlt645": dlt645_address}.get(connection["protocol"])
                if parts is None or (connection["serial"] or {}).get("port"):
                    continue
                host, port, unit = parts(device["address"])
                at = moved[place] if (place := f"{host}:{port}") in moved else moved.setdefault(place, free_port(host))
                device["address"] = f"[{host}]:{at}/{unit}" if ":" in host else f"{host}:{at}/{unit}"
