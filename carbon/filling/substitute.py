"""A stream with a hole, and what else is known → the hole filled, by the first step of a stated ladder that applies.

counter → parent less siblings → check meter → regression on a driver → like windows → rated power. Every step errs to
the side that cannot flatter: what is consumed or emitted is filled high, what is made on site or given away is filled
low. A step that does not apply says why, and that is kept beside the one that did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from carbon.entries import MICRO, Activity, Integers
from carbon.filling.like_windows import like_windows
from carbon.filling.regression import fit, paired_windows
from carbon.filling.stretch import Direction, Hole, Stretch, spread
from pipeline import quality as q

Method = Literal["counter", "parent_less_siblings", "check_meter", "regression", "like_windows", "rated_power"]
CONFIDENCE: Final = 0.95  # of every bound: so often the truth may be expected not to lie beyond it
MIN_POINTS: Final = 12  # of a regression
MIN_R2: Final = 0.75
CHECK_AGREES: Final = 0.05  # how far what stands in for a meter may lie from it over the time both measured
HOUR_NS: Final = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step makes of a hole: `amounts` int64[L] [1e-6 unit] for its intervals, None where it does not apply."""

    method: Method
    amounts: Integers | None
    reason: str  # how it was reached, or why the step does not apply


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known beside the stream itself; every stretch lies on the stream's own grid of intervals."""

    counted: int | None = None  # what a counter says went through in the hole [1e-6 unit]
    parent: Stretch | None = None
    siblings: tuple[Stretch, ...] = ()
    no_parent: str = "no meter above it counts the same"
    check: Stretch | None = None  # a second meter of the same flow
    driver: Stretch | None = None  # what the stream depends on: product, degree days
    like: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # starts of like windows
    rated_kw: float | None = None
    running: npt.NDArray[np.float64] | None = None  # share of each interval of the hole it ran; unknown: all of it


@dataclass(frozen=True, slots=True)
class Filling:
    """A filled hole: by which step, why it, and what the steps before it said."""

    method: Method
    amounts: Integers
    reason: str


def substitute(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction = "up") -> Filling | str:
    """Return the hole filled by the first step that applies, or in words why none does."""
    refused: list[str] = []
    for step in STEPS:
        outcome = step(stretch, hole, evidence, direction)
        if outcome.amounts is not None:
            reason = outcome.reason + (f" (not {'; not '.join(refused)})" if refused else "")
            return Filling(outcome.method, outcome.amounts, reason)
        refused.append(f"{outcome.method.replace('_', ' ')}: {outcome.reason}")
    return "; ".join(refused)


def fill(rows: Activity, amounts: Integers) -> Activity:
    """Return the activities of a hole with what they lack added; what was measured stays, coverage too."""
    flagged = q.worsen(rows.quality | np.uint16(q.SUBSTITUTED | q.QUANTITY_ESTIMATED), q.UNCERTAIN)
    return replace(rows, amount=rows.amount + amounts, substituted=rows.substituted + amounts, quality=flagged)


# ── the steps, in the order of the ladder ─────────────────────────────────────────────────────────


def by_counter(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return what a counter says of the hole, evenly over it: the amount is measured, only its course is not."""
    if evidence.counted is None:
        return Outcome("counter", None, "no readings on both sides of the gap")
    if evidence.counted < 0:
        return Outcome("counter", None, f"it would run backwards by {-evidence.counted / MICRO:g} {stretch.unit}")
    return Outcome("counter", spread(evidence.counted, hole.missing), "difference of two readings of the counter")


def by_balance(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return parent − Σ siblings, where that has been what the meter showed: else somebody takes what nobody meters."""
    if evidence.parent is None:
        return Outcome("parent_less_siblings", None, evidence.no_parent)
    rest, missing = evidence.parent.amount, evidence.parent.missing
    for sibling in evidence.siblings:
        rest, missing = rest - sibling.amount, np.maximum(missing, sibling.missing)
    below = f" less {len(evidence.siblings)} siblings" if evidence.siblings else ""
    other = Stretch(rest, missing, stretch.interval_ns, stretch.unit)
    return _by_other("parent_less_siblings", f"the meter above{below}", other, stretch, hole, direction)


def by_check_meter(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return what a second meter of the same flow shows."""
    if evidence.check is None:
        return Outcome("check_meter", None, "there is none")
    return _by_other("check_meter", "the check meter", evidence.check, stretch, hole, direction)


def _by_other(method: Method, name: str, other: Stretch, stretch: Stretch, hole: Hole, direction: Direction) -> Outcome:
    """Return other − measured, × meter / other over the time both measured where that errs safely."""
    if not _whole(other, hole):
        return Outcome(method, None, f"{name} has a gap there too")
    common = (stretch.missing == 0) & (other.missing == 0)
    common[hole.rows] = False
    own, its = int(stretch.amount[common].sum()), int(other.amount[common].sum())
    if common.sum() < len(hole.missing) or own <= 0:
        return Outcome(method, None, f"{name} and the meter have not measured together for as long as the gap is")
    if abs(its / own - 1) > CHECK_AGREES:
        return Outcome(method, None, f"{name} has shown {its / own:.3f} of the meter, which is not the same flow")
    ratio = max(own / its, 1.0) if direction == "up" else min(own / its, 1.0)
    course = np.where(hole.missing > 0, other.amount[hole.rows] * ratio - stretch.amount[hole.rows], 0.0)
    total = _safe(float(course.sum()), direction)
    if total < 0:
        return Outcome(method, None, f"{name} shows less than what was measured")
    # Single intervals may be negative by rounding and phase.
    return Outcome(method, spread(total, np.maximum(course, 0)), f"{name} × {ratio:.4f}")


def by_driver(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return the prediction bound of a straight line through (driver, amount) of windows as long as the hole.

    The windows lie end to end, and both have measured them. Never outside of what the driver has been in them.
    """
    method: Method = "regression"
    if evidence.driver is None:
        return Outcome(method, None, "no driver is named")
    if not _whole(evidence.driver, hole):
        return Outcome(method, None, "the driver has a gap there too")
    x, y = paired_windows(stretch, evidence.driver, hole)
    if len(x) < MIN_POINTS:
        return Outcome(method, None, f"{len(x)} windows of this length are measured, {MIN_POINTS} are needed")
    here = float((evidence.driver.amount[hole.rows] * hole.missing).sum())
    line = fit(x, y)
    if line is None or line.r2 < MIN_R2:
        return Outcome(method, None, f"R² is {line.r2 if line else 0.0:.2f}, {MIN_R2} is needed")
    if not x.min() <= here <= x.max():
        return Outcome(method, None, "the driver lies outside of what it has been")
    total = line.bound(here, 1 if direction == "up" else -1, CONFIDENCE)
    hourly = line.at_zero / len(hole.missing) + line.slope * evidence.driver.amount[hole.rows]
    amounts = spread(max(_safe(total, direction), 0), np.maximum(hourly, 0) * hole.missing)
    side = "upper" if direction == "up" else "lower"
    return Outcome(method, amounts, f"{side} 95 % bound of a line through {len(x)} windows, R² {line.r2:.2f}")


def by_like_windows(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return the conservative percentile of windows like the hole (carbon/filling/like_windows.py)."""
    found = like_windows(stretch, hole, evidence.like, direction, CONFIDENCE)
    if isinstance(found, str):
        return Outcome("like_windows", None, found)
    side = "upper" if direction == "up" else "lower"
    amounts = spread(_safe(found.total, direction), found.shape)
    return Outcome("like_windows", amounts, f"{side} 95 % bound of {found.count} windows like it")


def by_rating(stretch: Stretch, hole: Hole, evidence: Evidence, direction: Direction) -> Outcome:
    """Return rated power × the time it ran, or all the time where that is not known; nothing where that is safe."""
    method: Method = "rated_power"
    if direction == "down":
        return Outcome(method, np.zeros(len(hole.missing), np.int64), "nothing is claimed for the time of the gap")
    if evidence.rated_kw is None or stretch.unit != "kWh":
        return Outcome(method, None, "the asset has no rated_kw" if stretch.unit == "kWh" else "it counts no kWh")
    ran = hole.missing if evidence.running is None else np.minimum(hole.missing, evidence.running)
    hours = ran * (stretch.interval_ns / HOUR_NS)
    total = math.ceil(evidence.rated_kw * float(hours.sum()) * MICRO)
    known = "all the time" if evidence.running is None else f"{hours.sum():.1f} h it ran"
    return Outcome(method, spread(total, hours), f"{evidence.rated_kw:g} kW × {known}")


STEPS: Final[tuple[Callable[[Stretch, Hole, Evidence, Direction], Outcome], ...]] = (
    by_counter,
    by_balance,
    by_check_meter,
    by_driver,
    by_like_windows,
    by_rating,
)


# ── what they need ────────────────────────────────────────────────────────────────────────────────


def _whole(other: Stretch, hole: Hole) -> bool:
    return not (other.missing[hole.rows][hole.missing > 0] > 0).any()


def _safe(total: float, direction: Direction) -> int:
    return math.ceil(total) if direction == "up" else math.floor(total)
