"""The gateway's own rows: a tick every second, so that silence is visible; its counters every ten, and at the end."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from config.bindings import series_key
from pipeline.batch import Batch, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Board
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from pipeline.quality import CLOCK, UNCERTAIN

GATEWAY: Final = "gateway"
TICK_KEY: Final = series_key(GATEWAY, "tick", "tick")
HEALTH: Final = (
    "received",
    "bad",
    "committed",
    "delivered",
    "rejected",
    "retried",
    "restarts",
    "backlog",
    "lag_s",
    "down",
)
OF_CONNECTION: Final = ("missed", "latency_s")  # of collectors besides; a latency that is not known makes no row
FREE_KEY: Final = series_key(GATEWAY, "disk-free_mb", "health")  # of the disk the log is on
_LEAST_S: Final = 0.25  # on the wall, however fast the gateway's clock runs
_HEALTH_TICKS: Final = 10
_MEGABYTE: Final = 1_000_000


def health_key(component: str, counter: str) -> str:
    """Return the key of a counter's series, e.g. `gateway.sink-plant-db-delivered.health`."""
    return series_key(GATEWAY, f"{component.replace('.', '-')}-{counter}", "health")


def health_counters(component: str) -> tuple[str, ...]:
    """Return the counters of a component that are rows."""
    return HEALTH + OF_CONNECTION if component.startswith("collector.") else HEALTH


@dataclass(slots=True)
class Heartbeat:
    """Appends ticks and health rows; `ids` maps keys to series ids."""

    log: Log
    clock: Clock
    board: Board
    revision: int
    ids: Mapping[str, int]
    components: tuple[str, ...]
    ticks: int = 0

    async def run(self) -> None:
        """Tick for ever."""
        period = max(1.0, _LEAST_S * self.clock.speed)
        while True:
            await self.beat()
            await self.clock.sleep(period - self.clock.monotonic_ns() / SECOND_NS % period)

    async def beat(self, *, counters: bool = False) -> None:
        """Append one tick now, with the counters where it is their turn or they are asked for."""
        await self.log.append(Entry([self._rows(counters or self.ticks % _HEALTH_TICKS == 0)]))
        self.ticks += 1

    def _rows(self, counted: bool) -> Batch:
        clock = self.clock
        header = Header(GATEWAY, self.revision, clock.boot, clock.now_ns(), clock.monotonic_ns())
        series, values = [self.ids[TICK_KEY]], [float(self.ticks)]
        if counted:
            for component in self.components:
                counters = self.board.component(component)
                known = {c: value for c in health_counters(component) if (value := getattr(counters, c)) is not None}
                series += [self.ids[health_key(component, c)] for c in known]
                values += map(float, known.values())
            series.append(self.ids[FREE_KEY])
            values.append(shutil.disk_usage(self.log.directory).free / _MEGABYTE)
        quality = 0 if clock.trusted else CLOCK | UNCERTAIN
        return make(header, header.received_ns, series, values, quality)
