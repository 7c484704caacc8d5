"""A plant → what its messages refer to and is not there, or cannot work."""

from __future__ import annotations

from collections.abc import Iterator

from config.explain import nearest
from config.model import Gateway
from config.notify import Match, MqttChannel
from config.plant_checks import Finding, Loc, Plant
from config.protocols.mqtt import MqttConnection


def check_notify(plant: Plant) -> Iterator[Finding]:
    """Yield everything wrong with channels, routes and times of maintenance."""
    notify = plant.gateway.notify
    for name, channel in notify.channels.items():
        if isinstance(channel, MqttChannel):
            yield from _mqtt(plant, ("notify", "channels", name), channel)
    for block in ("routes", "maintenance"):
        for number, entry in enumerate(getattr(notify, block)):
            yield from _match(plant, ("notify", block, number, "match"), entry.match)


def _mqtt(plant: Plant, path: Loc, channel: MqttChannel) -> Iterator[Finding]:
    known = plant.names("connections")
    connection = plant.gateway.connections.get(channel.connection)
    if channel.connection not in known:
        yield (
            (*path, "connection"),
            f"there is no connection '{channel.connection}'{nearest(channel.connection, known)}",
        )
    elif connection is not None and not isinstance(connection, MqttConnection):
        yield (*path, "connection"), f"'{channel.connection}' speaks {connection.protocol}; a topic needs one of mqtt"
    for _, asset, _, name, device in plant.devices():
        if device.connection == channel.connection and _hears(device.address, channel.topic):
            yield (
                (*path, "topic"),
                f"device '{asset}.{name}' reads this topic; messages about alerts need one of their own",
            )


def _hears(topic_filter: str, topic: str) -> bool:
    """Return whether a subscription gets what is published to a topic (MQTT 5, section 4.7)."""
    wanted, given = topic_filter.split("/"), topic.split("/")
    for level, part in enumerate(wanted):
        if part == "#":
            return True
        if level >= len(given) or part not in ("+", given[level]):
            return False
    return len(wanted) == len(given)


def _match(plant: Plant, path: Loc, match: Match) -> Iterator[Finding]:
    """Yield the assets and areas nobody knows; alerts have names that types of assets bring, too."""
    if not plant.is_whole("areas"):
        return
    known = {"areas": set(plant.gateway.areas), "assets": _assets(plant.gateway)}
    for block, names in known.items():
        for name in getattr(match, block):
            if name not in names:
                yield (*path, block), f"there is no {block[:-1]} '{name}'{nearest(name, names)}"


def _assets(gateway: Gateway) -> set[str]:
    """Return all assets; the gateway itself is one that alerts may be about."""
    return {"gateway", *(name for area in gateway.areas.values() for name in area.assets)}
