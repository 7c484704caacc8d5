"""Metrics of births and data → the numbers of configured points, with quality and unit as their properties say."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from collectors.sparkplug_members import Sought, parts
from collectors.sparkplug_nodes import Known, Source
from collectors.sparkplug_payload import Metric, properties
from collectors.sparkplug_types import element, is_array, number, split_index
from config.bindings import BoundDevice, series_key
from config.errors import Rejected
from config.points import Point
from config.protocols.sparkplug import SparkplugAddress, sparkplug_address
from config.quantities import conversion
from pipeline.quality import BAD, GOOD, STALE, UNCERTAIN

_STALE: Final = 500  # Sparkplug 3.0.0, 6.4.12: 0 bad, 192 good, 500 stale
_OPC_MASK: Final = 0xC0  # others are OPC quality codes, as many edge nodes pass on: 192 good, 64 uncertain, 0 bad
# Units as nodes write them; nothing else of the network's reaches the parser of units.
_PLAIN_UNIT: Final = re.compile(r"[A-Za-zµ°%]{1,12}[23]?(?:[/*][A-Za-zµ°]{1,12}[23]?){0,3}")
_SPELLED: Final = (("°C", "degC"), ("℃", "degC"), ("°F", "degF"), ("³", "3"), ("²", "2"), ("·", "*"))


class Want(NamedTuple):
    """A point of the configuration: what it is fed by, of which device (by its number in the connection)."""

    device: int
    name: str
    series: int
    path: str
    point: Point


class Feed(NamedTuple):
    """How a metric feeds a point: it does itself, a `member` of it does, or one element of either."""

    want: Want
    member: str
    at: int | None


class Wants:
    """What is wanted of each edge node: `nodes[group/node][device]`, the device empty for the node itself."""

    def __init__(self, devices: Sequence[BoundDevice], ids: Mapping[str, int]) -> None:
        self.nodes: dict[str, dict[str, list[Want]]] = {}
        self.devices: dict[tuple[str, str], list[int]] = {}  # numbers of the devices fed by a source
        self.addresses: list[SparkplugAddress] = []
        for index, device in enumerate(devices):
            address = sparkplug_address(device.device.address)
            self.addresses.append(address)
            node = f"{address.group}/{address.node}"
            wants = self.nodes.setdefault(node, {}).setdefault(address.device, [])
            self.devices.setdefault((node, address.device), []).append(index)
            wants += [
                Want(index, name, ids[series_key(device.asset_name, name, p.quantity)], p.sparkplug.metric, p)
                for name, p in device.points.items()
                if p.sparkplug is not None
            ]

    @property
    def filters(self) -> list[str]:
        """Return one topic filter for each edge node: all its messages count, for their sequence."""
        return [f"spBv1.0/{group}/+/{name}/#" for group, name in (node.split("/") for node in self.nodes)]


def feeds(source: Source, wants: Sequence[Want]) -> tuple[dict[str, list[Feed]], list[Want]]:
    """Return which metrics of a birth feed which points, and the points none of them feeds."""
    found: dict[str, list[Feed]] = {}
    unfed: list[Want] = []
    for want in wants:
        metric, feed = _feed(source, want)
        if feed is None:
            unfed.append(want)
        else:
            found.setdefault(metric, []).append(feed)
    return found, unfed


def _feed(source: Source, want: Want) -> tuple[str, Feed | None]:
    if want.path in source.metrics:
        return want.path, Feed(want, "", None)
    path, index = split_index(want.path)
    if index is not None and path in source.metrics and is_array(source.metrics[path].kind):
        return path, Feed(want, "", index)
    owner = want.path
    while "/" in owner:
        owner = owner.rpartition("/")[0]
        if owner in source.metrics:
            return owner, Feed(want, want.path, None)
    return "", None


def numbers(fed: Sequence[Feed], known: Known, metric: Metric) -> Iterator[tuple[Want, float | str]]:
    """Yield each point with its number, or with what is wrong with it; a member that did not change is left out."""
    try:
        sought = _sought(tuple(feed.member for feed in fed))
        inner = parts(known, metric, sought) if sought.longest else {}
    except Rejected as error:
        yield from ((feed.want, str(error)) for feed in fed)
        return
    for feed in fed:
        try:
            value = _number(feed, metric, inner)
        except Rejected as error:
            yield feed.want, str(error)
        else:
            if value is not None:
                yield feed.want, value


@lru_cache(maxsize=4_096)
def _sought(members: tuple[str, ...]) -> Sought:
    """Return the paths of members that feed points, and those of arrays whose elements do."""
    return Sought.of({path for member in members if member for path in (member, split_index(member)[0])})


def _number(feed: Feed, metric: Metric, inner: Mapping[str, Metric]) -> float | None:
    if not feed.member:
        return number(metric.typed) if feed.at is None else element(metric.typed, feed.at)
    if feed.member in inner:
        member = inner[feed.member]
        return None if member.null else number(member.typed)
    path, index = split_index(feed.member)
    if index is not None and path in inner and not inner[path].null:
        return element(inner[path].typed, index)
    return None


def learn(known: Known, metric: Metric) -> int:
    """Take unit and quality from a metric's properties into what is known of it; return its quality. Raises Rejected.

    A historical value has its own quality, which says nothing of the newest.
    """
    if not metric.properties:
        return quality_bits(known.quality)
    found = properties(metric.properties, "Quality", "engUnit")
    code = known.quality
    if (stated := found.get("Quality")) is not None:
        code = int(number(stated))
    if not metric.historical:
        known.quality = code
    unit = found.get("engUnit")
    if unit is not None and unit.field == "string":
        known.unit = unit.value.decode("utf-8", "replace")[:60]
    return quality_bits(code)


def quality_bits(code: int) -> int:
    """Return a Quality property as bits of our own table."""
    if code == _STALE:
        return UNCERTAIN | STALE
    kept = code & _OPC_MASK if 0 <= code < 256 else 0
    return {0xC0: GOOD, 0x40: UNCERTAIN}.get(kept, BAD)


def unit_mistake(point: Point, unit: str) -> str:
    """Return what is wrong between a metric's engUnit and the configured unit and scale; empty when they agree."""
    if unit in ("", point.unit) and point.scale == 1.0:
        return ""
    plain = unit
    for theirs, ours in _SPELLED:
        plain = plain.replace(theirs, ours)
    stands = f"it stands in '{unit}', configured is {point.unit}" + (f" × {point.scale:g}" if point.scale != 1 else "")
    if not unit:
        return ""
    try:
        if not _PLAIN_UNIT.fullmatch(plain):
            raise ValueError(unit)
        theirs_scale, theirs_offset = conversion(plain, point.quantity)
    except ValueError:
        return f"{stands}; that is no unit of {point.quantity}"
    ours_scale, ours_offset = conversion(point.unit, point.quantity)
    agree = math.isclose(theirs_scale, ours_scale * point.scale, rel_tol=1e-9)
    if agree and math.isclose(theirs_offset, ours_offset + ours_scale * point.offset, rel_tol=1e-9, abs_tol=1e-9):
        return ""
    return f"{stands}; values would be wrong by a factor of {ours_scale * point.scale / theirs_scale:g}"
