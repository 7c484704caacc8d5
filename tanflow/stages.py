"""Figures and alerts of a configuration → the stages that compute them, with the ids of what they read and append."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from zoneinfo import ZoneInfo

from config.bindings import BoundDevice
from config.kpis import Figure, tolerance
from config.model import Gateway, Site
from pipeline import threshold
from pipeline.calendar import Calendar
from pipeline.clock import SECOND_NS
from pipeline.compile_windows import STAGE, alert_key, figures_of
from pipeline.consume import Stage
from pipeline.figures import Kpi, Limits
from pipeline.heartbeat import TICK_KEY
from pipeline.kpi import Windows

_HOUR_NS = 3_600 * SECOND_NS


def stages(config: Gateway, devices: Collection[BoundDevice], ids: Mapping[str, int]) -> Iterator[Stage]:
    """Yield every stage of a configuration: all figures over windows, then the alerts that read them."""
    found = figures_of(config, devices, ids.keys())
    kpis = [_kpi(config.site, figure, ids) for figure in found]
    if kpis:
        yield Windows(kpis, ids, ids[TICK_KEY], STAGE)
    for name, alert in config.alerts.items():
        watched = found.named(alert.window)
        if watched is not None:
            yield _threshold(config, name, watched, ids)


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


def _threshold(config: Gateway, name: str, watched: Figure, ids: Mapping[str, int]) -> threshold.Threshold:
    rule = config.alerts[name]
    # A window is known only after its grace: without that, a hold as long as a window would end before the next one.
    hold_s = rule.hold_s + watched.grace_s if rule.hold_s else 0.0
    return threshold.Threshold(
        name=name,
        watched=ids[watched.key],
        completeness=ids[watched.completeness],
        tick=ids[TICK_KEY],
        above=rule.above,
        clear_below=rule.clear_below,
        hold_ns=int(hold_s * SECOND_NS),
        min_completeness=rule.min_completeness,
        series=ids[alert_key(watched, name)],
    )
