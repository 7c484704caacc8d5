"""Rows of grid intensity → the factor of each interval of the account, by a stated ladder; nothing is ever invented.

The ladder: steps that cover the whole interval, their mean by time · what the interval is booked with already · the
mean of what is known of its month, once that is a week · the configured figures. Each names its grade.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import zstandard

from carbon.entries import Activity
from carbon.factor import Factor, FactorSteps, steps
from carbon.ledger import Ledger
from carbon.live.providers import Said, provider
from carbon.live.steps import HOUR_NS, WORSE, Grade, grade_of
from carbon.local_time import month_name, months
from config.providers import LiveProvider
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.factors import Provenance

Variant = Literal["exact", "latest", "fallback"]
_VARIANT: Final[dict[Grade, Variant]] = {"actual": "exact", "estimated": "latest", "forecast": "fallback"}
_WEEK_S: Final = 7 * 86_400  # holds every hour of the day and every day of the week
_KEEP_NS: Final = 24 * HOUR_NS
_BOOKED: Final = 8  # bytes of the accountant's state before its open cells
_WANTING: Final = ", for want of a live factor"
_NANO: Final = 1e9  # of kg/kWh: sums of a month are integers, so a revised step leaves nothing behind


class Row(NamedTuple):
    """What was said last of a step: its length [ns], its value [kg/kWh], its quality."""

    span_ns: int
    value: float
    quality: int


@dataclass(slots=True)
class LiveFactors:
    """What the account knows from a live provider: recent steps by their start, and months as (nano-kg·s/kWh, s).

    `keep_ns`: how long a step may still be revised. `base`: the configured figures, for what nobody says. Opened on a
    ledger it goes on where that was left, and finds in it what intervals are booked with.
    """

    said: Said
    base: FactorSteps
    interval_ns: int
    phase_ns: int
    zone: ZoneInfo
    keep_ns: int
    _rows: dict[int, Row] = field(default_factory=dict)
    _months: dict[int, tuple[int, int]] = field(default_factory=dict)
    _oldest: int = 0  # start of the first of them: most of what is asked for is older
    _ledger: Ledger | None = None
    _market: FactorSteps = field(init=False)  # the same figures where the location stands in for a residual mix
    _standing: FactorSteps = field(init=False)  # and where they stand in for a live factor, which they say

    def __post_init__(self) -> None:
        self._market = fallbacks(self.base)
        self._standing = FactorSteps(self.base.start_ns, tuple(_standing(f) for f in self._market.factors))

    @classmethod
    def of(cls, config: LiveProvider, base: FactorSteps, interval_ns: int, phase_ns: int, zone: ZoneInfo) -> Self:
        """Return it for a configured provider, before anything was said."""
        client = provider(config)
        return cls(client.said, base, interval_ns, phase_ns, zone, max(config.look_back_h * HOUR_NS, client.reach_ns))

    # ── what is said ──────────────────────────────────────────────────────────────────────────────

    def hear(self, batch: Batch, series: int) -> set[int]:
        """Take in the rows of the series; return where the intervals begin whose steps are new or say otherwise."""
        touched: set[int] = set()
        mine = batch.series == series
        columns = (batch.time_ns[mine], batch.span_ns[mine], batch.value[mine], batch.quality[mine])
        for end, span, value, quality in zip(*(c.tolist() for c in columns), strict=True):
            start, row = end - span, Row(span, value, quality)
            if self._rows.get(start) != row:
                self._replace(start, row)
                first = (start - self.phase_ns) // self.interval_ns * self.interval_ns + self.phase_ns
                touched.update(range(first, end, self.interval_ns))
        return touched

    def _replace(self, start: int, row: Row) -> None:
        month = int(months(np.array([start], np.int64), self.zone)[0])
        for old, sign in ((self._rows.get(start), -1), (row, 1)):
            if old is not None:
                total, seconds = self._months.get(month, (0, 0))
                lasting = old.span_ns // SECOND_NS
                self._months[month] = (total + sign * round(old.value * _NANO) * lasting, seconds + sign * lasting)
        self._oldest = min(self._oldest, start) if self._rows else start
        self._rows[start] = row

    def forget(self) -> None:
        """Let go of steps nobody revises any more, and of all months but the last two."""
        self._rows, self._months = dict(self._lasting()), dict(sorted(self._months.items())[-2:])
        self._oldest = min(self._rows, default=0)

    def _lasting(self) -> list[tuple[int, Row]]:
        oldest = max(self._rows, default=0) - self.keep_ns - _KEEP_NS
        return sorted((start, row) for start, row in self._rows.items() if start >= oldest)

    def apart(self) -> Self:
        """Return a copy of what is known now, for another thread; it does not look into the ledger."""
        other = copy(self)
        other._rows, other._months, other._ledger = dict(self._rows), dict(self._months), None
        return other

    # ── what it makes ─────────────────────────────────────────────────────────────────────────────

    def speaks_for(self, given: FactorSteps) -> bool:
        """Whether factors are those of the location, or of the market where the location stands in for it."""
        return given is self.base or given.factors == self._market.factors

    def instead(self, given: FactorSteps, activity: Activity) -> FactorSteps:
        """Return the factors of activities: live ones where `given` are those spoken for, else `given` themselves."""
        if not self.speaks_for(given) or not len(activity):
            return given
        if (activity.span_ns != self.interval_ns).any():  # of a bill: no hours are known of it
            return self._standing
        made = self.factors(np.unique(activity.start_ns).tolist())
        return made if given is self.base else fallbacks(made)

    def factors(self, starts: Collection[int]) -> FactorSteps:
        """Return the factor of each interval by the ladder."""
        known = {start: self.covering(start) for start in starts}
        booked = self._booked([start for start, factor in known.items() if factor is None])
        made = [(start, known[start] or booked.get(start) or self._standing_in(start)) for start in sorted(known)]
        return steps(made)

    def replaceable(self, factor: Factor) -> bool:
        """Whether a factor was put here: not by a person, nor by a configuration without a live provider."""
        return self._own(factor) or factor.provenance.publication.endswith(_WANTING)

    def _own(self, factor: Factor) -> bool:
        return factor.id.startswith(self._name)

    def _booked(self, starts: Collection[int]) -> dict[int, Factor]:
        """Return the live factors intervals are booked with: the ledger keeps them for good, this only the last."""
        if self._ledger is None or not starts:
            return {}
        own = {number: factor for number, factor in self._ledger.factors.items() if self._own(factor)}
        lines = {n for n, line in self._ledger.lines.items() if (line.scope, line.method) == (2, "location")}
        found: dict[int, Factor] = {}
        for entries in self._ledger.read(min(starts), max(starts) + 1, lines) if own and lines else ():
            at = np.isin(entries.start_ns, list(starts)) & np.isin(entries.factor, list(own))
            at &= entries.span_ns == self.interval_ns
            pairs = zip(entries.start_ns[at].tolist(), entries.factor[at].tolist(), strict=True)
            found |= {start: own[number] for start, number in pairs}
        return found

    @property
    def _name(self) -> str:
        return f"{self.said.publisher}/{self.said.zone}/live"

    def covering(self, start: int) -> Factor | None:
        """Return the mean by time of the steps that cover an interval, None unless they cover all of it."""
        if start + self.interval_ns <= self._oldest or not self._rows:
            return None
        end, total, value = start + self.interval_ns, 0, 0.0
        grade: Grade = "actual"
        for at, row in self._rows.items():
            shared = min(end, at + row.span_ns) - max(start, at)
            if shared > 0:
                total += shared
                value += shared * row.value
                grade = max(grade, grade_of(row.quality), key=WORSE.index)
        if total != self.interval_ns:
            return None
        year = self._year(start)
        said = "" if grade == "actual" else f", {grade}"
        return self._factor(f"{self._name}/{year}", value / total, year, said, _VARIANT[grade])

    def _standing_in(self, start: int) -> Factor:
        month = int(months(np.array([start], np.int64), self.zone)[0])
        total, seconds = self._months.get(month, (0, 0))
        if seconds >= _WEEK_S:
            name, text = month_name(month), f", mean of what is known of {month_name(month)}"
            return self._factor(
                f"{self._name}-mean/{name}", total / seconds / _NANO, self._year(start), text, "fallback"
            )
        return self._standing.factors[int(self._standing.at(np.array([start], np.int64))[0])]

    def _factor(self, id: str, value: float, year: int, text: str, variant: Variant) -> Factor:
        said = self.said
        kg = (value, 0.0, 0.0, 0.0, 0.0) if said.gas == "co2" else (0.0, 0.0, 0.0, 0.0, value)
        about = Provenance(said.publisher, f"{said.publication}{text}", year, "", said.gas, said.source, variant)
        return Factor(id, "kWh", kg, 1.0, about)

    def _year(self, start: int) -> int:
        return datetime.fromtimestamp(start // SECOND_NS, UTC).astimezone(self.zone).year

    # ── what a restart begins with ────────────────────────────────────────────────────────────────

    def pack(self) -> bytes:
        """Return what lasts of the state as one frame, which may follow another."""
        rows = [(start, *row) for start, row in self._lasting()]
        sums = [(month, *sums) for month, sums in sorted(self._months.items())[-2:]]
        state = orjson.dumps({"who": self._name, "rows": rows, "months": sums})
        return zstandard.ZstdCompressor(level=3).compress(state)

    def open(self, ledger: Ledger) -> None:
        """Go on where the accountant of a ledger was; what was known of another provider or zone is let go.

        Opening it again on the same ledger does nothing: what the accountant knows is newer than what it has written.
        """
        if self._ledger is ledger:
            return
        self._ledger = ledger
        frame = zstandard.ZstdDecompressor().decompressobj()
        frame.decompress(ledger.cursor()[1][_BOOKED:])  # the open cells, which come first
        known = frame.unused_data
        state = orjson.loads(zstandard.ZstdDecompressor().decompress(known)) if known else {}
        if state.get("who") == self._name:
            self._rows = {row[0]: Row(*row[1:]) for row in state["rows"]}
            self._months = {month: (total, seconds) for month, total, seconds in state["months"]}
            self._oldest = min(self._rows, default=0)


def _standing(factor: Factor) -> Factor:
    said = factor.provenance
    return replace(factor, provenance=replace(said, publication=said.publication + _WANTING))


def fallback(factor: Factor) -> Factor:
    """Return a factor that stands in for another."""
    return replace(factor, provenance=replace(factor.provenance, variant="fallback"))


def fallbacks(given: FactorSteps) -> FactorSteps:
    """Return factors that all stand in for others."""
    return FactorSteps(given.start_ns, tuple(fallback(f) for f in given.factors))
