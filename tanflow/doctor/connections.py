"""Connections: when each last brought a reading, and which devices are silent since when and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from config.bindings import BoundDevice, bind
from config.protocols.mqtt import Broker
from pipeline.batch import INPUT, Series, Times, Values
from pipeline.clock import SECOND_NS
from pipeline.gaps import Gap, gap_key
from sinks.history_query import Question, Reader
from tanflow.doctor.visit import Finding, Visit
from tanflow.doctor.words import span

_POSITIONS: Final = 4_000  # of the log that are looked through: a quarter of an hour
_HOUR_NS: Final = 3_600 * SECOND_NS
_STARTS_NS: Final = 60 * SECOND_NS  # until a device must have been asked
_LISTED: Final = 20  # devices of a connection
_CAUSES: Final[Mapping[Gap, tuple[str, str]]] = {
    Gap.TIMEOUT: ("does not answer", "is it powered? right address and unit? cable, switch, baud rate and parity?"),
    Gap.REFUSED: ("cannot be reached", "does it run? address, port, firewall, user and password, certificates"),
    Gap.DISCONNECTED: ("lost the connection", "look at the network on the way, and at the device's limit of clients"),
    Gap.EXCEPTION: ("answers with an error", "tanflow probe shows which registers or nodes it has"),
    Gap.MALFORMED: ("sends what cannot be read", "tanflow deadletters shows it; is the template that of this device?"),
    Gap.MISSED: ("is not asked in time", "a longer every_s:, fewer points, or a faster line; see tanflow check"),
    Gap.STALE: ("sends nothing although it is connected", "does its value change? is the subscription accepted?"),
    Gap.BREAKER: ("does not answer and rests", "is it powered? right address and unit? cable, switch, baud rate?"),
    Gap.STOPPED: ("has not been read since the gateway stopped", "start the gateway, or free space on its disk"),
    Gap.OVERFLOW: ("dropped values itself", "a larger queue in its server, or fewer values"),
    Gap.SEQUENCE: ("lost a message on the way", "look at the broker's queue limits; it begins anew by itself"),
}


@dataclass(slots=True)
class _Seen:
    """Of each series that was seen lately: time and value of its newest row."""

    newest_ns: dict[int, int] = field(default_factory=dict)
    value: dict[int, float] = field(default_factory=dict)

    def add(self, series: Series, time_ns: Times, value: Values) -> None:
        last = {s: i for i, s in enumerate(series.tolist())}
        for s, i in last.items():
            self.newest_ns[s], self.value[s] = int(time_ns[i]), float(value[i])


def connections(visit: Visit) -> Iterator[Finding]:
    """Yield connections and devices that bring nothing."""
    if visit.reader is None:
        return
    ids = dict(visit.reader.query("SELECT key, id FROM series"))
    seen = _lately(visit)
    devices = list(bind(visit.config, visit.loaded.templates))
    for name in visit.config.connections:
        mine = [d for d in devices if d.device.connection == name]
        silent = [(d, cause) for d in mine if (cause := _cause(visit, d, ids, seen))]
        yield from _told(visit, name, silent, ids, seen)
        if mine and not silent and visit.process is not None:
            yield from _nothing(visit, name, mine, ids, seen)


def last_readings(visit: Visit) -> dict[str, int | None]:
    """Return when each connection last brought a reading [ns UTC]; None: not lately."""
    if visit.reader is None:
        return {}
    ids, seen = dict(visit.reader.query("SELECT key, id FROM series")), _lately(visit)
    found: dict[str, int | None] = dict.fromkeys(visit.config.connections)
    for device in bind(visit.config, visit.loaded.templates):
        times = [seen.newest_ns[s] for s in _series(device, ids) if s in seen.newest_ns]
        before = found[device.device.connection]
        found[device.device.connection] = max([*times, *([before] if before else [])], default=None)
    return found


def _lately(visit: Visit) -> _Seen:
    seen, reader = _Seen(), visit.reader
    assert reader is not None  # asked for by those who looked
    position = max(0, reader.last_position() - _POSITIONS)
    while windows := reader.read(position):
        position = windows[-1].position
        for batch in (b for w in windows for b in w.batches if b.header.stratum == INPUT):
            seen.add(batch.series, batch.time_ns, batch.value)
    return seen


def _series(device: BoundDevice, ids: Mapping[str, int]) -> list[int]:
    """Return the ids of a device's measured points."""
    known = (ids.get(f"{device.asset_name}.{point}.{block.quantity}") for point, block in device.points.items())
    return [number for number in known if number is not None]


def _cause(visit: Visit, device: BoundDevice, ids: Mapping[str, int], seen: _Seen) -> Gap:
    """Return why a device is silent by its last gap row; that of a stop is over once it is read again, or soon."""
    gap = ids.get(gap_key(device.asset_name, device.name), -1)
    cause = Gap(int(seen.value.get(gap, 0.0)))
    if cause is Gap.STOPPED and visit.process is not None:
        since_ns = seen.newest_ns[gap]
        read = any(seen.newest_ns.get(s, 0) > since_ns for s in _series(device, ids))
        if read or visit.now_ns - since_ns < _STARTS_NS:
            return Gap.NONE
    return cause


def _told(
    visit: Visit, name: str, silent: list[tuple[BoundDevice, Gap]], ids: Mapping[str, int], seen: _Seen
) -> Iterator[Finding]:
    links = visit.component(f"collector.{name}").get("links", {}).get("what", {})
    for device, cause in silent[:_LISTED]:
        what, do = _CAUSES[cause]
        own = links.get(device.key, "")
        words = f"{device.key} {what}" + (f": {own}" if own else "")
        yield Finding(f"connection {name}", words, do, _last(visit, _series(device, ids), seen))
    if len(silent) > _LISTED:
        words = f"and {len(silent) - _LISTED} more devices are silent"
        yield Finding(f"connection {name}", words, "what they share is the likely cause: line, switch, power")


def _last(visit: Visit, series: list[int], seen: _Seen) -> int | None:
    """Return when any of some series had its last row: lately, or to the hour."""
    if found := [seen.newest_ns[s] for s in series if s in seen.newest_ns]:
        return max(found)
    history = visit.folder / "history"
    if not series or not (history / "1h").is_dir():
        return None
    days = visit.config.data.history.raw_days
    asked = Question(tuple(series[:3]), visit.now_ns - days * 24 * _HOUR_NS, visit.now_ns, _HOUR_NS, "count")
    answer = Reader(history).answer(asked)
    return int(answer.time_ns.max()) if len(answer) else None


def _nothing(
    visit: Visit, name: str, mine: list[BoundDevice], ids: Mapping[str, int], seen: _Seen
) -> Iterator[Finding]:
    """Say so where a connection has brought nothing for ten periods, or never, and no gap row says why.

    What a device tells when something changes may be nothing for days: that is worth knowing, no more.
    """
    last_ns = _last(visit, [s for d in mine for s in _series(d, ids)], seen)
    paced = [d.device.every_s or getattr(visit.config.connections[name], "every_s", None) for d in mine]
    period_s = 10 * max((float(every_s) for every_s in paced if every_s), default=0.0)
    if last_ns is not None and (visit.now_ns - last_ns) / SECOND_NS <= max(60.0, period_s):
        return
    component = visit.component(f"collector.{name}")
    said = component.get("last_error", "") if component.get("state") != "running" else ""
    quiet = f"for {span((visit.now_ns - last_ns) / SECOND_NS)}" if last_ns is not None else "lately"
    words = f"it brought no reading {quiet}" + (f": {said}" if said else "")
    advice = "do its devices send or change anything? tanflow check --connect"
    yield Finding(f"connection {name}", words, advice, last_ns, wrong=_asks(visit, name) or bool(said))


def _asks(visit: Visit, name: str) -> bool:
    """Return whether a connection asks at its period; others are told by the devices what has changed."""
    connection = visit.config.connections[name]
    return not isinstance(connection, Broker) and getattr(connection, "mode", "poll") == "poll"
