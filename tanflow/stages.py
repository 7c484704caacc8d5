"""Configured windows and alerts → the stages that compute them, each with the ids of what it reads and appends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from config.model import EnergyIntensity, Gateway
from pipeline import threshold
from pipeline.clock import SECOND_NS
from pipeline.compile import alert_key, window_keys
from pipeline.consume import Stage
from pipeline.heartbeat import TICK_KEY
from pipeline.intensity import Calendar, Intensity


def stages(config: Gateway, ids: Mapping[str, int]) -> Iterator[Stage]:
    """Yield every stage of a configuration, windows before the alerts that read them."""
    for name, window in config.windows.items():
        yield _intensity(config, name, window, ids)
    for name in config.alerts:
        yield _threshold(config, name, ids)


def _intensity(config: Gateway, name: str, window: EnergyIntensity, ids: Mapping[str, int]) -> Intensity:
    site = config.site
    intensity, completeness = (ids[key] for key in window_keys(window, name))
    return Intensity(
        name=name,
        calendar=Calendar(
            ZoneInfo(site.zone),
            int(window.every.removesuffix("min")) * 60 * SECOND_NS,
            [(s.start, s.end) for s in site.shifts.values()] if window.shifts_only else (),
        ),
        energy=frozenset(ids[f"{point}.energy"] for point in window.energy),
        product=ids[f"{window.product}.mass"],
        tick=ids[TICK_KEY],
        grace_ns=int(window.grace_s * SECOND_NS),
        intensity=intensity,
        completeness=completeness,
    )


def _threshold(config: Gateway, name: str, ids: Mapping[str, int]) -> threshold.Threshold:
    rule = config.alerts[name]
    # A window is known only after its grace: without that, a hold as long as a window would end before the next one.
    hold_s = rule.hold_s + config.windows[rule.window].grace_s if rule.hold_s else 0.0
    watched, completeness = (ids[key] for key in window_keys(config.windows[rule.window], rule.window))
    return threshold.Threshold(
        name=name,
        watched=watched,
        completeness=completeness,
        tick=ids[TICK_KEY],
        above=rule.above,
        clear_below=rule.clear_below,
        hold_ns=int(hold_s * SECOND_NS),
        min_completeness=rule.min_completeness,
        series=ids[alert_key(config, name)],
    )
