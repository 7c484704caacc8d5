"""A value of the log, as it is kept → what a display would show of it: in the point's unit, before transformers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from config.bindings import bind, series_key
from config.errors import Rejected
from config.load import Loaded
from config.points import Point
from config.quantities import conversion
from pipeline.batch import INPUT
from pipeline.compile import compile_plan
from pipeline.log.log import LogReader
from pipeline.quality import BAD
from pipeline.series import SeriesTable
from pipeline.spec import Kind
from tanflow.commissioning.records import Seen

_POSITIONS = 5_000  # of the log that are looked through, some twenty minutes


def displayed(table: SeriesTable, series: int, point: Point, value: float, at_ns: int) -> float:
    """Return a canonical value in the unit of its point, and as the device shows it: without a meter's CT and PT."""
    scale, offset = conversion(point.unit, point.quantity)
    ratio = 1.0
    if table.ratios is not None and table.kind[series] == Kind.GAUGE:
        ratio = float(table.ratios.at(np.array([series]), np.array([at_ns]))[0])
    return (value / ratio - offset) / scale


def newest_in_log(loaded: Loaded, data: Path, asset: str, name: str, point: Point) -> Seen:
    """Return the newest good value of a point a gateway has accepted; raises Rejected where there is none."""
    key = series_key(asset, name, point.quantity)
    reader = LogReader(data)
    try:
        ids = {k: int(i) for i, k in reader.query("SELECT id, key FROM series WHERE key = ?", (key,))}
        seen = _newest(reader, ids[key]) if key in ids else None
    finally:
        reader.close()
    if seen is None:
        raise Rejected(f"the gateway has read no good value of {asset}.{name} lately; tanflow status says how it is")
    plan = compile_plan(loaded.gateway, list(bind(loaded.gateway, loaded.templates)), loaded.path.parent)
    numbered = {spec.key: number for number, spec in enumerate(plan.specs)}
    table = SeriesTable(0, plan.specs, numbered, plan.factors)
    return Seen(displayed(table, numbered[key], point, seen.value, seen.at_ns), seen.at_ns)


def _newest(reader: LogReader, series: int) -> Seen | None:
    found: Seen | None = None
    position = max(0, reader.last_position() - _POSITIONS)
    while windows := reader.read(position):
        position = windows[-1].position
        for batch in (b for w in windows for b in w.batches if b.header.stratum == INPUT):
            mine = np.flatnonzero((batch.series == series) & (batch.quality & BAD == 0))
            if len(mine) and math.isfinite(value := float(batch.value[mine[-1]])):
                found = Seen(value, int(batch.time_ns[mine[-1]]))
    return found
