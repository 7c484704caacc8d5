"""Episodes of the desk and what is about to fire → alerts as the page shows them: why, since when, at what cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from config.alerting import Alert
from config.alerts import (
    SEVERITIES,
    Budget,
    CalibrationDue,
    Demand,
    Frozen,
    Health,
    RateOfChange,
    Rule,
    Stale,
    Threshold,
)
from config.bindings import series_key
from pipeline.alerts.compile import part_key
from pipeline.alerts.context import Context
from pipeline.alerts.stage import Status
from pipeline.desk.episode import Episode
from pipeline.desk.silences import Silence
from pipeline.desk.watched import Watched
from pipeline.heartbeat import health_key
from tanflow.web.encode import iso

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_COUNTED: Final = (*SEVERITIES, "pending")
_UNKNOWN: Final = {"kwh_per_h": None, "co2e_kg_per_h": None, "money_per_h": None, "currency": None}


@dataclass(slots=True)
class AlertList:
    """All alerts of a plant by asset.name, with the rule behind each and the curve that shows why it fires."""

    gateway: Gateway
    _alerts: dict[str, Alert[Rule]] = field(init=False)
    _curves: dict[str, str] = field(init=False)
    _watched: list[Watched] = field(init=False)
    _states: npt.NDArray[np.int64] = field(init=False)  # ids of their states; looked at each second

    def __post_init__(self) -> None:
        context = self.gateway.context
        self._alerts = {f"{alert.asset}.{alert.name}": alert for alert in context.alerts}
        self._watched = list(self.gateway.desk.fold.watched.values())
        self._states = np.array([one.state for one in self._watched], np.int64)
        self._curves = {key: _curve(alert, context) for key, alert in self._alerts.items()}

    def counts(self) -> dict[str, int]:
        """Return how many alerts fire by severity, and how many are about to."""
        return every(sum(self.counts_by_asset().values(), Counter[str]()))

    def counts_by_asset(self) -> Mapping[str, Counter[str]]:
        """Return the same of each asset, as far as there are any."""
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for episode in self.gateway.desk.open.values():
            found[episode.asset][episode.severity] += 1
        for watched in self._pending():
            found[watched.asset]["pending"] += 1
        return found

    def standing(self) -> tuple[object, ...]:
        """Return what differs whenever a reader should look again."""
        desk = self.gateway.desk
        fires = tuple((e.id, e.acknowledged is not None, e.silenced_by) for e in desk.open.values())
        return fires, tuple(desk.silences), tuple(watched.key for watched in self._pending())

    def open(self) -> list[dict[str, Any]]:
        """Return what fires, the gravest first, of those the newest."""
        fires = sorted(self.gateway.desk.open.values(), key=lambda e: (SEVERITIES.index(e.severity), -e.fired_ns))
        return [self._episode(episode) for episode in fires]

    def pending(self) -> list[dict[str, Any]]:
        """Return what is true, but not yet for long enough; such an alert has no episode yet that could have an id."""
        return [self._described(f"{w.key}@pending", "pending", self._upcoming(w), w.advice) for w in self._pending()]

    def ended(self, from_ns: int, to_ns: int, most: int) -> list[dict[str, Any]]:
        """Return what is over and fired at some time within, the newest first."""
        desk = self.gateway.desk
        return [self._episode(e) for e in desk.ended(self.gateway.log.reader, from_ns, to_ns, most)]

    def _pending(self) -> Iterator[Watched]:
        latest, states = self.gateway.latest, self._states
        rows = np.flatnonzero((latest.value[states] == Status.PENDING) & (latest.time_ns[states] != 0))
        yield from (self._watched[row] for row in rows.tolist())

    def _upcoming(self, one: Watched) -> Episode:
        """Return a pending alert as the episode it would be."""
        latest = self.gateway.latest
        since = int(latest.time_ns[one.state])

        def newest(series: int) -> float | None:
            return float(latest.value[series]) if latest.time_ns[series] >= since else None

        return Episode(
            "", one.asset, one.area, one.name, one.kind, one.severity, one.unit, since,
            value=newest(one.value), limit=newest(one.limit), worst=newest(one.value), excess_kw=newest(one.excess),
        )  # fmt: skip

    def _episode(self, episode: Episode) -> dict[str, Any]:
        watched = self.gateway.desk.fold.watched.get(episode.key)
        state = "ended" if episode.ended_ns else "open"
        return self._described(episode.id, state, episode, watched.advice if watched else "")

    def _described(self, name: str, state: str, episode: Episode, advice: str) -> dict[str, Any]:
        alert = self._alerts.get(episode.key)
        known = episode.acknowledged
        return {
            "id": name,
            "asset": episode.asset,
            "area": episode.area,
            "name": episode.name,
            "kind": episode.kind,
            "severity": episode.severity,
            "state": state,
            **_time("since", episode.fired_ns),
            **_time("ended", episode.ended_ns),
            "ended_why": episode.ended_why,
            "value": episode.value,
            "limit": episode.limit,
            "worst": episode.worst,
            "unit": episode.unit,
            "excess_kw": episode.excess_kw,
            "cost": self._cost(episode),
            "energy_kwh": episode.energy_at(self.gateway.desk.now_ns),
            "watched": self._curves.get(episode.key, ""),
            "value_key": part_key(alert, "alert_value") if alert else "",
            "limit_key": part_key(alert, "alert_limit") if alert else "",
            "advice": advice,
            "rule": alert.rule.model_dump(mode="json", exclude_none=True) if alert else None,
            "acknowledged": {"by": known.by, **_time("at", known.at_ns), "note": known.note} if known else None,
            "silenced": self._silence(episode.silenced_by),
        }

    def _cost(self, episode: Episode) -> dict[str, Any]:
        if episode.excess_kw is None:
            return dict(_UNKNOWN)
        at_ns = episode.ended_ns or max(self.gateway.desk.now_ns, episode.fired_ns)
        return self.gateway.costs.of(episode.asset, episode.excess_kw, at_ns)._asdict()

    def _silence(self, number: str) -> dict[str, Any] | None:
        silence = self.gateway.desk.silences.get(number)
        return described(silence) if silence else None


def every(counts: Counter[str]) -> dict[str, int]:
    """Return counts with those that are 0."""
    return {name: counts[name] for name in _COUNTED}


def described(silence: Silence) -> dict[str, Any]:
    """Return a silence as JSON-ready data."""
    match = silence.match.model_dump(mode="json", exclude_defaults=True)
    times = _time("from", silence.from_ns) | _time("until", silence.until_ns)
    return {"id": silence.id, "match": match, **times, "why": silence.why, "by": silence.by}


def _time(name: str, at_ns: int) -> dict[str, Any]:
    """Return an instant as text and number, both null for 0: never."""
    return {name: iso(np.array([at_ns]))[0] if at_ns else None, f"{name}_ns": at_ns or None}


def _curve(alert: Alert[Rule], context: Context) -> str:
    """Return the key of the series whose curve shows why an alert fires: what it watches, else the value it judged."""
    return _watched(alert.rule, context) or part_key(alert, "alert_value")


def _watched(rule: Rule, context: Context) -> str:
    if isinstance(rule, Budget | CalibrationDue):
        return ""  # what is judged is measured nowhere
    if isinstance(rule, Health):
        key = health_key(rule.component, rule.counter)
        return key if key in context.ids else ""
    if isinstance(rule, Stale | Frozen):
        return _first_of(rule.device, context)
    if isinstance(rule, RateOfChange):
        return context.point_key(rule.point)
    if isinstance(rule, Demand):
        return context.point_key(rule.power)
    if isinstance(rule, Threshold) and rule.point is not None:
        return context.point_key(rule.point)
    figure = context.figures.named(getattr(rule, "window", None) or "")
    return figure.key if figure else ""


def _first_of(device: str, context: Context) -> str:
    """Return what shows whether a device speaks: its power, else its first point."""
    bound = next((d for d in context.devices if d.key == device), None)
    name = (bound.power or next(iter(bound.points), "")) if bound else ""
    return series_key(device.partition(".")[0], name, bound.points[name].quantity) if bound and name else ""
