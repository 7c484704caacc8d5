"""Samples of power → judgements whether the running interval of the site's clock will end above its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, Self

from config.alerts import Demand
from pipeline import quality as q
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import BETWEEN, FALSE, TRUE, Judged, Row, Watchers
from pipeline.batch import Batch
from pipeline.calendar import Calendar
from pipeline.clock import SECOND_NS
from pipeline.consume import State

_COVERED: Final = 0.8  # of the elapsed interval must be known
_OVER: Final = 0.95  # of the limit: below this an interval is no longer in danger
_HOUR_NS: Final = 3_600 * SECOND_NS


class Interval(NamedTuple):
    """One alert: the power it watches, longest step between samples, the site's intervals and what is said of one."""

    alert: int
    key: str
    power: int
    hold_ns: int
    calendar: Calendar
    limit_kw: float
    after_share: float


class Course(NamedTuple):
    """Where an interval stands: (start, end] [ns], kWh and time [ns] covered, the latest sample, what was said last."""

    start: int = 0
    end: int = 0
    kwh: float = 0.0
    covered: int = 0
    at: int = 0
    kw: float = 0.0
    truth: int = FALSE

    def into(self, interval: Interval, at: int) -> Self:
        """Return the course in the interval an instant lies in."""
        if at <= self.end:
            return self
        start, end = interval.calendar.around(at) or (at, at)
        return self._replace(start=start, end=end, kwh=0.0, covered=0, truth=FALSE)

    def sampled(self, hold_ns: int, at: int, kw: float) -> Self:
        """Return the course after a sample: the trapezoid since the last one, as far as it lies in the interval."""
        begun, until = max(self.at, self.start), min(at, self.end)
        if not self.at or at - self.at > hold_ns or begun >= until:
            return self._replace(at=at, kw=kw)
        first, last = (self.kw + (kw - self.kw) * (t - self.at) / (at - self.at) for t in (begun, until))
        span = until - begun
        kwh = self.kwh + (first + last) / 2 * span / _HOUR_NS
        return self._replace(at=at, kw=kw, kwh=kwh, covered=self.covered + span)

    def projected_kw(self, after_share: float) -> float | None:
        """Return the mean the interval will end with, (so far + latest power · time left) / length.

        What is not covered so far is taken to be like what is; None where that is too much, or too early to say.
        """
        elapsed, length = self.at - self.start, self.end - self.start
        if elapsed <= 0 or elapsed < after_share * length or self.covered < max(1, _COVERED * elapsed):
            return None
        so_far = self.kwh * elapsed / self.covered
        return (so_far + self.kw * (self.end - self.at) / _HOUR_NS) / (length / _HOUR_NS)


@dataclass(frozen=True)
class Demands:
    """All alerts of demand. A new interval is over before it is in danger; bad and late samples say nothing, nor do
    those stamped by a clock nobody trusts. State: {key: Course}.
    """

    intervals: Sequence[Interval]
    tick: int

    @cached_property
    def _watched(self) -> Watchers[Interval]:
        return Watchers((series, i) for i in self.intervals for series in (i.power, self.tick))

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch, but=q.CLOCK)
        if not len(rows):
            return state, None
        courses = {i.key: Course(*state.get(i.key, ())) for i in self.intervals}
        told: list[Row] = []
        for row in rows.tolist():
            at, series = int(batch.time_ns[row]), int(batch.series[row])
            for interval in self._watched[series]:
                course = courses[interval.key]
                new = course.into(interval, at)
                if new.end != course.end and course.truth != FALSE:
                    told.append((interval.alert, row, course.end, FALSE, *[float("nan")] * 3))
                if series != self.tick and at > course.at:
                    new = new.sampled(interval.hold_ns, at, float(batch.value[row]))
                    new, judged = _judge(interval, new, row)
                    told += judged
                courses[interval.key] = new
        return {key: [*course] for key, course in courses.items()}, Judged.of(told) if told else None


def _judge(interval: Interval, course: Course, row: int) -> tuple[Course, list[Row]]:
    """Return the course with what is said of it now, and that where there is anything to say."""
    kw = course.projected_kw(interval.after_share)
    if kw is None:
        return course, []
    limit = interval.limit_kw
    truth = TRUE if kw > limit else FALSE if kw <= _OVER * limit else BETWEEN
    if truth == FALSE == course.truth:
        return course, []
    judged = (interval.alert, row, course.at, truth, kw, limit, max(0.0, kw - limit))
    return course._replace(truth=course.truth if truth == BETWEEN else truth), [judged]


def build(alerts: Sequence[Numbered], context: Context) -> Demands:
    """Return the condition of all rules of this kind."""
    hold_s = {device.asset_name: device.asset.max_hold_s for device in context.devices}
    intervals = []
    for number, alert in alerts:
        rule: Demand = alert.rule
        hold_ns = round(hold_s[rule.power.partition(".")[0]] * SECOND_NS)
        power, calendar = context.point(rule.power), Calendar(context.zone, rule.every)
        intervals.append(Interval(number, alert.key, power, hold_ns, calendar, rule.limit_kw, rule.after_share))
    return Demands(intervals, context.tick)
