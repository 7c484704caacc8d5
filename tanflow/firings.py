"""Transitions of alerts → each firing with what it cost, and how often each alert fires."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from config.alerting import Alert
from config.alerts import Rule
from pipeline.alerts.stage import Status
from tanflow.dry_run import Transition

_HOUR_NS: Final = 3_600e9
_WEEK_NS: Final = 7 * 24 * _HOUR_NS
_NAN: Final = float("nan")


@dataclass(slots=True)
class Firing:
    """One firing of an alert; until_ns 0: it still lasts. value and limit as it fired, worst the farthest beyond it.

    kwh: Σ excess · dt while it fired; NaN where no cost is known.
    """

    alert: Alert[Rule]
    since_ns: int
    value: float
    limit: float
    worst: float
    until_ns: int = 0
    kwh: float = _NAN
    _excess: float = _NAN
    _at_ns: int = 0

    def spend(self, until_ns: int) -> None:
        """Add what it cost until an instant."""
        if self._excess == self._excess:  # not NaN
            known = self.kwh if self.kwh == self.kwh else 0.0
            self.kwh = known + self._excess * (until_ns - self._at_ns) / _HOUR_NS
        self._at_ns = until_ns

    def tell(self, told: Transition) -> None:
        """Take what the alert tells while it fires."""
        self.spend(told.time_ns)
        if told.value == told.value:
            beyond = abs(told.value - told.limit), abs(self.worst - self.limit)
            self.worst = told.value if not beyond[0] <= beyond[1] else self.worst
        self._excess = told.excess if told.excess == told.excess else self._excess


@dataclass(slots=True)
class Firings:
    """All firings of the period from `from_ns`; what fired before it counts from there."""

    from_ns: int
    every: list[Firing] = field(default_factory=list)
    _open: dict[str, Firing] = field(default_factory=dict)
    _latest: dict[str, Transition] = field(default_factory=dict)

    def through(self, transitions: Iterable[Transition]) -> Iterator[Firing]:
        """Take transitions in order and yield each firing that is over in the period."""
        for told in transitions:
            key = told.alert.key
            if told.value == told.value:
                self._latest[key] = told
            firing = self._open.get(key)
            if firing is not None:
                firing.tell(told)
            if told.changed and told.status is Status.FIRING and firing is None:
                self._open[key] = self._begun(told)
            elif told.changed and told.status is Status.CLEAR and firing is not None:
                firing.until_ns = told.time_ns
                yield from self._kept(self._open.pop(key))

    def end(self, end_ns: int) -> Iterator[Firing]:
        """Yield what still fires at the end of the period."""
        for firing in self._open.values():
            firing.spend(end_ns)
            yield from self._kept(firing)

    def _begun(self, told: Transition) -> Firing:
        # What it was told when it became true, where it had to hold.
        last = self._latest.get(told.alert.key, told)
        firing = Firing(told.alert, told.time_ns, last.value, last.limit, last.value, _excess=last.excess)
        firing._at_ns = told.time_ns
        return firing

    def _kept(self, firing: Firing) -> Iterator[Firing]:
        if not firing.until_ns or firing.until_ns > self.from_ns:
            self.every.append(firing)
            yield firing


@dataclass(frozen=True, slots=True)
class Rate:
    """How often an alert fired in a period: firings, their share of time, firings a week, and their kWh."""

    alert: Alert[Rule]
    firings: int
    share: float
    a_week: float
    kwh: float

    @classmethod
    def of(cls, alert: Alert[Rule], firings: Iterable[Firing], from_ns: int, end_ns: int) -> Rate:
        mine = [f for f in firings if f.alert.key == alert.key]
        lasting = sum((f.until_ns or end_ns) - max(f.since_ns, from_ns) for f in mine)
        known = [f.kwh for f in mine if f.kwh == f.kwh]
        span = max(1, end_ns - from_ns)
        return cls(alert, len(mine), lasting / span, len(mine) * _WEEK_NS / span, sum(known) if known else _NAN)
