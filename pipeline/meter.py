"""Readings → amounts per interval: counters by difference, power by integration (the meter arithmetic).

A counter reading that does not follow from the last one is held and decided by the next: a transient (the next follows
from the old base), a reset (it continues from near zero) or another meter (it continues from somewhere else).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from pipeline import quality as q
from pipeline.batch import Batch, Qualities, Times, Values, empty, make
from pipeline.rounds import Rows, placed, rounds, those
from pipeline.series import SeriesTable
from pipeline.spec import Kind

NEVER: Final = np.iinfo(np.int64).min
HOUR_NS: Final = 3.6e12
_OUTAGE_PERIODS: Final = 3  # an interval longer than this many periods has a measured amount, an estimated course
_RESET_SHARE: Final = 0.1  # without a known rate, a counter that continues below this share of its old index was reset
# A register may show less often than it is read (a concentrator behind it, a whole kWh at a time): an advance is
# impossible only beyond what an hour of full load makes. No meter is coarser, none is refreshed more rarely.
_REFRESH_H: Final = 1.0
_CREDITED_H: Final = 8_766.0  # a year: over a longer interval a full load explains nearly any step, so nothing more
_CARRIED: Final = np.uint16(0xFFFF ^ q.LATE)

Mask = npt.NDArray[np.bool_]
Series = npt.NDArray[np.intp]  # ids as numpy looks up by them: it would convert others each time


@dataclass(slots=True)
class MeterState:
    """What the arithmetic remembers of every series id: the base of the next interval and a held reading."""

    time_ns: Times
    value: Values
    held_ns: Times
    held: Values

    @classmethod
    def fresh(cls, size: int) -> Self:
        """Return the state of `size` series nothing is known of."""
        return cls(
            np.full(size, NEVER, np.int64),
            np.full(size, np.nan),
            np.full(size, NEVER, np.int64),
            np.full(size, np.nan),
        )

    def copy(self, into: MeterState | None = None) -> MeterState:
        """Return a copy; `into` is one that nobody needs any more, its memory is taken."""
        if into is None:
            return MeterState(*(column.copy() for column in self.columns))
        for mine, theirs in zip(self.columns, into.columns, strict=True):
            np.copyto(theirs, mine)
        return into

    def forget(self, series: npt.NDArray[Any]) -> None:
        """Clear what is known of some series: their next reading is a new base."""
        for mine, blank in zip(self.columns, MeterState.fresh(1).columns, strict=True):
            mine[series] = blank[0]

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.time_ns, self.value, self.held_ns, self.held


def turned_back(state: MeterState, batch: Batch) -> MeterState:
    """Return the state for readings the gateway stamps itself: its clock was set back where a base is yet to come.

    Such readings follow from that base all the same, in the order of the log: their next interval begins right before.
    """
    ahead = (state.time_ns.take(batch.series) > batch.header.received_ns) & ((batch.quality & q.CLOCK) == 0)
    if not ahead.any():
        return state
    state = state.copy()
    series, time_ns = batch.series[ahead][::-1], batch.time_ns[ahead][::-1]  # a series' first row counts
    state.time_ns[series] = time_ns - 1
    waiting = series[state.held_ns[series] != NEVER]
    state.held_ns[waiting] = state.time_ns[waiting]
    return state


@dataclass(frozen=True, slots=True)
class Folded:
    """Result of a fold: state after it, the amounts, and the quality of the measured rows with what was learnt."""

    state: MeterState
    amounts: Batch
    quality: Qualities


def fold(table: SeriesTable, state: MeterState, batch: Batch, spare: MeterState | None = None) -> Folded:
    """Fold measured rows into the state, in their order within each series, and return the amounts they complete.

    However a stream of rows is split into batches, the amounts are the same. The state after them takes the memory of
    `spare`, where one is given: for a large table that is most of what folding costs.
    """
    state = state.copy(spare)
    quality = batch.quality.copy()
    parts = []
    for rows in rounds(batch.series, len(table)):
        series, time_ns, known = batch.series[rows].astype(np.intp), batch.time_ns[rows], quality[rows]
        timed = (known & q.CLOCK) == 0  # the true time of others is not known yet
        late = timed & (time_ns <= state.time_ns.take(series))
        usable = timed & ~late & ((known & q.SEVERITY) != q.BAD)
        usable &= np.isfinite(batch.value[rows])
        if late.any():
            quality[those(rows, late)] |= np.uint16(q.LATE)
        counter = table.kind[series] == Kind.COUNTER
        for some, work in ((usable & counter, _count), (usable & ~counter, _integrate)):
            if some.any():
                parts.append(work(table, state, batch, those(rows, some), quality))
    return Folded(state, _join(table, batch, parts), quality)


@dataclass(frozen=True, slots=True)
class _Amounts:
    """Completed intervals: source series, end, length, amount and quality."""

    series: Series
    time_ns: Times
    span_ns: Times
    value: Values
    quality: Qualities


def _join(table: SeriesTable, batch: Batch, parts: list[_Amounts]) -> Batch:
    if not parts:
        return empty(batch.header)

    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(p, name) for p in parts])

    target = table.amount[column("series")]
    wanted = target >= 0
    return make(
        batch.header,
        column("time_ns")[wanted],
        target[wanted],
        column("value")[wanted],
        column("quality")[wanted],
        column("span_ns")[wanted],
    )


# ── counters ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Register:
    """What is known of counter registers, one value per row: width, fastest advance [unit/h], least step [unit]."""

    modulus: Values
    max_rate: Values
    step: Values

    @classmethod
    def of(cls, table: SeriesTable, series: Series, value: Values) -> Self:
        step = table.resolution[series] + table.relative[series] * np.abs(value)
        return cls(table.modulus[series], table.max_rate[series], step)

    def reach(self, hours: Values) -> Values:
        """Return the most a counter can have advanced [unit], in a year at most; infinite where its rate is unknown."""
        credited = np.minimum(hours, _CREDITED_H)
        return np.where(np.isnan(self.max_rate), np.inf, self.max_rate * credited + 2 * self.step)


def advance(last: Values, value: Values, hours: Values, register: Register) -> tuple[Values, Mask]:
    """Return (advance, rolled over) from one index to a later one; NaN where neither explains the step.

    A step is possible within the reach of the time between, an hour at least and a year at most. A step down is a
    rollover when the way over the top is within reach, or, where no rate is known, shorter than half the register's
    width and not to zero: that is what a meter shows that has just lost its supply.
    """
    step = value - last
    over = step + register.modulus
    reach = register.reach(np.maximum(hours, _REFRESH_H))
    unknown_reach = np.where(value == 0, np.nan, register.modulus / 2)
    over_reach = np.where(np.isnan(register.max_rate), unknown_reach, reach)
    rolled = (step < 0) & (over >= 0) & (over <= over_reach)
    straight = (step >= 0) & (step <= reach)
    return np.where(straight, step, np.where(rolled, over, np.nan)), rolled


@dataclass(frozen=True, slots=True)
class _Step:
    """How each reading of a round is explained: interval start, amount, flags; NaN amounts are in doubt."""

    start_ns: Times
    amount: Values
    flags: Qualities
    first: Mask

    @property
    def doubtful(self) -> Mask:
        return ~self.first & np.isnan(self.amount)


def _follow(state: MeterState, series: Series, time_ns: Times, value: Values, register: Register) -> _Step:
    """Explain readings from the base of their series."""
    base_ns = state.time_ns[series]
    first = base_ns == NEVER
    start_ns = np.where(first, time_ns, base_ns)
    hours = (time_ns - start_ns) / HOUR_NS
    amount, rolled = advance(state.value[series], value, hours, register)
    return _Step(start_ns, amount, np.where(rolled, q.ROLLOVER, 0).astype(np.uint16), first)


def _confirm(
    state: MeterState, series: Series, time_ns: Times, value: Values, register: Register, step: _Step
) -> _Step:
    """Explain doubtful readings from the held one: what continues from it confirms it as the new base.

    Zero after zero confirms nothing: a device that starts up shows it for many polls. Waiting costs nothing either.
    """
    held_ns, held = state.held_ns[series], state.held[series]
    waiting = step.doubtful & (held_ns != NEVER) & (time_ns > held_ns)
    from_ns = np.where(waiting, held_ns, time_ns)
    since, _ = advance(held, value, (time_ns - from_ns) / HOUR_NS, register)
    confirmed = waiting & np.isfinite(since) & (value != 0)
    reach = register.reach((time_ns - step.start_ns) / HOUR_NS)
    near_zero = np.where(np.isnan(register.max_rate), held <= _RESET_SHARE * state.value[series], held <= reach)
    reset, swap = confirmed & near_zero, confirmed & ~near_zero
    flags = step.flags.copy()
    flags[reset] |= np.uint16(q.RESET)
    flags[swap] |= np.uint16(q.SWAP)
    flags[confirmed] |= np.uint16(q.QUANTITY_ESTIMATED | q.UNCERTAIN)
    amount = np.where(reset, held + since, np.where(swap, since, step.amount))
    return _Step(np.where(swap, held_ns, step.start_ns), amount, flags, step.first)


def _count(table: SeriesTable, state: MeterState, batch: Batch, rows: Rows, quality: Qualities) -> _Amounts:
    """Advance counters by one reading each and return the amounts this completes."""
    series, time_ns, value = batch.series[rows].astype(np.intp), batch.time_ns[rows], batch.value[rows]
    register = Register.of(table, series, value)
    step = _follow(state, series, time_ns, value, register)
    if step.doubtful.any():
        step = _confirm(state, series, time_ns, value, register, step)
    hold = step.doubtful
    held = placed(rows, np.flatnonzero(hold))
    quality[held] = q.worsen(quality[held] | np.uint16(q.RANGE), q.UNCERTAIN)
    _remember(state, series, time_ns, value, hold)

    span_ns = time_ns - step.start_ns
    period = table.period_ns[series]
    outage = ((period > 0) & (span_ns > _OUTAGE_PERIODS * period)) | (span_ns > _CREDITED_H * HOUR_NS)
    # A float register whose step is larger than what can be used in the interval moves in jumps.
    coarse = (table.relative[series] > 0) & (register.step > register.max_rate * (span_ns / HOUR_NS))
    flags = step.flags | np.where(outage | coarse, q.PROFILE_ESTIMATED, 0).astype(np.uint16)
    done = ~hold & ~step.first
    carried = q.merge(quality[rows] & _CARRIED, flags)
    amount = step.amount
    if table.ratios is not None:
        amount = amount * table.ratios.over(series, step.start_ns, time_ns)
    return _Amounts(series[done], time_ns[done], span_ns[done], amount[done], carried[done])


def _remember(state: MeterState, series: Series, time_ns: Times, value: Values, hold: Mask) -> None:
    """Keep doubtful readings aside; all others become the base of the next interval."""
    state.held_ns[series] = np.where(hold, time_ns, NEVER)
    state.held[series] = np.where(hold, value, np.nan)
    base = series[~hold]
    state.time_ns[base], state.value[base] = time_ns[~hold], value[~hold]


# ── power ─────────────────────────────────────────────────────────────────────────────────────────


def _integrate(table: SeriesTable, state: MeterState, batch: Batch, rows: Rows, quality: Qualities) -> _Amounts:
    """Integrate power by the trapezoid rule: (P₀ + P₁)/2 · Δt [kWh]; a step longer than the hold stays a gap."""
    series, time_ns, value = batch.series[rows].astype(np.intp), batch.time_ns[rows], batch.value[rows]
    metered = np.flatnonzero(table.amount.take(series) >= 0)  # few of what is measured
    power = series[metered]
    base_ns, base = state.time_ns[power], state.value[power]
    state.time_ns[series], state.value[series] = time_ns, value
    time_ns, value = time_ns[metered], value[metered]
    known = base_ns != NEVER
    span_ns = time_ns - np.where(known, base_ns, time_ns)
    done = known & (span_ns <= table.max_hold_ns[power])
    amount = (base + value) / 2 * (span_ns / HOUR_NS)
    flagged = (quality[placed(rows, metered)] & _CARRIED) | np.uint16(q.INTEGRATED)
    return _Amounts(power[done], time_ns[done], span_ns[done], amount[done], flagged[done])
