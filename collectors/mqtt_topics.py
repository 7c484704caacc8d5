"""Configured topic filters → which points a concrete topic feeds, and how; MQTT 5.0 section 4.7 says what matches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from collectors.mqtt_forms import Route, route
from config.bindings import BoundDevice, series_key
from config.errors import GatewayError
from config.protocols.mqtt import Form, MqttConnection, filter_of, form_of, key_of, split_share

_CACHED: Final = 10_000  # concrete topics; a broker may carry any number


def matcher(topic_filter: str) -> re.Pattern[str]:
    """Return what matches exactly the topics of a filter; one that begins with a wildcard spares `$` topics.

    Raises ValueError for what is no filter.
    """
    levels = topic_filter.split("/")
    if not topic_filter or "#" in topic_filter[:-1] or any(len(v) > 1 and ("+" in v or "#" in v) for v in levels):
        raise ValueError(f"'{topic_filter}' is not a topic filter; write e.g. plant/+/meter or plant/#")
    pattern = "/".join("[^/]*" if level == "+" else re.escape(level) for level in levels)
    if levels[-1] == "#":
        head = "/".join("[^/]*" if level == "+" else re.escape(level) for level in levels[:-1])
        pattern = f"{head}(/.*)?" if head else ".*"
    return re.compile((r"(?!\$)" if levels[0] in "+#" else "") + pattern, re.DOTALL)


def covers(wide: str, narrow: str) -> bool:
    """Return whether every topic of the filter `narrow` is one of `wide`."""
    ours, theirs = wide.split("/"), narrow.split("/")
    if theirs[0].startswith("$") != ours[0].startswith("$"):
        return False
    for i, level in enumerate(ours):
        if level == "#":
            return True
        if i >= len(theirs) or theirs[i] == "#" or (level != "+" and level != theirs[i]):
            return False
    return len(ours) == len(theirs)


class Routes:
    """All routes of a connection; `filters` are those to subscribe, none of them within another.

    A broker may send a message once per matching subscription, and it must come once.
    """

    def __init__(
        self,
        devices: Sequence[BoundDevice],
        ids: Mapping[str, int],
        connection: MqttConnection,
        now_ns: Callable[[], int],
    ) -> None:
        patterns: dict[str, re.Pattern[str]] = {}
        shared: dict[str, str] = {}  # filter → its group
        found: dict[tuple[str, int, object], list[tuple[str, int, Form]]] = {}
        for index, device in enumerate(devices):
            for name, point in device.points.items():
                if point.mqtt is not None:
                    group, wanted = filter_of(device, name)
                    try:
                        patterns.setdefault(wanted, matcher(wanted))
                    except ValueError as error:
                        raise GatewayError(f"{device.key}.{name}: {error}") from error
                    shared[wanted] = group or connection.share or ""
                    form = form_of(point.mqtt, connection, key_of(device, name))
                    series = ids[series_key(device.asset_name, name, point.quantity)]
                    found.setdefault((wanted, index, form.alike), []).append((name, series, form))
        self._routes = [
            (patterns[wanted], route(wanted, device, points, now_ns)) for (wanted, device, _), points in found.items()
        ]
        self._cache: dict[str, tuple[Route, ...]] = {}
        wanted_filters = sorted(patterns)
        self.filters = [
            f"$share/{shared[f]}/{f}" if shared[f] else f
            for f in wanted_filters
            if not any(other != f and covers(other, f) for other in wanted_filters)
        ]

    def of(self, topic: str) -> tuple[Route, ...]:
        """Return the routes a concrete topic takes."""
        routes = self._cache.get(topic)
        if routes is None:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            routes = tuple(route for pattern, route in self._routes if pattern.fullmatch(topic))
            self._cache[topic] = routes
        return routes

    def devices_of(self, topic_filter: str) -> list[int]:
        """Return the devices that get nothing when the subscription `topic_filter` is refused."""
        bare = split_share(topic_filter)[1]
        return sorted({route.device for _, route in self._routes if covers(bare, route.filter)})
