"""A device on MQTT and its connection → what is wrong with its topics and paths; one connection's shared groups."""

from __future__ import annotations

from collections.abc import Iterator

from config.model import Device
from config.plant_checks import Finding, Loc, Plant
from config.protocols.mqtt import EACH, Form, MqttConnection, check_topic, form_of, split_share


def check_mqtt(plant: Plant) -> Iterator[Finding]:
    """Yield what is wrong with shared subscriptions, and with paths that need a time of their own for each element."""
    groups: dict[str, str] = {}  # connection → the group its first filter names
    for path, _, _, _, device in plant.devices():
        connection = plant.gateway.connections.get(device.connection)
        if not isinstance(connection, MqttConnection):
            continue
        for where, before, name, point in plant.placed(path, device):
            if point.mqtt is not None:
                yield from ((where, before + message) for message in _form(form_of(point.mqtt, connection, name)))
        for where, before, topic in _filters(plant, path, device):
            try:
                check_topic(topic)
            except ValueError as error:
                yield where, f"{before}{error}"
                continue
            group = split_share(topic)[0] or connection.share or ""
            first = groups.setdefault(device.connection, group)
            if group != first:
                yield where, before + _two_groups(group, first)


def _filters(plant: Plant, path: Loc, device: Device) -> Iterator[tuple[Loc, str, str]]:
    """Yield where each filter is written, what goes before a word about it there, and the filter."""
    if device.address:
        yield (*path, "address"), "", device.address
    for where, before, _, point in plant.placed(path, device):
        if point.mqtt is not None and point.mqtt.topic is not None:
            yield where if before else (*where, "topic"), before, point.mqtt.topic


def _form(form: Form) -> Iterator[str]:
    """Yield what is wrong with how a point is written, by the point and its connection together."""
    if form.payload == "json" and EACH in form.path and EACH not in (form.time_path or ""):
        yield f"each element of {form.path} needs its own time: time_path: e.g. {_sibling(form.path)}"
    elif form.payload != "json" and EACH in form.path + (form.time_path or ""):
        yield f"{EACH} is of JSON lists; a line of CSV is an element already"
    elif form.payload == "csv" and not form.path:
        yield "of CSV a column is needed: path: its number, from 0, or its name in the header"
    elif (form.payload, form.separator, form.text) == ("csv", ",", "decimal_comma"):
        yield "a decimal comma and a comma between columns cannot be told apart; is it separator: ';'?"


def _sibling(path: str) -> str:
    return f"{path[: path.index(EACH) + len(EACH)]}.t"


def _two_groups(group: str, first: str) -> str:
    said = f"is shared as '{group}'" if group else "is not shared"
    other = f"is shared as '{first}'" if first else "is not"
    return f"{said}, but the connection's first topic {other}: what matches both would come twice; use two connections"
