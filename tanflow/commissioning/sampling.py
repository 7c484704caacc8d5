"""A checked configuration → one sample of every point, read by the gateway's own collectors; nothing of it is kept.

A running gateway is left alone: no data directory is written, a broker knows us by another name and keeps no session,
a shared subscription is not shared, and nothing is published.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from config.bindings import BoundDevice, bind, series_key
from config.connections import Connection
from config.errors import GatewayError, Unavailable
from config.load import Loaded
from config.points import Point
from config.protocols.mqtt import Broker
from pipeline.batch import Batch
from pipeline.clock import Clock
from pipeline.compile import compile_plan
from pipeline.counters import Counters
from pipeline.gaps import Gap, gap_key
from pipeline.meter import NEVER
from pipeline.ports import Collector, Origin
from pipeline.quality import BAD, RANGE
from tanflow import registry
from tanflow.commissioning.raw import raw_of

_SHARED: Final = "$share/"
_ASKED_TO_END: Final = 5  # times, a second apart
_LAST_WORDS_S: Final = 0.2  # a collector that failed is opened again after this
Told = Callable[[int, int], None]  # points sampled so far, of how many


@dataclass(slots=True)
class Sample:
    """What one point brought: a value in its own unit [point.unit], or why there is none."""

    connection: str
    device: BoundDevice
    name: str
    value: float = math.nan
    text: str = ""  # of a point that is text
    quality: int = 0
    raw: str = ""
    after_s: float = math.nan  # since the visit began
    took_s: float = math.nan  # the answer to a request, where the protocol asks
    why: str = ""
    left: bool = False  # not asked: a running gateway is the one master of its line

    @property
    def key(self) -> str:
        return f"{self.device.asset_name}.{self.name}"

    @property
    def point(self) -> Point:
        return self.device.points[self.name]

    @property
    def came(self) -> bool:
        return bool(self.text) or not math.isnan(self.after_s)

    @property
    def failed(self) -> bool:
        """Whether there is no value one could go by."""
        return not self.left and not self.text and (math.isnan(self.value) or bool(self.quality & BAD))


async def sample(loaded: Loaded, devices: Sequence[BoundDevice], deadline_s: float, told: Told) -> list[Sample]:
    """Return a sample of every point of some devices, all connections at a time."""
    plan = compile_plan(loaded.gateway, list(bind(loaded.gateway, loaded.templates)), loaded.path.parent)
    ids = {spec.key: number for number, spec in enumerate(plan.specs)}
    data = loaded.path.parent / loaded.gateway.data.dir
    with _own_directory(data) as directory:
        visits = []
        for name, connection in loaded.gateway.connections.items():
            if mine := [_unshared(d) for d in devices if d.device.connection == name]:
                visits.append(_Visit(name, _quiet(connection), mine, ids, directory, data))
        total = sum(len(visit.samples) for visit in visits)

        def progress() -> None:
            told(sum(s.came for visit in visits for s in visit.samples.values()), total)

        with _silent_log():
            await asyncio.gather(*(visit.run(deadline_s, progress) for visit in visits))
    return [s for visit in visits for s in visit.samples.values()]


@dataclass(slots=True)
class _Visit:
    """One connection, read until every point has brought a value or the deadline is over."""

    name: str
    connection: Connection
    devices: Sequence[BoundDevice]
    ids: Mapping[str, int]
    directory: Path
    data: Path  # the gateway's own
    counters: Counters = field(default_factory=Counters)
    samples: dict[str, Sample] = field(init=False)
    _of_series: dict[int, Sample] = field(init=False)
    _gaps: dict[str, Gap] = field(default_factory=dict)  # device → why it is silent
    _why: str = ""  # the last attempt failed
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        found = [Sample(self.name, d, name) for d in self.devices for name in d.points]
        self.samples = {s.key: s for s in found}
        keys = {series_key(s.device.asset_name, s.name, s.point.quantity): s for s in found}
        self._of_series = {self.ids[key]: s for key, s in keys.items() if key in self.ids}

    async def run(self, deadline_s: float, progress: Callable[[], None]) -> None:
        """Read until the deadline; what does not end when it is asked to is asked again, and left after a while."""
        reading = asyncio.create_task(self._visited(progress))
        await asyncio.wait({reading}, timeout=deadline_s)
        for _ in range(_ASKED_TO_END):  # libraries may swallow a cancellation that meets a timeout of their own
            if reading.done():
                break
            reading.cancel()
            await asyncio.wait({reading}, timeout=1)
        if reading.done() and not reading.cancelled():
            reading.result()
        self._explain(self._why, deadline_s)

    async def _visited(self, progress: Callable[[], None]) -> None:
        """Read until every point has brought a value; a collector that fails is opened again."""
        while not self._complete:
            try:
                await self._read(self._collector(), progress)
            except (Unavailable, ValueError, OSError) as error:
                self._why = str(error)
                await asyncio.sleep(_LAST_WORDS_S)
            except GatewayError as error:
                self._why = str(error)
                return

    @property
    def _complete(self) -> bool:
        return all(s.came for s in self.samples.values())

    def _collector(self) -> Collector:
        origin = Origin(self.name, 0, Clock(), self.directory)
        collector = registry.collector(origin, self.connection, self.devices, self.ids, self.counters)
        collector.resume([], np.full(len(self.ids), NEVER, np.int64))
        return collector

    async def _read(self, collector: Collector, progress: Callable[[], None]) -> None:
        async with collector, aclosing(collector.batches()) as batches:
            async for batch in batches:
                if any([self._take(batch), self._overhear(collector)]):
                    progress()
                if self._complete:
                    return

    def _take(self, batch: Batch) -> bool:
        """Keep the first value of each point, and the last cause of each gap."""
        gaps = {self.ids[gap_key(d.asset_name, d.name)]: d.key for d in self.devices}
        news = False
        for series, value, quality in zip(
            batch.series.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True
        ):
            if series in gaps:
                self._gaps[gaps[series]] = Gap(int(value))
            elif (one := self._of_series.get(series)) is not None and one.failed:
                news = True
                one.after_s = time.monotonic() - self._began
                one.value, one.quality = one.point.in_unit(value), quality
                low, high = one.point.valid or (-math.inf, math.inf)
                if not low <= one.value <= high:
                    one.quality |= BAD | RANGE
        return news

    def _overhear(self, collector: Collector) -> bool:
        """Note the raw bytes of what came, and texts, which are no series."""
        news = False
        for device in self.devices:
            wanting = [s for s in self.samples.values() if s.device is device and not s.raw]
            heard = collector.heard(device.key) if wanting else []
            for one in wanting:
                one.raw, text, one.took_s = raw_of(one.device, one.name, heard)
                if text and not one.text:
                    one.text, one.after_s, news = text, time.monotonic() - self._began, True
        return news

    def _explain(self, why: str, deadline_s: float) -> None:
        for one in self.samples.values():
            if not one.failed:
                continue
            if one.came:
                one.why = "the device says it has no value" if math.isnan(one.value) else _of_range(one)
                continue
            gap = self._gaps.get(one.device.key, Gap.NONE)
            words = self.counters.links.get(one.device.key) or why or self.counters.last_error
            one.why = self._lasting(words) or (gap.name.lower() if gap else f"nothing came within {deadline_s:g} s")

    def _lasting(self, words: str) -> str:
        """Return words that name the gateway's directory, not the one that goes away with what a server showed."""
        if str(self.directory) not in words:
            return words
        return f"{words.replace(str(self.directory), str(self.data))} (tanflow certs check keeps what it shows)"


def _of_range(one: Sample) -> str:
    if one.quality & RANGE and one.point.valid:
        return f"outside valid: [{one.point.valid[0]:g}, {one.point.valid[1]:g}]"
    return "the device says the value is bad"


def _quiet(connection: Connection) -> Connection:
    """Return a connection that leaves no trace: of a broker's client another name, no session, nothing published."""
    if not isinstance(connection, Broker):
        return connection
    changed: dict[str, Any] = {"client_id": f"{connection.client_id[:40]}-check-{os.getpid()}"}
    fields = type(connection).model_fields
    silent = {"session_expiry_s": 0, "share": None, "publish_state": False, "request_rebirth": False}
    return connection.model_copy(update=changed | {name: v for name, v in silent.items() if name in fields})


def _unshared(device: BoundDevice) -> BoundDevice:
    """Return a device that takes no message of a shared subscription away from the gateway."""
    points = {name: _own_topic(point) for name, point in device.points.items()}
    address = _unshare(device.device.address)
    if address == device.device.address and points == device.points:
        return device
    return replace(device, device=device.device.model_copy(update={"address": address}), points=points)


def _own_topic(point: Point) -> Point:
    if point.mqtt is None or not (point.mqtt.topic or "").startswith(_SHARED):
        return point
    topic = _unshare(point.mqtt.topic or "")
    return point.model_copy(update={"mqtt": point.mqtt.model_copy(update={"topic": topic})})


def _unshare(topic: str) -> str:
    return topic.split("/", 2)[2] if topic.startswith(_SHARED) and topic.count("/") > 1 else topic


@contextmanager
def _own_directory(data: Path) -> Iterator[Path]:
    """Yield a directory that goes away, with a copy of the gateway's certificates: it is they that servers trust."""
    with tempfile.TemporaryDirectory(prefix="tanflow-check-") as folder:
        certificates = data / "certs"
        try:
            if certificates.is_dir():
                shutil.copytree(certificates, Path(folder) / "certs")
        except (OSError, shutil.Error) as error:
            raise GatewayError(f"{certificates} cannot be read; run this as the gateway's user: {error}") from None
        yield Path(folder)


@contextmanager
def _silent_log() -> Iterator[None]:
    """Keep collectors from telling as it happens what the table says in the end."""
    logger = logging.getLogger("tanflow")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
