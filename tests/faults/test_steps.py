"""kill -9 between every two steps of a start, a commit, a cut of the history, a delivery; writes half done too."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload, Step
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto


@dataclass(frozen=True)
class Way:
    """Steps of one kind of work, and how many make it up, more than once over."""

    what: str
    kinds: Step
    part: str
    steps: int
    one: int  # that of the small dose
    starting: bool = False  # steps of a start, not of a gateway that accepts
    program: Sequence[str] = ("-m", "tanflow")


WAYS = (
    Way("start of a new gateway", Step.DISK, "", 150, 30, starting=True),
    Way("commit and snapshot", Step.DISK, "log.db", 150, 9),
    Way("cut and roll-up of the history", Step.DISK, "history/", 45, 17),
    # What counts is said by the program itself, as long as it compacts.
    Way("compaction of the history", Step(0), "history/", 75, 12, program=("-m", "tests.faults.hasty")),
    Way("delivery to InfluxDB", Step.SEND, "", 12, 2),
)


def kill_at(plant: Plant, preload: Preload, way: Way, step: int, port: int) -> None:
    """Start the gateway and end it at a step: of its start, or of the work to come once it has accepted something."""
    plant.program = way.program
    if not way.starting:
        plant.start()
        plant.accepts(time.monotonic())
    preload.kill_at(step, way.kinds, way.part, torn=step % 2 == 1, port=port)
    process = plant.start() if way.starting else plant.process
    assert process is not None
    assert process.wait(300) == -signal.SIGKILL, plant.log[-4000:]
    preload.kill_at(0, Step(0))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each kind of work on its own in full, one after the other in the small dose."""
    if "ways" in metafunc.fixturenames:
        each = [(way,) for way in WAYS] if metafunc.config.getoption("--full") else [WAYS]
        metafunc.parametrize("ways", each, ids=lambda ways: ways[0].what)


def test_killed_between_any_two_steps(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload, ways: tuple[Way, ...], full: bool
) -> None:
    """The next start goes on from what the last one has made; none may refuse it."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, environment=preload.environment())
    steps = [(way, step) for way in ways for step in (range(1, way.steps + 1) if full else (way.one,))]
    with plant.alive():
        for way, step in steps:
            kill_at(plant, preload, way, step, influx.port)
        since, plant.program = time.monotonic(), ("-m", "tanflow")
        plant.start()
        back_s = plant.accepts(since)
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    what = "; ".join(way.what for way in ways)
    happened(Fault("process", f"kill -9 before each of {len(steps)} steps: {what}", verdict, back_s))
