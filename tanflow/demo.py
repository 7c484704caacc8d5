"""A simulated factory and a gateway that reads it, in one process; ends with the gateway's account beside the truth."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from config.errors import ConfigError, Problem
from config.load import load
from config.model import Gateway as Config
from pipeline.clock import SECOND_NS, Clock
from pipeline.log.log import Log, LogReader
from pipeline.log.schema import FILE
from simulators.scenario import Scenario
from simulators.serve import serve
from tanflow import showing
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.running import DEMO_SCENARIO, add_page, stop_on_signals, wait
from tanflow.tally import Line, Tally, compare
from tanflow.tasks import start

out = Console() if Console().is_terminal else Console(width=120)


DEFAULT_SPEED = 10.0


async def run_demo(
    seconds: float | None, port: int, data: Path | None, speed: float | None = None, name: str = ""
) -> int:
    """Run the demo factory, or a scenario of it by name.

    Returns 0 when nothing was lost, every account agrees with the truth and the alerts did what the scenario states.
    """
    scenario = showing.scenario(name) if name else Scenario.load(DEMO_SCENARIO)
    show = scenario.demo
    speed = speed or (show.speed if show else DEFAULT_SPEED)
    loaded = load(DEMO_SCENARIO.parent / "factory.yaml")
    config, scenario = showing.paced(loaded.gateway, scenario, speed)
    devices, step = scenario.devices()
    stop = stop_on_signals()
    if speed > showing.UNPACED:  # a busy machine is late now and then; the table tells what that cost
        logging.getLogger("tanflow.collector").setLevel(logging.ERROR)
    with _directory(data) as directory:
        begin_ns = _begin(directory, show.begin_ns(config.site.zone) if show else None)
        async with serve(
            config, loaded.templates, devices, faults=scenario.faults, step=step, free_ports=True
        ) as served:
            clock = Clock(anchor_ns=begin_ns, speed=speed)  # not before all is served: a fast hour passes meanwhile
            running = start("factory", served.run(clock, scenario.step_s))
            async with open_gateway(_placed(served.gateway, directory, port), loaded.templates, clock=clock) as gateway:
                add_page(gateway)
                earlier = await gateway.history.count()
                tally = Tally(gateway.table, gateway.history.cursor, clock.anchor_ns)
                course = showing.Course(show, config.site.zone, clock.anchor_ns, speed) if show else None
                watch = showing.Watch(gateway.table, gateway.history.cursor)
                page = f" · page at http://127.0.0.1:{port}/" if port else ""  # a free port is told by the API
                out.print(f"factory at {speed:g}× · data in {directory}{page} · Ctrl-C ends", soft_wrap=True)
                lasts_s = show.lasts_h * 3_600 / speed if show and seconds is None else seconds
                await _run(gateway, stop, lasts_s, tally, watch, course)
                running.cancel()
                result = Result.of(gateway, tally, await gateway.history.count() - earlier)
    good, said = course.verdict(watch.told, clock.now_ns()) if course else (True, [])
    agrees = _report(result, list(compare(tally.accounts, devices)), said)
    return 0 if good and agrees else 1


def _report(result: Result, lines: list[Line], said: list[str]) -> bool:
    """Print what became of the readings, the energy and the alerts; return whether all was kept and agrees."""
    out.print(result.table())
    out.print(_comparison(lines))
    out.print(*said, sep="\n", soft_wrap=True)
    return result.lost == 0 and result.backlog == 0 and all(line.agrees for line in lines)


async def _run(
    gateway: Gateway,
    stop: asyncio.Event,
    lasts_s: float | None,
    tally: Tally,
    watch: showing.Watch,
    course: showing.Course | None,
) -> None:
    """Run a gateway until it is stopped or so long [s on the wall]; the account and alerts are followed to the end."""
    beside = [
        start("tally", tally.run(gateway.log)),
        start("alerts", _tell(watch, course, gateway.log)),
        start("timer", _stop_after(stop, lasts_s)),
    ]
    await gateway.run(stop)
    for task in beside:
        task.cancel()
    while tally.step(gateway.log):
        pass
    _print(course, watch.step(gateway.log))


async def _tell(watch: showing.Watch, course: showing.Course | None, log: Log) -> None:
    """Print what alerts do as it comes."""
    if course:
        out.print(course.promise(), soft_wrap=True)
    while True:
        _print(course, watch.step(log))
        await log.changed()


def _print(course: showing.Course | None, told: Iterable[showing.Told]) -> None:
    if course:
        for one in told:
            out.print(course.line(one), soft_wrap=True)


async def _stop_after(stop: asyncio.Event, seconds: float | None) -> None:
    await wait(stop, seconds)
    stop.set()


@contextlib.contextmanager
def _directory(data: Path | None) -> Iterator[Path]:
    if data:
        yield data.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tanflow-demo-") as directory:
        yield Path(directory)


def _begin(directory: Path, wanted_ns: int | None) -> int:
    """Return when the clock begins [ns UTC]: when wanted, else now or where an earlier, faster demo has come to.

    Raises ConfigError where earlier data reach beyond what is wanted.
    """
    last_ns = 0
    if (directory / FILE).exists():
        reader = LogReader(directory)
        last_ns = reader.last_received_ns()
        reader.close()
    if wanted_ns is None:
        return max(time.time_ns(), last_ns + SECOND_NS)
    if last_ns >= wanted_ns:
        why = "its data are newer than the scenario's beginning; give a directory that is empty, or none"
        raise ConfigError([Problem("--data", 1, str(directory), why)])
    return wanted_ns


def _placed(config: Config, directory: Path, port: int) -> Config:
    data = config.data.model_copy(update={"dir": directory})
    api = config.api.model_copy(update={"port": port}) if config.api else None
    return config.model_copy(update={"data": data, "api": api})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the readings: all rows of the log against what the history holds."""

    accepted: int
    rejected: int
    rows: int
    stored: int
    backlog: int

    @classmethod
    def of(cls, gateway: Gateway, tally: Tally, stored: int) -> Result:
        rejected = sum(c.rejected for name, c in gateway.board.components.items() if name.startswith("collector."))
        backlog = gateway.log.reader.rows_after(gateway.history.cursor)
        return cls(tally.readings, rejected, tally.rows, stored, backlog)

    @property
    def lost(self) -> int:
        return self.rows - self.stored - self.backlog

    def table(self) -> Table:
        names = ("readings accepted", "rejected", "rows with what follows", "stored", "backlog", "lost")
        table = Table(*names, box=box.SIMPLE)
        values = (self.accepted, self.rejected, self.rows, self.stored, self.backlog, self.lost)
        table.add_row(*(f"{v:,}" for v in values))
        return table


def _comparison(lines: Iterable[Line]) -> Table:
    table = Table(title="energy between the first and last accepted sample", caption=_CAPTION, box=box.SIMPLE)
    for name in ("asset", "energy kWh", "true kWh", "difference", "bound", "basis", "CO₂e kg", ""):
        table.add_column(name, justify="left" if name in ("asset", "basis") else "right")
    for line in lines:
        difference = line.energy_kwh - line.true_kwh
        shown = "–" if math.isnan(difference) else f"{difference:+.6f}"
        numbers = (f"{line.energy_kwh:.4f}", f"{line.true_kwh:.4f}", shown, f"{line.bound_kwh:.6f}")
        mark = "ok" if line.agrees else "DIFFERS"
        table.add_row(line.asset, *numbers, line.basis, f"{line.co2e_kg:.4f}", mark)
    return table


_CAPTION = (
    "register: within one step of the register. Integrated power: Σ dt·(P_max − P_min) between samples, plus the "
    "spread of the stamps times peak and swing of the power"
)
