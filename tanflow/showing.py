"""A scenario of the demo → how it is run, what its alerts do as it goes, and whether that is what it states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.bindings import bind
from config.errors import ConfigError, Problem
from config.explain import nearest
from config.load import load
from config.model import Gateway as Config
from pipeline.alerts.stage import Status
from pipeline.batch import ALERT, Batch
from pipeline.clock import SECOND_NS
from pipeline.log.log import Log
from pipeline.series import SeriesTable
from simulators.in_process import InProcess
from simulators.scenario import Scenario, Showing
from tanflow.dry_run import Transition, run
from tanflow.running import DEMO_SCENARIO

SCENARIOS: Final = Path(__file__).parent.parent / "simulators" / "scenarios"
_CHUNK_ROWS: Final = 50_000
_LOOKS_PER_S: Final = 20.0  # on the wall: what two busy cores read of the demo factory and hardly miss a look
_PATIENCE_S: Final = 5.0  # on the wall
UNPACED: Final = 120.0  # up to this speed the configuration stays as it is written
_PARTS: Final = ("alert_value", "alert_limit", "alert_excess")


def names() -> list[str]:
    """Return the scenarios the demo can show."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def scenario(name: str) -> Scenario:
    """Return a scenario by its name; raises ConfigError for one that is not there."""
    if name not in names():
        raise ConfigError([Problem("--scenario", 1, name, f"there is no such scenario{nearest(name, names())}")])
    return Scenario.load(SCENARIOS / f"{name}.yaml")


def paced(config: Config, scenario: Scenario, speed: float) -> tuple[Config, Scenario]:
    """Return both so that the plant steps, and is read, as often as the wall allows at this speed.

    What a busy machine keeps waiting on the wall is no silence of a device: its alerts bear five seconds of it, and
    power is integrated over so long.
    """
    step_s = scenario.step_s if speed <= UNPACED else max(scenario.step_s, speed / _LOOKS_PER_S)
    if step_s == 1.0:
        return config, scenario
    data: dict[str, Any] = config.model_dump()
    for name, connection in data["connections"].items():
        if connection["protocol"] != "mqtt":
            connection["every_s"] = step_s
        rule = {"type": "health", "component": f"collector.{name}", "hold_s": max(300.0, _PATIENCE_S * speed)}
        data["alerts"][f"collector-{name}-down"] = rule
    for area in data["areas"].values():
        for asset, about in area["assets"].items():
            about["max_hold_s"] = max(about["max_hold_s"], _PATIENCE_S * speed)
            for name, device in about["devices"].items():
                if data["connections"][device["connection"]]["protocol"] == "mqtt":
                    device["every_s"] = step_s
                after_s = max(20 * step_s, _PATIENCE_S * speed)
                rule = {"type": "stale", "device": f"{asset}.{name}", "after_s": max(300.0, after_s)}
                data["alerts"][f"{asset}-{name}-stale"] = rule
    return Config.model_validate(data), scenario.model_copy(update={"step_s": step_s})


class Rehearsal:
    """A scenario read in process, without protocols, log or clock; `devices` have the truth once it is run."""

    def __init__(self, scenario: Scenario, begin_ns: int | None = None) -> None:
        loaded = load(scenario.gateway or DEMO_SCENARIO.parent / "factory.yaml")
        self._config, scenario = paced(loaded.gateway, scenario, 1.0)
        self._templates = loaded.templates
        self._plant = InProcess(scenario, list(bind(self._config, loaded.templates)))
        self.devices = self._plant.devices
        self.zone = self._config.site.zone
        self.begin_ns = scenario.demo.begin_ns(self.zone) if begin_ns is None and scenario.demo else begin_ns or 0

    def run(self, seconds: float) -> Iterator[Transition]:
        """Yield what the alerts do in so long."""
        yield from run(self._config, self._templates, self._plant.readings(self.begin_ns, seconds))


@dataclass(frozen=True, slots=True)
class Told:
    """One transition of an alert: its key as asset.name, when, to what, and what was said with it."""

    alert: str
    time_ns: int
    status: Status
    said: Mapping[str, float]


@dataclass(slots=True)
class Watch:
    """Follows the log and keeps every transition of every alert."""

    table: SeriesTable
    position: int
    told: list[Told] = field(default_factory=list)

    def step(self, log: Log) -> list[Told]:
        """Take what is new in the log and return its transitions."""
        found: list[Told] = []
        while windows := log.read(self.position, _CHUNK_ROWS):
            self.position = windows[-1].position
            for window in windows:
                for batch in window.batches:
                    if batch.header.stratum == ALERT:
                        found += self._of(batch)
        self.told += found
        return found

    def _of(self, batch: Batch) -> Iterator[Told]:
        rows = list(zip(batch.time_ns.tolist(), batch.series.tolist(), batch.value.tolist(), strict=True))
        keys = {series: self.table.spec(series).key.rpartition(".") for _, series, _ in rows}
        said = {(keys[s][0], keys[s][2], at): value for at, s, value in rows}
        for at, series, value in rows:
            alert, _, quantity = keys[series]
            if quantity == "alert":
                parts = {p.removeprefix("alert_"): said[alert, p, at] for p in _PARTS if (alert, p, at) in said}
                yield Told(alert, at, Status(int(value)), parts)


@dataclass(frozen=True, slots=True)
class Course:
    """What a scenario states against what came of it; times are the site's."""

    showing: Showing
    zone: str
    begin_ns: int
    speed: float

    def promise(self) -> str:
        """Return what is to be expected, before it begins."""
        showing = self.showing
        if showing.alert is None:
            return f"{showing.about}: no alert may fire in {_span(showing.lasts_h * 3_600, self.speed)}"
        within = _span((showing.within_h or 0.0) * 3_600, self.speed)
        return f"{showing.about}: {showing.alert} is to fire within {within}"

    def line(self, told: Told) -> str:
        """Return a transition as a line."""
        at = datetime.fromtimestamp(told.time_ns / SECOND_NS, UTC).astimezone(ZoneInfo(self.zone))
        said = ", ".join(f"{name} {value:.4g}" + " kW" * (name == "excess") for name, value in told.said.items())
        return f"{at:%a %Y-%m-%d %H:%M:%S}  {told.alert:34s} {told.status.name.lower():8s} {said}"

    def verdict(self, told: list[Told], now_ns: int) -> tuple[bool, list[str]]:
        """Return whether it went as stated, and what to say of it."""
        fired = [t for t in told if t.status is Status.FIRING]
        mine = [t for t in fired if t.alert == self.showing.alert]
        others = sorted({t.alert for t in fired} - {self.showing.alert})
        lines, good = [], not others
        if self.showing.alert:
            limit_s = (self.showing.within_h or 0.0) * 3_600
            took_s = (mine[0].time_ns - self.begin_ns) / SECOND_NS if mine else float("inf")
            good = good and took_s <= limit_s
            if mine:
                stated = f"stated: {_hours(limit_s)}"
                lines.append(f"{self.showing.alert} fired after {_span(took_s, self.speed)} ({stated})")
            else:
                passed = _hours((now_ns - self.begin_ns) / SECOND_NS)
                lines.append(f"{self.showing.alert} has not fired in {passed} (stated: {_hours(limit_s)})")
        lines.append(f"other alerts that fired: {', '.join(others)}" if others else "no other alert fired")
        return good, lines


def _span(seconds: float, speed: float) -> str:
    return f"{_hours(seconds)} of the plant, {seconds / speed:.0f} s on the wall"


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1_440, minutes // 60 % 24, minutes % 60
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"
