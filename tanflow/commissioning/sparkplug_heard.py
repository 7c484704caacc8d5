"""Sparkplug B messages of strangers → who is born with which metrics, which hosts are online, who withholds data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from collectors.sparkplug_nodes import KINDS
from collectors.sparkplug_payload import Metric, decode, properties
from collectors.sparkplug_publish import parse_state
from collectors.sparkplug_types import name_of, shown
from config.errors import Rejected
from config.plant_checks import RESERVED
from tanflow.commissioning.mqtt_yaml import Suggested, framed, unique
from tanflow.commissioning.named_quantities import by_name, by_unit
from tanflow.commissioning.pasted import scalar

NAMESPACE: Final = "spBv1.0/"
_MOST: Final = 2_000  # nodes and devices
_METRICS: Final = 500  # of one, that are told
_NUMBERS: Final = frozenset(range(1, 12))  # data types: Int8 … Boolean


@dataclass(slots=True)
class Born:
    """One metric of a birth certificate."""

    name: str
    type: str
    value: str
    unit: str
    is_number: bool


@dataclass(slots=True)
class Source:
    """An edge node, or a device of one, by what it said."""

    kinds: set[str] = field(default_factory=set)
    last: str = ""  # what it said last: NDATA, DDEATH …
    metrics: list[Born] = field(default_factory=list)
    more: int = 0


class Sparkplug:
    """All that was said in the namespace of Sparkplug B."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}  # by group/node[/device]
        self.hosts: dict[str, bool | None] = {}  # host_id → online; None: what it says cannot be read
        self.bad: dict[str, str] = {}  # topic → why its message cannot be read

    def note(self, topic: str, payload: bytes) -> bool:
        """Take one message; False for one that is none of Sparkplug's."""
        levels = topic.split("/")
        if levels[0] == "STATE" and len(levels) == 2:  # before Sparkplug 3.0
            self._host(levels[1], {b"ONLINE": True, b"OFFLINE": False}.get(payload.strip()))
        elif topic.startswith(f"{NAMESPACE}STATE/") and len(levels) == 3:
            try:
                self._host(levels[2], parse_state(payload)[0])
            except Rejected:
                self._host(levels[2], None)
        elif topic.startswith(NAMESPACE) and len(levels) in (4, 5) and levels[2] in KINDS:
            self._speaks("/".join((levels[1], *levels[3:])), levels[2], topic, payload)
        else:
            return False
        return True

    def _host(self, host: str, online: bool | None) -> None:
        if host in self.hosts or len(self.hosts) < _MOST:
            self.hosts[host] = online

    def _speaks(self, name: str, kind: str, topic: str, payload: bytes) -> None:
        if name not in self.sources and len(self.sources) >= _MOST:
            return
        source = self.sources.setdefault(name, Source())
        source.kinds.add(kind)
        source.last = kind
        try:
            if kind.endswith("BIRTH"):
                metrics = [_born(metric) for metric in decode(payload).metrics() if metric.name]
                source.metrics, source.more = metrics[:_METRICS], max(0, len(metrics) - _METRICS)
            else:
                decode(payload)
        except Rejected as error:
            if len(self.bad) < _MOST:
                self.bad[topic] = str(error)

    # ── what follows from it ──────────────────────────────────────────────────────────────────────

    def withheld(self) -> list[str]:
        """Return, in words, which hosts are offline and which nodes are silent, and what lets them speak."""
        words = [
            f"host '{host}' is offline: edge nodes bound to it as their primary host withhold their data"
            for host, online in self.hosts.items()
            if online is False
        ]
        dead = [name for name, source in self.sources.items() if source.last == "NDEATH"]
        if dead:
            words.append(f"died and not born again meanwhile: {', '.join(dead[:20])}")
        unborn = [name for name, s in self.sources.items() if not any(k.endswith("BIRTH") for k in s.kinds)]
        if speaking := [name for name in unborn if name not in dead]:
            words.append(
                f"no birth certificate was heard of {', '.join(speaking[:20])}: it comes when the node connects, or"
                " where a host asks for it (request_rebirth: true)"
            )
        return words

    @property
    def awaited(self) -> list[str]:
        """The hosts that are offline: one of them tanflow might be, if nobody else is."""
        return [host for host, online in self.hosts.items() if online is False]

    def suggestion(self, connection: Mapping[str, Any]) -> str:
        """Return a configuration of the metrics whose unit or name says what they are as YAML."""
        return framed("sparkplug", connection, list(self._devices()))

    def _devices(self) -> Iterator[Suggested]:
        taken = {RESERVED}
        for name, source in self.sources.items():
            device = Suggested(unique(name.rpartition("/")[2], taken), name)
            taken.add(device.name)
            for born in source.metrics:
                if born.is_number:
                    _add(device, born)
            yield device


def _add(device: Suggested, born: Born) -> None:
    name = unique(born.name.rpartition("/")[2], device.points)
    meant = by_unit(born.unit) if born.unit else by_name(born.name.replace("/", "."))
    place = scalar({"metric": born.name})
    if meant is None or born.type == "Boolean":
        said = " ".join(f"{born.value} {born.unit}".split())
        device.open.append(f"{scalar(name)}: {{quantity: ?, unit: ?, sparkplug: {place}}}  # e.g. {said}")
    else:
        said = scalar({"quantity": meant.quantity, "unit": meant.unit})
        device.points[name] = f"{said.removesuffix('}')}, sparkplug: {place}}}"


def _born(metric: Metric) -> Born:
    unit = ""
    if (
        metric.properties
        and (found := properties(metric.properties, "engUnit").get("engUnit"))
        and found.field == "string"
    ):
        unit = found.value.decode("utf-8", "replace")[:60]
    value = "null" if metric.null else shown(metric.typed)
    return Born(metric.name, name_of(metric.typed.kind), value, unit, metric.typed.kind in _NUMBERS)
