"""Power cuts: what was not synced is gone, in part or wholly, in any order; what was acknowledged is there."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import CalledProcessError
from typing import Protocol

import pytest

from pipeline.log.schema import FILE
from tests.faults.journal import Directory
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload
from tests.faults.small_disk import SMALL, Ext4, may_loop
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SEED = 20_260_102


class Power(Protocol):
    """What the data directory's disk runs on."""

    def on(self) -> None:
        """Do what is to be done before the gateway starts."""

    def off(self) -> int:
        """Take the power of the running gateway; return the last position whose commit must have returned before."""

    def told(self) -> tuple[str, str]:
        """Return what was done, and what else there is to say."""


class Modelled:
    """A model of a disk, from the journal of what the gateway wrote and synced: the worst that is allowed to happen."""

    def __init__(self, plant: Plant, preload: Preload, chance: random.Random) -> None:
        self.plant, self.preload, self.chance = plant, preload, chance
        self.lost = 0

    def on(self) -> None:
        self.before = Directory(self.plant.data)
        self.preload.journal.write_bytes(b"")

    def off(self) -> int:
        self.plant.kill()
        self.before.follow(self.preload.journal)
        assert len(self.before.untold()) <= 1, "the journal misses more than what the kill came amid"
        written = self.plant.witness.last_position()
        # The one writer begins a commit when the last has returned; this one has when nothing of it waits for a sync.
        returned = written if self.before.on_disk(self.plant.data / f"{FILE}-wal") else written - 1
        self.lost += self.before.lose_power(self.chance)
        return returned

    def told(self) -> tuple[str, str]:
        more = f"{self.lost:,} writes and names that were not synced did not survive"
        return "unsynced writes lost or torn in any order (a model of a disk)", more


class Imaged:
    """A real ext4 on a loop device, stopped while the gateway writes; a copy of its image is mounted in its place."""

    def __init__(self, plant: Plant, disk: Ext4) -> None:
        self.plant, self.disk = plant, disk

    def on(self) -> None:
        return

    def off(self) -> int:
        seen = self.plant.witness.last_position()
        self.disk.lose_power()
        self.plant.kill()
        self.disk.back()
        return seen - 1  # the commit it saw last may still have waited for its sync

    def told(self) -> tuple[str, str]:
        return "a real ext4 on a loop device, stopped amid writes, its image copied and mounted again", ""


@contextmanager
def powered(plant: Plant, preload: Preload, disk: str, chance: random.Random) -> Iterator[Power]:
    """Yield the power of a disk of this kind; a real one is unmounted afterwards, and must be sound."""
    if disk == "model":
        plant.environment = preload.environment(journal=True)
        yield Modelled(plant, preload, chance)
        return
    image = Ext4(plant.data, plant.folder / "disk.img")
    try:
        yield Imaged(plant, image)
    except BaseException:
        with suppress(CalledProcessError):
            image.away()
        raise
    image.away()
    assert image.sound()


def cut(plant: Plant, power: Power, chance: random.Random) -> None:
    """Run the gateway for a while, then take its power: each commit that had returned is there."""
    power.on()
    plant.start()
    if chance.random() < 0.8:
        plant.accepts(time.monotonic())
    time.sleep(chance.uniform(0.0, 2.5))  # the random moment is the point of it
    with plant.witness.set_back():
        returned = power.off()
        assert plant.witness.last_position() >= returned, "a commit that had returned is gone"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The model always; in full a real file system, too, where one can be mounted."""
    if "disk" in metafunc.fixturenames:
        real = metafunc.config.getoption("--full") and may_loop()
        metafunc.parametrize("disk", ["model", "image"] if real else ["model"])


def test_the_power_goes_at_random_moments(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload, disk: str, full: bool
) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, changes=SMALL)
    chance, cuts = random.Random(SEED), 100 if full else 1
    with powered(plant, preload, disk, chance) as power:
        with plant.alive():
            for _ in range(cuts):
                cut(plant, power, chance)
            since = time.monotonic()
            plant.start()
            back_s = plant.accepts(since)
            plant.caught_up()
            plant.stop()
        verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    how, more = power.told()
    kept = f"each commit that had returned was there, of meters and messages; {len(plant.publisher.acked):,} messages"
    what = f"power cut at {cuts} random moments: {how}"
    happened(Fault("disk", what, verdict, back_s, f"{more}; {kept}" if more else kept))
