"""Plans and rows for windows, and what comes out of them as plain rows, the state going through JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from config.formula import parse
from config.formula_plan import Amount, AmountOf, Apply, Expression, Level, Meaning, Over
from config.formula_units import check
from pipeline.batch import WINDOW, Batch, Header, make
from pipeline.calendar import Calendar
from pipeline.figures import Kpi
from pipeline.kpi import Windows
from tests.pipeline.tables import HEADER, HOUR, SECOND, START

GAS, POWER, MASS, TICK, INTENSITY, COMPLETENESS, OTHER, LEVEL, FLOW, GRADE = range(10)
IDS = {"gas": GAS, "power": POWER, "mass": MASS, "level": LEVEL, "flow": FLOW}
NAMES = {INTENSITY: "kWh/t", COMPLETENESS: "share", GRADE: "grade"}
OUT = Header("w", 1, "boot", START, 0, WINDOW)
MINUTE = 60 * SECOND
QUARTER = 15 * MINUTE
LENGTHS = {15 * MINUTE: "15min", 30 * MINUTE: "30min", HOUR: "60min"}
Row = tuple[str, int, float, int]  # which, end, value, quality


def calendar(
    zone: str = "UTC", length_ns: int = HOUR, shifts: Sequence[tuple[time, time]] = (), every: str = ""
) -> Calendar:
    return Calendar(ZoneInfo(zone), every or LENGTHS[length_ns], tuple(shifts), "shifts" if shifts else "always")


def intensity_of(energy: Sequence[str]) -> Expression:
    """Return the plan of kWh per tonne: (e1 + e2 …) / mass."""
    total: Expression = Over("sum", AmountOf(energy[0]))
    for one in energy[1:]:
        total = Apply("+", (total, Over("sum", AmountOf(one))))
    return Apply("/", (total, Over("sum", AmountOf("mass"))))


def figure(plan: Expression, grace_ns: int = 30 * SECOND, keep_ns: int = 26 * HOUR, **known: Any) -> Kpi:
    more = {name: known.pop(name) for name in ("sane", "limits", "grade") if name in known}
    return Kpi("a.w", plan, calendar(**known), grace_ns, keep_ns, INTENSITY, COMPLETENESS, **more)


def stage(energy: Sequence[int] = (GAS,), **known: Any) -> Windows:
    names = {number: name for name, number in IDS.items()}
    return Windows([figure(intensity_of([names[e] for e in energy]), **known)], IDS, TICK)


def amount(series: int, end_ns: int, span_ns: int, value: float, quality: int = 0) -> Batch:
    return make(HEADER, end_ns, [series], value, quality, span_ns)


def tick(at_ns: int) -> Batch:
    return make(HEADER, at_ns, [TICK], 0.0)


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state as it is after it has been on disk."""
    stored: dict[str, Any] = orjson.loads(orjson.dumps(state, option=orjson.OPT_SERIALIZE_NUMPY))
    return stored


def rows(windows: Windows, *batches: Batch, state: dict[str, Any] | None = None) -> list[Row]:
    """Return everything that comes out, the state going through JSON after every batch as it does on disk."""
    state, found = state or {}, list[Row]()
    for batch in batches:
        state, out = windows.fold(state, batch, OUT)
        state = through_json(state)
        columns = (out.series.tolist(), out.time_ns.tolist(), out.value.tolist(), out.quality.tolist())
        found += [(NAMES[s], t, v, quality) for s, t, v, quality in zip(*columns, strict=True)]
    return found


PLACES: dict[str, Meaning] = {
    "level": Level("level", "kW", 5 * MINUTE),
    "flow": Level("flow", "m3/h", 5 * MINUTE),
    "mass": Amount("mass", "t"),
    "gas": Amount("gas", "kWh"),
}


def formula(text: str, unit: str, **known: Any) -> Windows:
    return Windows([figure(check(parse(text), PLACES.__getitem__, unit), **known)], IDS, TICK)
