"""A simulated factory and a gateway that reads it, in one process; ends with the gateway's account beside the truth."""

from __future__ import annotations

import asyncio
import contextlib
import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from config.load import load
from config.model import Gateway as Config
from pipeline.clock import SECOND_NS, Clock
from pipeline.log.log import LogReader
from pipeline.log.schema import FILE
from simulators.scenario import Scenario
from simulators.serve import serve
from tanflow.gateway import Gateway, open_gateway
from tanflow.running import DEMO_SCENARIO, add_page, stop_on_signals, wait
from tanflow.tally import Line, Tally, compare

out = Console() if Console().is_terminal else Console(width=120)


async def run_demo(seconds: float | None, port: int, data: Path | None, speed: float) -> int:
    """Run the demo factory; returns 0 when nothing was lost and every account agrees with the truth."""
    loaded = load(DEMO_SCENARIO.parent / "factory.yaml")
    scenario = Scenario.load(DEMO_SCENARIO)
    devices, step = scenario.devices()
    stop = stop_on_signals()
    with _directory(data) as directory:
        clock = Clock(anchor_ns=_begin(directory), speed=speed)
        async with serve(
            loaded.gateway, loaded.templates, devices, faults=scenario.faults, step=step, free_ports=True
        ) as served:
            running = asyncio.create_task(served.run(clock, scenario.step_s), name="factory")
            config = _placed(served.gateway, directory, port)
            async with open_gateway(config, loaded.templates, clock=clock) as gateway:
                add_page(gateway)
                tally = Tally(gateway.table, gateway.history.cursor, clock.anchor_ns)
                following = asyncio.create_task(tally.run(gateway.log), name="tally")
                page = f" · page at http://127.0.0.1:{port}/" if port else ""  # a free port is told by the API
                page = f" · page at http://127.0.0.1:{port}/" if port else ""
                out.print(f"factory at {speed:g}× · data in {directory}{page} · Ctrl-C ends", soft_wrap=True)
                timer = asyncio.create_task(_stop_after(stop, seconds), name="timer")
                await gateway.run(stop)
                timer.cancel()
                following.cancel()
                running.cancel()
                while tally.step(gateway.log):
                    pass
                result = Result.of(gateway, tally, await gateway.history.count())
    lines = list(compare(tally.accounts, devices))
    out.print(result.table())
    out.print(_comparison(lines))
    return 0 if result.lost == 0 and result.backlog == 0 and all(line.agrees for line in lines) else 1


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


def _begin(directory: Path) -> int:
    """Return when the clock begins [ns UTC]: now, or where an earlier, faster demo on this data has come to."""
    last_ns = 0
    if (directory / FILE).exists():
        reader = LogReader(directory)
        last_ns = reader.last_received_ns()
        reader.close()
    return max(time.time_ns(), last_ns + SECOND_NS)


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
        earlier = stored - gateway.board.component("history").delivered
        return cls(tally.readings, rejected, tally.rows, stored - earlier, backlog)

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
