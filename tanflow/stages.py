"""Figures and alerts of a configuration → the stages that compute them, with the ids of what they read and append."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from zoneinfo import ZoneInfo

from config.kpis import Figure, tolerance
from config.model import Gateway, Site
from pipeline.alerts.compile import alert_stage
from pipeline.alerts.context import Context
from pipeline.calendar import Calendar
from pipeline.clock import SECOND_NS
from pipeline.compile_windows import STAGE
from pipeline.consume import Stage
from pipeline.figures import Kpi, Limits
from pipeline.heartbeat import TICK_KEY
from pipeline.kpi import Windows

_HOUR_NS = 3_600 * SECOND_NS


def stages(context: Context) -> Iterator[Stage]:
    """Yield every stage of a configuration: all figures over windows, then the alerts."""
    windows = windows_stage(context.config, context.figures, context.ids)
    if windows.kpis:
        yield windows
    if context.alerts:
        yield alert_stage(context.alerts, context)


def windows_stage(config: Gateway, figures: Iterable[Figure], ids: Mapping[str, int]) -> Windows:
    """Return the stage that computes figures."""
    return Windows([_kpi(config.site, figure, ids) for figure in figures], ids, ids[TICK_KEY], STAGE)


def _kpi(site: Site, figure: Figure, ids: Mapping[str, int]) -> Kpi:
    by_shift = figure.every == "shift" or figure.during != "always"
    shifts = tuple((s.start, s.end) for s in site.shifts.values()) if by_shift else ()
    return Kpi(
        key=figure.key,
        plan=figure.plan,
        calendar=Calendar(ZoneInfo(site.zone), figure.every, shifts, figure.during),
        grace_ns=int(figure.grace_s * SECOND_NS),
        keep_ns=int(figure.keep_h * _HOUR_NS),
        value=ids[figure.key],
        completeness=ids[figure.completeness],
        grade=ids[figure.grade] if figure.grade else -1,
        sane=figure.sane or (-float("inf"), float("inf")),
        limits=Limits(figure.limits, *tolerance(figure)) if figure.limits else None,
    )
