"""A sink on a real InfluxDB, what is written to it and what it stored of that."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from config.model import InfluxSink as Config
from pipeline.batch import Batch, Header, make
from pipeline.counters import Counters
from pipeline.series import SeriesTable
from pipeline.spec import Like, Spec
from sinks.influxdb import InfluxSink
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd

HEADER = Header("floor", 1, "boot", 0, 0)
NOW_NS = time.time_ns() // 10**9 * 10**9
TOKEN = "a-token"


def spec(asset: str, field: str, measurement: str = "energy") -> Spec:
    key = f"{asset}.{field}.power"
    return Spec(key, (("asset", asset), ("site", "plant")), Like("floor", "power", "kW", 0, measurement, field))


ASSETS, FIELDS = 8, 6
SPECS = [spec(f"m{a}", f"f{f}_kw") for a in range(ASSETS) for f in range(FIELDS)]
PLANT = SeriesTable(1, SPECS, {s.key: i for i, s in enumerate(SPECS)}, {})


def readings(instants: int = 1, quality: npt.ArrayLike = 0) -> Batch:
    """Return `instants` values of every series, one a second up to now."""
    n = len(SPECS)
    rng = np.random.default_rng(5)
    time_ns = np.repeat(NOW_NS - np.arange(instants) * 10**9, n)
    return make(HEADER, time_ns, np.tile(np.arange(n), instants), rng.normal(100, 30, n * instants), quality)


@dataclass
class Store:
    """A sink and the way to look at what it stored."""

    influx: Influxd
    config: Config
    front: Influx2Front | None = None
    counters: Counters = field(default_factory=Counters)

    def sink(self, **changes: Any) -> InfluxSink:
        return InfluxSink("plant-db", self.config.model_copy(update=changes), PLANT, self.counters)

    def stored(self) -> dict[tuple[str, str, int], float]:
        """Return (asset, field, time) → value of everything in the database, qualities included."""
        rows = self.influx.query("plant", "SELECT * FROM energy")
        names = {"time", "asset", "site"}
        return {
            (row["asset"], field, row["time"]): value
            for row in rows
            for field, value in row.items()
            if field not in names and value is not None
        }


def expected(batch: Batch, without: Collection[int] = ()) -> dict[tuple[str, str, int], float]:
    rows: dict[tuple[str, str, int], float] = {}
    for row in range(len(batch)):
        if row in without:
            continue
        s, time_ns = PLANT.spec(int(batch.series[row])), int(batch.time_ns[row])
        rows[s.tags[0][1], s.like.field, time_ns] = float(batch.value[row])
        if batch.quality[row]:
            rows[s.tags[0][1], s.like.field + "_q", time_ns] = int(batch.quality[row])
    return rows


def v2(url: str, **more: Any) -> Config:
    content = {"type": "influxdb", "api": "v2", "url": url, "org": "works", "bucket": "plant"}
    return Config.model_validate(content | {"token": {"env": "INFLUX_TOKEN"}} | more)
