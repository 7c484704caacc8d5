"""A plant → what its windows, alerts, factors, sinks and secrets refer to and is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from config import secrets
from config.alert_checks import check_alerts
from config.asset_checks import check_assets
from config.byproducts import check_byproducts
from config.errors import GatewayError
from config.factor_checks import check_factors, check_fuels
from config.heat_checks import check_heat
from config.meter_checks import check_meters
from config.mqtt_checks import check_mqtt
from config.notify_checks import check_notify
from config.plant_checks import RESERVED, Finding, Loc, Plant
from config.process_checks import check_processes
from config.protocols.mqtt import Broker
from config.strict import Secret
from config.tariff_checks import check_tariff
from config.virtual_checks import check_virtual
from config.window_checks import check_windows

_SINK_NAMES = ("history", "ledger", "windows", "alerts", "desk")  # cursors of the gateway's own consumers


def check_references(plant: Plant) -> Iterator[Finding]:
    """Yield everything that points at something missing or unsuitable."""
    yield from _names(plant)
    yield from check_windows(plant)
    yield from check_alerts(plant)
    yield from check_assets(plant)
    yield from check_factors(plant)
    yield from check_fuels(plant)
    yield from check_tariff(plant)
    yield from check_virtual(plant)
    yield from check_processes(plant)
    yield from check_byproducts(plant)
    yield from check_heat(plant)
    yield from check_meters(plant)
    yield from check_notify(plant)
    yield from check_mqtt(plant)
    yield from _brokers(plant)
    for block in ("connections", "sinks"):
        for name, entry in getattr(plant.gateway, block).items():
            yield from _files((block, name), entry)
    for name, channel in plant.gateway.notify.channels.items():
        yield from _files(("notify", "channels", name), channel)
    for path, entry in ((("api",), plant.gateway.api), (("factors", "live"), plant.gateway.factors.live)):
        if entry is not None:
            yield from _files(path, entry)


def _names(plant: Plant) -> Iterator[Finding]:
    for name in (RESERVED, "ledger"):
        if name in plant.gateway.connections:
            yield ("connections", name), f"'{name}' is the gateway's own name; call the connection something else"
    for name in _SINK_NAMES:
        if name in plant.gateway.sinks:
            yield ("sinks", name), f"'{name}' is the name of a part of the gateway; call the sink something else"
    seen: dict[str, str] = {}
    for block in ("windows", "sinks"):  # each follows the log under its name
        for name in getattr(plant.gateway, block):
            if name in seen:
                yield (block, name), f"'{name}' is already the name of one of the {seen[name]}; call it something else"
            seen.setdefault(name, block)


def _brokers(plant: Plant) -> Iterator[Finding]:
    seen: dict[tuple[str, int | None, str], str] = {}
    for name, connection in plant.gateway.connections.items():
        if isinstance(connection, Broker):
            key = (connection.host, connection.port, connection.client_id)
            if key in seen:
                message = (
                    f"connection '{seen[key]}' has the same client_id at this broker; each would throw the other out"
                )
                yield ("connections", name, "client_id"), message
            seen.setdefault(key, name)


def _files(path: Loc, block: BaseModel) -> Iterator[Finding]:
    """Yield secrets that cannot be read, and files of certificates and keys that are not there."""
    for key in type(block).model_fields:
        value = getattr(block, key)
        if isinstance(value, Secret):
            try:
                secrets.read(value)
            except GatewayError as error:
                yield (*path, key), str(error)
        elif isinstance(value, BaseModel):
            yield from _files((*path, key), value)
        elif isinstance(value, Path) and (missing := _missing(value)):
            yield (*path, key), missing


def _missing(file: Path) -> str:
    try:
        return "" if file.is_file() else f"there is no file {file}"
    except OSError as error:  # its folder may not be looked into, its name is too long
        return f"{file} cannot be looked at: {error.strerror}"
