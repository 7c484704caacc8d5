"""The log's last readings → flow and power of a station and its members as they are now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from config.bindings import bind, series_key
from config.kpis import points_of
from config.load import Loaded
from config.vocabulary import Vocabulary
from pipeline.latest import Latest
from pipeline.log.log import LogReader
from pipeline.quality import BAD, SEVERITY

_LOOK_BACK: Final = 2_000  # commits: some eight minutes at the usual four a second
_CHUNK_ROWS: Final = 50_000
_MINUTES: Final = 60.0  # in an hour: flows are kept in m³/h

Reading = Callable[[str, str], float | None]  # asset and role → its last sound value in the unit it is kept in


@dataclass(frozen=True, slots=True)
class Now:
    """Flow [m³/min] of the station, and flow and power [kW] of each member that shows both; when [ns], 0: never."""

    flow: float | None
    members: Mapping[str, tuple[float, float]]
    time_ns: int


def now(loaded: Loaded, folder: Path, station: str) -> Now:
    """Return what a station does now: its own flow meter's reading, else the sum of its members' where all have one.

    A reading older than its asset's `max_hold_s` before the newest one of the log counts for nothing.
    """
    words = Vocabulary.of(loaded.gateway, points_of(list(bind(loaded.gateway, loaded.templates))))
    last, newest_ns = _reading(words, folder)
    members = words.assets[station].members
    flows = {m: last(m, "flow") for m in members}
    powers = {m: last(m, "power") for m in members}
    both = {m: (f / _MINUTES, p) for m in members if (f := flows[m]) is not None and (p := powers[m]) is not None}
    total = last(station, "flow")
    if total is None and None not in flows.values():
        total = sum(f for f in flows.values() if f is not None)
    return Now(None if total is None else total / _MINUTES, both, newest_ns)


def _reading(words: Vocabulary, folder: Path) -> tuple[Reading, int]:
    if not (folder / "log.db").exists():
        return (lambda asset, role: None), 0
    reader = LogReader(folder)
    try:
        ids: dict[str, int] = {key: number for number, key in reader.query("SELECT id, key FROM series")}
        latest = Latest(max(ids.values(), default=0) + 1)
        position = max(0, reader.last_position() - _LOOK_BACK)
        while windows := reader.read(position, _CHUNK_ROWS):
            position = windows[-1].position
            for batch in (b for w in windows for b in w.batches):
                latest.take(batch)
    finally:
        reader.close()
    newest_ns = int(latest.time_ns.max())

    def last(asset: str, role: str) -> float | None:
        point = words.point_of(asset, role)
        quantity = words.points[asset][point].quantity if point else ""
        number = ids.get(series_key(asset, point, quantity)) if point else None
        if number is None or (int(latest.quality[number]) & SEVERITY) == BAD or np.isnan(latest.value[number]):
            return None
        old = newest_ns - int(latest.time_ns[number]) > words.assets[asset].max_hold_s * 1e9
        return None if old else float(latest.value[number])

    return last, newest_ns
