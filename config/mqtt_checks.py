"""A device on MQTT and its connection → what is wrong with its topics and paths; one connection's shared groups."""

from __future__ import annotations

from collections.abc import Iterator

from config.model import Device
from config.plant_checks import Finding, Plant
from config.protocols.mqtt import EACH, MqttConnection, form_of, split_share


def check_mqtt(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with shared subscriptions, and with paths that need a time of their own for each element."""
    groups: dict[str, str] = {}  # connection → the group its first filter names
    for path, _, _, _, device in plant.devices():
        connection = plant.gateway.connections.get(device.connection)
        if not isinstance(connection, MqttConnection):
            continue
        for where, message in _paths(connection, device):
            yield (*path, *where), message
        for where, topic in _filters(device):
            group = split_share(topic)[0] or connection.share or ""
            first = groups.setdefault(device.connection, group)
            if group != first:
                yield (*path, *where), _two_groups(group, first)


def _filters(device: Device) -> Iterator[tuple[tuple[str | int, ...], str]]:
    own = {name: p.mqtt.topic for name, p in device.points.items() if p.mqtt and p.mqtt.topic is not None}
    if device.address:
        yield ("address",), device.address
    for name, topic in own.items():
        yield ("points", name, "mqtt", "topic"), topic


def _paths(connection: MqttConnection, device: Device) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, point in device.points.items():
        if point.mqtt is None:
            continue
        form = form_of(point.mqtt, connection, name)
        place = ("points", name, "mqtt")
        if form.payload == "json" and EACH in form.path and EACH not in (form.time_path or ""):
            yield place, f"each element of {form.path} needs its own time: time_path: e.g. {_sibling(form.path)}"
        elif form.payload != "json" and EACH in form.path + (form.time_path or ""):
            yield place, f"{EACH} is of JSON lists; a line of CSV is an element already"
        elif form.payload == "csv" and not form.path:
            yield place, "of CSV a column is needed: path: its number, from 0, or its name in the header"
        elif (form.payload, form.separator, form.text) == ("csv", ",", "decimal_comma"):
            yield place, "a decimal comma and a comma between columns cannot be told apart; is it separator: ';'?"


def _sibling(path: str) -> str:
    return f"{path[: path.index(EACH) + len(EACH)]}.t"


def _two_groups(group: str, first: str) -> str:
    said = f"is shared as '{group}'" if group else "is not shared"
    other = f"is shared as '{first}'" if first else "is not"
    return f"{said}, but the connection's first topic {other}: what matches both would come twice; use two connections"
