"""A configuration enters; the one a gateway needs to read what is served here, on free ports if wanted, leaves."""

from __future__ import annotations

import socket
from typing import Any, Final
from urllib.parse import urlsplit

from config.model import Gateway
from config.protocols.dlt645 import dlt645_address
from config.protocols.modbus import modbus_address

_ON_BROKERS: Final = ("mqtt", "sparkplug")


def free_port(host: str = "127.0.0.1") -> int:
    """Return a TCP port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def as_served(gateway: Gateway, own: str | None, own_broker: bool) -> Gateway:
    """Return the configuration a gateway needs to read what is served here; ports are free ones where `own` is given.

    Serial ports then stand in the folder `own`, without the parity a pseudo-terminal does not know.
    """
    free_ports = own is not None
    data: dict[str, Any] = gateway.model_dump()
    for connection in data["connections"].values():
        if connection["protocol"] in _ON_BROKERS and own_broker:  # all the small broker speaks
            connection |= {"version": "3.1.1", "tls": None, "username": None, "password": None}
        if free_ports and connection["protocol"] in _ON_BROKERS:
            connection["port"] = free_port()
        if free_ports and connection["protocol"] == "opcua":
            url = urlsplit(connection["url"])
            connection["url"] = url._replace(netloc=f"{url.hostname}:{free_port()}").geturl()
        if free_ports and (connection.get("serial") or {}).get("port"):
            connection["serial"] |= {"port": f"{own}/{connection['serial']['port'].replace('/', '-')}", "parity": "N"}
    if free_ports:
        _move(data)
    return Gateway.model_validate(data)


def _move(data: dict[str, Any]) -> None:
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
                at = moved.setdefault(f"{host}:{port}", free_port(host))
                device["address"] = f"[{host}]:{at}/{unit}" if ":" in host else f"{host}:{at}/{unit}"
