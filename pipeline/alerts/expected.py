"""What a figure was → what is expected of it: the like hours of the last weeks, or a line over what explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import median
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.baseline import LEAST_INTERVALS, LEAST_R2, Baseline, fit
from pipeline.clock import SECOND_NS
from pipeline.consume import State

HOUR_NS: Final = 3_600 * SECOND_NS
DAY_NS: Final = 24 * HOUR_NS
LEAST_LIKE: Final = 3  # like values, before anything is judged
_UNLEARNED_DAYS: Final = 14  # so long what deviates is a fault; then it is how things are
# Times the median absolute deviation: 3 σ where values are normally distributed (1.4826 = 1 / Φ⁻¹(3/4)).
WIDTH: Final = 3 * 1.4826
_SLOTS: Final = {"15min": 96, "30min": 48, "60min": 24, "shift": 96}  # of a day; all others: one
_MOST_SAMPLES: Final = 1_000  # of a line that is being learned; beyond it every other one is given up
_DIGITS: Final = 5


# ── like days ─────────────────────────────────────────────────────────────────────────────────────


class Like(NamedTuple):
    """What like windows were: their median, and WIDTH times the median distance from it [unit]."""

    median: float
    width: float


@dataclass(frozen=True, slots=True)
class LikeDays:
    """What a figure was at the same local time on work days, Saturdays or Sundays of the last `learn_days`.

    State: {"days": [[ordinal of the local day, [a value of each slot, None where there is none]]], "apart": {slot: [the
    first day of an unbroken run of like days that deviated, the last one]}}; at most `learn_days` days.
    """

    zone: ZoneInfo
    every: str
    learn_days: int

    def place(self, end_ns: int, span_ns: int) -> tuple[int, int]:
        """Return the local day a window begins on, and its slot there."""
        local = datetime.fromtimestamp((end_ns - span_ns) // SECOND_NS, UTC).astimezone(self.zone)
        slots = _SLOTS.get(self.every, 1)
        return local.date().toordinal(), (local.hour * 60 + local.minute) * slots // 1_440

    def like(self, state: State, day: int, slot: int) -> Like | None:
        """Return what is expected of a slot of a day by earlier like days; None below three of them."""
        kind = _kind(day)
        values = [v[slot] for d, v in state.get("days", ()) if self._counts(d, day) and _kind(d) == kind]
        known = [value for value in values if value is not None]
        if len(known) < LEAST_LIKE:
            return None
        middle = median(known)
        return Like(middle, WIDTH * median(abs(value - middle) for value in known))

    def _counts(self, earlier: int, day: int) -> bool:
        return 0 < day - earlier <= self.learn_days

    def learned(self, state: State, day: int, slot: int, value: float, deviates: bool) -> State:
        """Return the state with a value.

        One that deviates is not learned, or it would hide itself, but for two times: before two weeks are known (the
        first days may be holidays), and after 14 days of it.
        """
        key, apart = f"{_kind(day)}-{slot}", dict(state.get("apart", {}))
        first, last = apart.pop(key, (day, day))
        unbroken = day - last <= self.learn_days
        if deviates:
            first = first if unbroken else day
            apart[key] = [first, day]
        hides = deviates and day - first < _UNLEARNED_DAYS and self._established(state, day, slot)
        taken = None if hides else _short(value)
        days = {d: v for d, v in state.get("days", ()) if self._counts(d, day) or d == day}
        mine = list(days.get(day, [None] * _SLOTS.get(self.every, 1)))
        mine[slot] = taken
        return {"days": [[d, v] for d, v in sorted((days | {day: mine}).items())], "apart": apart}

    def _established(self, state: State, day: int, slot: int) -> bool:
        """Return whether like values are known that are older than two weeks, or as old as any may be."""
        least = min(_UNLEARNED_DAYS, self.learn_days - 7)
        like = (d for d, v in state.get("days", ()) if _kind(d) == _kind(day) and v[slot] is not None)
        return any(day - d >= least for d in like)

    def say(self, state: State) -> str:
        """Return what is known so far, for a person."""
        days = [d for d, values in state.get("days", ()) if any(v is not None for v in values)]
        kinds = [sum(_kind(d) == kind for d in days) for kind in range(3)]
        said = f"{kinds[0]} work days, {kinds[1]} Saturdays, {kinds[2]} Sundays known"
        return said if min(kinds) >= LEAST_LIKE else f"{said}; needs {LEAST_LIKE} like days"


def kind_of(day: date) -> int:
    """Return 0 for a work day, 1 for a Saturday, 2 for a Sunday."""
    return max(0, day.weekday() - 4)


def _kind(day: int) -> int:
    return kind_of(date.fromordinal(day))


def _short(value: float) -> float:
    """Return a value as it is kept: the state of many alerts is stored with every row of theirs."""
    return float(f"{value:.{_DIGITS}g}")


# ── a line over a driver ──────────────────────────────────────────────────────────────────────────


class Line(NamedTuple):
    """energy = idle_kw · hours + per_unit · product [kWh]."""

    idle_kw: float
    per_unit: float

    def energy(self, product: float, hours: float) -> float:
        """Return the energy a production explains [kWh]."""
        return self.idle_kw * hours + self.per_unit * product


@dataclass(frozen=True, slots=True)
class Learner:
    """The line fitted over the first `learn_days`, then frozen.

    Where production does not explain the energy (R² below 0.75) and it scatters by more than a third of what the rule
    allows, nothing would be judged but noise: then learning goes on. State: {"begun": ns, "samples": [[end, kWh,
    product, h]]}, then {"line": [idle_kw, per_unit, R², intervals]}.
    """

    learn_days: int
    allowed: float  # share of the expected energy that is no deviation yet

    def line(self, state: State) -> Line | None:
        """Return the line; None while it is being learned."""
        return Line(*state["line"][:2]) if "line" in state else None

    def learned(self, state: State, end_ns: int, energy: float, product: float, hours: float) -> State:
        """Return the state with one window more; a window told again replaces what it said before."""
        if "line" in state:
            return state
        sample = [end_ns, _short(energy), _short(product), hours]
        samples = [*(s for s in state.get("samples", ()) if s[0] != end_ns), sample]
        begun = state.get("begun", end_ns)
        if end_ns - begun >= self.learn_days * DAY_NS and (found := self._fitted(samples)):
            return {"line": found}
        return {"begun": begun, "samples": samples if len(samples) <= _MOST_SAMPLES else samples[1::2]}

    def _fitted(self, samples: list[list[float]]) -> list[float] | None:
        _, energy, product, hours = np.array(samples).T
        try:
            found = fit(energy, product, hours)
        except ValueError:
            return None
        idle, slope = _sensible(found, energy, product)
        scatter = 3 * float(np.std(energy - idle * hours - slope * product)) / max(float(energy.mean()), 1e-9)
        if slope <= 0 or (found.r2 < LEAST_R2 and scatter > self.allowed):
            return None
        return [_short(idle), _short(slope), round(found.r2, 3), found.count]

    def say(self, state: State) -> str:
        """Return what is known so far, for a person."""
        if "line" in state:
            idle, slope, r2, count = state["line"]
            return f"learned: {idle:g} kW · h + {slope:g} · product, R² {r2:g}, {count} windows"
        samples = state.get("samples", ())
        days = (samples[-1][0] - state["begun"]) / DAY_NS if samples else 0.0
        if days < self.learn_days or len(samples) < LEAST_INTERVALS:
            return f"learning: {days:.1f} of {self.learn_days} days, {len(samples)} windows"
        return f"learning: {days:.1f} days and production does not explain the energy yet"


def _sensible(found: Baseline, energy: Any, product: Any) -> tuple[float, float]:
    """Return idle and slope; a negative idle is chance, so the line goes through zero then."""
    if found.idle_kw >= 0:
        return found.idle_kw, found.slope_kwh
    return 0.0, float(energy @ product) / float(product @ product)


def power_of(unit: str, value: float, span_ns: int) -> float:
    """Return an amount or a power in kW; NaN for what is neither."""
    return {"kW": value, "kWh": value * HOUR_NS / max(span_ns, 1)}.get(unit, float("nan"))


def learned_of(states: Mapping[str, Any], kind: str, key: str) -> State:
    """Return what the stage's state says an alert has learned."""
    learned: State = states.get(kind, {}).get(key, {}).get("learned", {})
    return learned
