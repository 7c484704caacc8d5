"""Steps of grid intensity as providers say them, and what all of them are held to before one is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import orjson

from carbon.live.json_paths import iso
from pipeline import quality as q
from pipeline.batch import Reject

Grade = Literal["actual", "estimated", "forecast"]
WORSE: Final[tuple[Grade, ...]] = ("actual", "estimated", "forecast")
QUALITY: Final[dict[Grade, int]] = {
    "actual": q.GOOD,
    "estimated": q.UNCERTAIN | q.QUANTITY_ESTIMATED,
    "forecast": q.UNCERTAIN | q.FACTOR_FALLBACK,
}
HIGHEST: Final = 2.0  # kg/kWh: above the dirtiest grid there is
HOUR_NS: Final = 3_600 * 1_000_000_000
_HORIZON_NS: Final = 96 * HOUR_NS  # nobody forecasts further


@dataclass(frozen=True, slots=True)
class Step:
    """What a provider says of [start, start + span) [kg CO₂(e)/kWh]."""

    start_ns: int
    span_ns: int
    kg_per_kwh: float
    grade: Grade


def grade_of(quality: int) -> Grade:
    """Return the grade a row's quality stands for."""
    if quality & q.FACTOR_FALLBACK:
        return "forecast"
    return "estimated" if quality & q.QUANTITY_ESTIMATED else "actual"


def vet(
    said: Sequence[Step | Reject], step_ns: int, asked_ns: tuple[int, int], now_ns: int
) -> tuple[list[Step], list[Reject]]:
    """Return (steps that may be used, what must not be) of an answer to a request for [start, end).

    Used are whole steps of the provider's length that are over by now and were asked for; steps not over yet, and
    those before what was asked, are passed over. Refused are values no grid has, steps of another length or off the
    quarter hour (or their own length, where that is shorter), beyond any forecast, and those that overlap another.
    """
    steps, rejects = [], []
    for one in said:
        wrong = one if isinstance(one, Reject) else _mistake(one, step_ns, now_ns)
        if isinstance(wrong, Reject):
            rejects.append(wrong)
        elif isinstance(one, Step) and one.start_ns >= asked_ns[0] and one.start_ns + one.span_ns <= now_ns:
            steps.append(one)
    ordered = sorted(set(steps), key=lambda s: (s.start_ns, s.kg_per_kwh))
    clash = {s for a, b in pairwise(ordered) if b.start_ns < a.start_ns + a.span_ns for s in (a, b)}
    rejects += [_refused(s, "overlaps another step of the same answer") for s in ordered if s in clash]
    return [s for s in ordered if s not in clash], rejects


def _mistake(step: Step, step_ns: int, now_ns: int) -> Reject | None:
    if not 0 <= step.kg_per_kwh <= HIGHEST:
        return _refused(step, f"{step.kg_per_kwh:g} kg/kWh is not a grid's intensity; is the unit right?")
    if step.span_ns != step_ns:
        return _refused(step, f"lasts {step.span_ns / 60e9:g} min, not {step_ns / 60e9:g} min")
    if step.start_ns % min(step_ns, HOUR_NS // 4):
        return _refused(step, "begins off the quarter hour")
    if step.start_ns > now_ns + _HORIZON_NS:
        return _refused(step, "lies further ahead than anybody forecasts")
    return None


def _refused(step: Step, reason: str) -> Reject:
    raw = {"start": iso(step.start_ns), "span_s": step.span_ns / 1e9, "kg_per_kwh": step.kg_per_kwh}
    return Reject(iso(step.start_ns), reason, orjson.dumps(raw | {"grade": step.grade}))
