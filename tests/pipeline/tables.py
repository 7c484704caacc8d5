"""Small series tables and batches for tests of the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.batch import Batch, Header, make
from pipeline.factors import FactorTimeline, Provenance
from pipeline.series import SeriesTable
from pipeline.spec import Kind, Like, Spec

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
START = 1_514_764_800 * SECOND  # 2018-01-01T00:00:00Z
HEADER = Header("m", 1, "boot", START, 0)
SOMEONE = Provenance("someone", "a table", 2018, "2019-01-01", "co2", "a test")


def spec(key: str, kind: Kind = Kind.GAUGE, **known: Any) -> Spec:
    """Return a spec with the fields a test does not care for filled in."""
    quantity = key.rsplit(".", 1)[1]
    own = {name: known.pop(name) for name in ("amount", "products") if name in known}
    fields: dict[str, Any] = {
        "connection": "m",
        "quantity": quantity,
        "unit": "kWh",
        "measurement": "energy",
        "field": quantity,
    }
    like = Like(kind=kind, **(fields | known))
    return Spec(key, (("asset", key.split(".")[0]),), like, **own)


def timeline(steps: Sequence[tuple[int, float]], name: str = "grid") -> FactorTimeline:
    """Return a timeline of (start, kg per unit) steps."""
    return FactorTimeline(
        name,
        "kg/kWh",
        np.array([s for s, _ in steps], np.int64),
        np.array([v for _, v in steps]),
        tuple(SOMEONE for _ in steps),
    )


def meter_table(factor: FactorTimeline | None = None, **known: Any) -> SeriesTable:
    """Return a table of one counter `a.e.energy_index` (0), its amounts (1), their kg CO₂e (2) and a gauge (3, 4)."""
    factors = {"grid": factor or timeline([(0, 0.5)])}
    specs = [
        spec("a.e.energy_index", Kind.COUNTER, amount="a.e.energy", **known),
        spec("a.e.energy", Kind.DELTA, stratum=1, products=(("a.e.co2e", "grid"),)),
        spec("a.e.co2e", Kind.DELTA, stratum=1, measurement="emissions"),
        spec("a.p.power", Kind.GAUGE, amount="a.p.energy", max_hold_ns=300 * SECOND),
        spec("a.p.energy", Kind.DELTA, stratum=1),
    ]
    return SeriesTable(1, specs, {s.key: i for i, s in enumerate(specs)}, factors)


def readings(times_s: Sequence[float], values: Sequence[float], series: int = 0, quality: int = 0) -> Batch:
    """Return a batch of one series, times in seconds after START."""
    return make(HEADER, [START + round(t * SECOND) for t in times_s], [series] * len(values), values, quality)
