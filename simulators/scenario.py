"""A scenario file enters; its devices, served where a gateway's configuration reads them, leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, ValidationError, model_validator

from config.errors import ConfigError, Problem
from config.explain import explain
from config.load import load
from config.model import Gateway
from config.points import DeviceMap
from config.strict import Name, Seconds, Strict
from config.templates import load_all
from config.yaml_lines import Unreadable, locate, read
from pipeline.clock import SECOND_NS, Clock
from simulators.device import Device
from simulators.events import Event, problem
from simulators.faults import Fault
from simulators.plant import Plant
from simulators.replay import Replay, ReplayDevice
from simulators.serve import Served, Step, serve

log = logging.getLogger("tanflow.simulators")

Key = Annotated[str, StringConstraints(pattern=r"^[\w-]+\.[\w-]+$")]  # asset.name of an alert


class Showing(Strict):
    """How the demo shows a scenario: when it begins, how fast time runs, which alert is to come of it and by when."""

    about: str
    begin: datetime  # on the site's clock
    speed: Annotated[float, Field(gt=0, le=7_200)]  # plant seconds per second
    lasts_h: Annotated[float, Field(gt=0, le=40 * 24)]  # over all, on the site's clock
    alert: Key | None = None  # asset.name of the one alert that fires; none does without it
    within_h: Annotated[float, Field(gt=0)] | None = None  # after the beginning: the stated time

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.alert is None) != (self.within_h is None):
            raise ValueError("'alert:' and 'within_h:' go together; leave both out where none is to come")
        if self.begin.tzinfo:
            raise ValueError("'begin:' is on the site's clock, e.g. 2026-06-15 21:30; leave the zone out")
        if self.within_h and self.within_h > self.lasts_h:
            raise ValueError("lasts_h must not be shorter than within_h")
        return self

    def begin_ns(self, zone: str) -> int:
        """Return the beginning [ns UTC] on the clock of a site's zone."""
        return round(self.begin.replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND_NS


class Scenario(Strict):
    """What is simulated and what goes wrong; where it is served stands in `gateway`, the gateway's own file.

    Faults change what devices show, events what their machines do.
    """

    version: Literal[1]
    gateway: Path | None = None  # relative to the scenario's file
    plant: Literal["demo", "none"] = "none"
    seed: int = 1
    own_broker: bool = True  # false: publish to the broker the gateway's configuration names
    step_s: Seconds = 1.0
    replay: dict[Name, Replay] = Field(default_factory=dict)  # by asset
    faults: tuple[Fault, ...] = ()
    events: tuple[Event, ...] = ()
    demo: Showing | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.plant == "none" and not self.replay:
            raise ValueError("nothing to simulate: write 'plant: demo' or 'replay:'")
        return self

    @classmethod
    def load(cls, path: Path) -> Scenario:
        """Return the scenario of a file, its paths made absolute; raises ConfigError with all problems."""
        scenario = _read(path)
        here = path.resolve().parent
        return scenario.model_copy(
            update={
                "gateway": here / scenario.gateway if scenario.gateway else None,
                "replay": {n: r.model_copy(update={"file": here / r.file}) for n, r in scenario.replay.items()},
            }
        )

    def devices(self) -> tuple[dict[str, Device], Step]:
        """Return the simulated devices by asset and the function that steps them all."""
        replays: dict[str, Device] = {name: ReplayDevice(name, replay) for name, replay in self.replay.items()}
        plant = Plant.demo(self.seed, self.step_s) if self.plant == "demo" else None
        if plant:
            plant.suffer(self.events)

        def step(now_ns: int, dt_s: float) -> None:
            if plant:
                plant.step(now_ns)
            for device in replays.values():
                device.step(now_ns, dt_s)

        return ({**plant.devices, **replays} if plant else replays), step

    @asynccontextmanager
    async def open(
        self,
        clock: Clock | None = None,
        *,
        gateway: Gateway | None = None,
        templates: Mapping[str, DeviceMap] | None = None,
        free_ports: bool = False,
    ) -> AsyncIterator[Served]:
        """Serve the scenario; with a `clock` it runs by itself, without one the caller steps it.

        `gateway` stands in for the file. Raises ConfigError, see `serve`.
        """
        if gateway is None:
            if self.gateway is None:
                raise ConfigError([Problem("scenario", 1, "gateway", "say which gateway.yaml reads these devices")])
            gateway = load(self.gateway).gateway
        devices, step = self.devices()
        async with serve(
            gateway,
            load_all() if templates is None else templates,
            devices,
            faults=self.faults,
            step=step,
            free_ports=free_ports,
            own_broker=self.own_broker,
        ) as served:
            if clock is None:
                yield served
                return
            running = asyncio.create_task(served.run(clock, self.step_s), name="simulated plant")
            running.add_done_callback(_tell)
            try:
                yield served
            finally:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("the simulated plant stopped: %s", error, exc_info=error)


def _read(path: Path) -> Scenario:
    """Return the scenario of a file; raises ConfigError with every problem and its line."""
    try:
        data, top, issues = read(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, "scenario", f"cannot be read: {error.strerror}")]) from error
    except Unreadable as error:
        raise ConfigError([Problem(str(path), error.line, "scenario", str(error))]) from error
    found = list(issues)
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        found += [(*locate(top, d["loc"]), explain(d, Scenario)) for d in error.errors(include_url=False)]
    else:
        found += [(*locate(top, at), message) for at, message in _impossible(scenario)]
    if found:
        raise ConfigError([Problem(str(path), n, ".".join(map(str, at)) or "scenario", m) for n, at, m in found])
    return scenario


def _impossible(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the events that cannot happen to what is simulated."""
    machines = Plant.demo().machines if scenario.plant == "demo" else {}
    for n, event in enumerate(scenario.events):
        if why := problem(event, machines):
            yield ("events", n, "asset"), why
