"""A configuration and rows of the past, or of a simulation → what its alerts do; without a gateway, log or clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from math import gcd
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from config.alerting import Alert
from config.alerts import Rule
from config.bindings import BoundDevice, bind
from config.formula_plan import AmountOf, Input
from config.kpis import Figure
from config.model import Gateway
from config.points import DeviceMap
from pipeline.alerts.compile import alert_stage, part_key
from pipeline.alerts.context import Context
from pipeline.alerts.stage import Alerts, Status
from pipeline.batch import ALERT, INPUT, WINDOW, Batch, Header, concat, make
from pipeline.clock import SECOND_NS
from pipeline.compile import compile_plan
from pipeline.formula import leaves
from pipeline.heartbeat import TICK_KEY
from pipeline.ingest import derive
from pipeline.kpi import Windows
from pipeline.meter import MeterState
from pipeline.series import SeriesTable
from tanflow.stages import windows_stage

_MINUTE_NS: Final = 60 * SECOND_NS
_PACE_MIN: Final = 15  # rows are folded in steps of this length, or shorter where a window ends in between
Readings = tuple[int, Mapping[str, float]]  # an instant [ns UTC], values by key of series in canonical units


class Transition(NamedTuple):
    """What an alert tells at an instant: a transition (`changed`), or how it stands while it lasts.

    value and limit [unit of the alert] · excess [kW] it costs; NaN where not told.
    """

    alert: Alert[Rule]
    time_ns: int
    status: Status
    changed: bool
    value: float
    limit: float
    excess: float


def run(
    config: Gateway, templates: Mapping[str, DeviceMap], rows: Iterable[Readings], base: Path = Path()
) -> Iterator[Transition]:
    """Yield what all alerts of a plant do over readings in the order of time, as a gateway that read them would.

    `rows`: what each instant brought, by keys of measured series (`asset.point.quantity`) in canonical units; keys
    the plant does not have are left out. Amounts, energy and carbon follow from them as they do in ingest.
    """
    devices = list(bind(config, templates))
    plan = compile_plan(config, devices, base)
    ids = {spec.key: n for n, spec in enumerate(plan.specs)}
    table = SeriesTable(1, plan.specs, ids, plan.factors)
    yield from DryRun.of(config, devices, ids).through(_accepted(table, rows))


def _accepted(table: SeriesTable, rows: Iterable[Readings]) -> Iterator[Batch]:
    """Yield rows as ingest would append them, a stretch of time at once."""
    state, begun = MeterState.fresh(len(table)), 0
    times: list[int] = []
    series: list[int] = []
    values: list[float] = []

    def derived() -> Batch:
        nonlocal state
        measured = make(_header(INPUT), times, series, values)
        state, measured, following = derive(table, state, measured)
        return concat(measured.header, [measured, following])

    for time_ns, readings in rows:
        if times and time_ns >= begun + _PACE_MIN * _MINUTE_NS:
            yield derived()
            times, series, values = [], [], []
        begun = begun if times else time_ns
        known = [(table.ids[key], value) for key, value in readings.items() if key in table.ids]
        times += [time_ns] * len(known)
        series += [number for number, _ in known]
        values += [value for _, value in known]
    if times:
        yield derived()


@dataclass(frozen=True)
class DryRun:
    """The stages some alerts stand on; `needed` are the ids of the rows they take. Figures are computed anew."""

    alerts: list[Alert[Rule]]
    windows: Windows
    stage: Alerts
    needed: frozenset[int]

    @classmethod
    def of(
        cls,
        config: Gateway,
        devices: Collection[BoundDevice],
        ids: Mapping[str, int],
        wanted: Callable[[Alert[Rule]], bool] = lambda alert: True,
    ) -> DryRun:
        """Return the dry run of the alerts that are wanted; `ids` of all series, those of the alerts included."""
        asked = _Asked(ids)
        context = Context.of(config, devices, asked)
        found, alerts = context.figures, [alert for alert in context.alerts if wanted(alert)]
        stage = alert_stage(alerts, context)
        keys = set(asked.keys_asked)
        figures = [figure for figure in found if keys & _own(figure)]
        inputs = {key for figure in figures for key in _inputs(figure)}
        made = {key for figure in found for key in _own(figure)} | {k for alert in alerts for k in _parts(alert)}
        needed = frozenset(ids[key] for key in (keys | inputs) - made - {TICK_KEY})
        return cls(alerts, windows_stage(config, figures, ids), stage, needed)

    def through(self, batches: Iterable[Batch]) -> Iterator[Transition]:
        """Yield what the alerts tell over batches in the order of time; each begins where the one before ended."""
        windows: dict[str, Any] = {}
        alerts: dict[str, Any] = {}
        told = _Told(self.alerts, self.stage)
        for batch in self._paced(batches):
            windows, figures = self.windows.fold(windows, batch, _header(WINDOW))
            for part in (batch, figures):
                if len(part):
                    alerts, out = self.stage.fold(alerts, part, _header(ALERT))
                    yield from told.of(out)

    def _paced(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield rows with a tick each second, cut where windows are told: then a figure meets the ticks it would."""
        graces = sorted({int(group.grace_ns) for group in self.windows.groups}) or [0]
        edges = {edge for g in self.windows.groups for shift in g.calendar.shifts for edge in shift}
        pace = gcd(_PACE_MIN, *(edge.hour * 60 + edge.minute for edge in edges)) * _MINUTE_NS
        begun = 0
        held: Batch | None = None
        for batch in batches:
            rows = batch if held is None else concat(batch.header, [held, batch])
            rows = rows.take(np.argsort(rows.time_ns, kind="stable"))
            if not len(rows):
                continue
            begun = begun or int(rows.time_ns[0]) // SECOND_NS * SECOND_NS
            last = int(rows.time_ns[-1])
            while (end := _next_cut(begun, pace, graces)) <= last:
                until = int(np.searchsorted(rows.time_ns, end, "right"))
                yield _ticked(rows.take(slice(0, until)), begun, end, self.stage.tick)
                rows, begun = rows.take(slice(until, None)), end
            held = rows
        if held is not None and len(held):
            yield _ticked(held, begun, int(held.time_ns[-1]), self.stage.tick)


def _next_cut(time_ns: int, pace_ns: int, graces: Iterable[int]) -> int:
    return min(((time_ns - grace) // pace_ns + 1) * pace_ns + grace for grace in graces)


def _ticked(rows: Batch, begun: int, end: int, tick: int) -> Batch:
    """Return rows with the ticks of (begun, end]; of one instant the tick comes last."""
    times = np.arange(begun // SECOND_NS + 1, end // SECOND_NS + 1) * SECOND_NS
    if not len(times):
        return rows
    every = concat(rows.header, [rows, make(rows.header, times, np.full(len(times), tick), 0.0)])
    return every.take(np.argsort(every.time_ns, kind="stable"))


class _Told:
    """Rows of the stage → transitions; of one alert and instant they are one."""

    def __init__(self, alerts: Iterable[Alert[Rule]], stage: Alerts) -> None:
        self._alerts = list(alerts)
        self._status = [Status.CLEAR] * len(self._alerts)
        self._place = {
            series: (number, part)
            for number, slot in enumerate(stage.slots)
            for part, series in enumerate((slot.state, slot.value, slot.limit, slot.excess))
        }

    def of(self, out: Batch) -> Iterator[Transition]:
        """Yield what rows tell; two transitions at one instant (pending, then firing) are two."""
        found: list[tuple[int, int, list[float]]] = []
        for time_ns, series, value in zip(out.time_ns.tolist(), out.series.tolist(), out.value.tolist(), strict=True):
            number, part = self._place[series]
            same = next((f for f in reversed(found) if f[:2] == (number, time_ns)), None)
            if same is None or (part == 0 and not np.isnan(same[2][0])):
                before = [np.nan, *same[2][1:]] if same else [np.nan] * 4
                same = (number, time_ns, before)
                found.append(same)
            same[2][part] = value
        for number, time_ns, (status, *rest) in found:
            changed = not np.isnan(status)
            if changed:
                self._status[number] = Status(int(status))
            yield Transition(self._alerts[number], time_ns, self._status[number], changed, *rest)


class _Asked(Mapping[str, int]):
    """Ids of series that remembers which were asked for."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        self.keys_asked: dict[str, None] = {}

    def __getitem__(self, key: str) -> int:
        number = self._ids[key]
        self.keys_asked[key] = None
        return number

    def __contains__(self, key: object) -> bool:
        return key in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _own(figure: Figure) -> set[str]:
    return {figure.key, figure.completeness, *([figure.grade] if figure.grade else [])}


def _inputs(figure: Figure) -> Iterator[str]:
    """Yield the keys of the series a figure is computed from."""
    for over in leaves(figure.plan):
        signal = getattr(over, "signal", None)
        if isinstance(signal, AmountOf):
            yield signal.key
        elif signal is not None:
            yield from (leaf.key for leaf in leaves(signal) if isinstance(leaf, Input))


def _parts(alert: Alert[Rule]) -> Iterator[str]:
    return (part_key(alert, quantity) for quantity in ("alert", "alert_value", "alert_limit", "alert_excess"))


def _header(stratum: int) -> Header:
    return Header("dry-run", 1, "dry-run", 0, 0, stratum)


def with_new(stored: Mapping[str, int], keys: Iterable[str]) -> dict[str, int]:
    """Return the ids a log has given, and others for keys it does not know: no row of the past has those."""
    fresh = count(max(stored.values(), default=-1) + 1)
    return {key: stored[key] if key in stored else next(fresh) for key in keys}
