"""kill -9 between every two steps of a start, a commit, a cut of the history, a delivery; writes half done too."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.log.schema import FILE
from tests.faults.hasty import COUNTED
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload, Step
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

TANFLOW = ("-m", "tanflow")
HASTY = ("-m", "tests.faults.hasty")
NAMES = Step.DISK & ~Step.WRITE


@dataclass(frozen=True)
class Way:
    """Steps of one kind of work: those before which the gateway is killed, and that of the small dose, 0: none."""

    what: str
    kinds: Step
    part: str
    steps: range
    one: int = 0
    starting: bool = False  # from the start on, not once it has accepted something
    program: tuple[str, str] = TANFLOW


# A commit takes 8 steps and there is a snapshot in every twentieth; a cut takes some 15 and 350 writes, a compaction
# some 25 and 50 to 150 writes, a delivery 5. A checkpoint that was cut short begins anew with the next start.
WAYS = (
    Way("every third step of a start", Step.DISK, "", range(1, 151, 3), 30, starting=True),
    Way("commit and snapshot", Step.DISK, "log.db", range(1, 171), 9),
    Way("writes of a checkpoint of the log", Step.WRITE, "/log.db$", range(1, 31), starting=True),
    Way("end of a checkpoint of the log", Step.SYNC, "/log.db$", range(1, 3), starting=True),
    Way("cut and roll-up of the history", NAMES, "history/", range(1, 46), 5),
    Way("every tenth write of a cut and roll-up", Step.WRITE, "history/", range(1, 400, 10)),
    Way("compaction of the history", NAMES, "history/", range(1, 46), 8, program=HASTY),
    Way("every tenth write of a compaction", Step.WRITE, "history/", range(1, 200, 10), program=HASTY),
    Way("delivery to InfluxDB", Step.SEND, "", range(1, 13), 2),
)


def kill_at(plant: Plant, preload: Preload, way: Way, step: int, port: int) -> None:
    """Start the gateway and end it at a step, counted from its start on or once it has accepted something."""
    plant.program, plant.environment = way.program, preload.environment() | {COUNTED: str(int(way.kinds))}
    fresh = not (plant.data / FILE).exists()
    if not way.starting or (way.part and fresh):  # who makes the log writes the file itself
        plant.start()
        plant.accepts(time.monotonic())
    if way.starting:
        plant.kill()
    # What counts while it compacts is said by that program itself.
    preload.kill_at(step, Step(0) if way.program == HASTY else way.kinds, way.part, torn=step % 2 == 1, port=port)
    process = plant.start() if way.starting else plant.process
    assert process is not None
    assert process.wait(300) == -signal.SIGKILL, plant.log[-4000:]
    preload.kill_at(0, Step(0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind of work on its own in full, one after the other in the small dose."""
    if "ways" in metafunc.fixturenames:
        small = tuple(way for way in WAYS if way.one)
        each = [(way,) for way in WAYS] if metafunc.config.getoption("--full") else [small]
        metafunc.parametrize("ways", each, ids=lambda ways: ways[0].what)


def test_killed_between_any_two_steps(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload, ways: tuple[Way, ...], full: bool
) -> None:
    """The next start goes on from what the last one has made; none may refuse it."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, environment=preload.environment())
    steps = [(way, step) for way in ways for step in (way.steps if full else (way.one,))]
    with plant.alive():
        for way, step in steps:
            kill_at(plant, preload, way, step, influx.port)
        since, plant.program = time.monotonic(), TANFLOW
        plant.start()
        back_s = plant.accepts(since)
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    what = "; ".join(way.what for way in ways)
    happened(Fault("process", f"kill -9 before each of {len(steps)} steps: {what}", verdict, back_s))
