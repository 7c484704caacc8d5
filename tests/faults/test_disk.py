"""Disks that are full, under log, history and temporaries, and freed again: nothing accepted is lost, it goes on."""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.clock import SECOND_NS
from pipeline.gaps import Gap
from tests.faults.kept_up import kept_up
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload, Step
from tests.faults.small_disk import SMALL, PretendedDisk, SmallDisk, Tmpfs, may_mount, mounted, tmpfs
from tests.faults.stages import Verdict, judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.waiting import until_sync


@pytest.fixture
def plant(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload) -> Plant:
    """A plant whose gateway has a hand between itself and its disk."""
    influx.create(DATABASE)
    return Plant(tmp_path, influx.url, mosquitto.port, changes=SMALL, environment=preload.environment())


@pytest.fixture
def disk(request: pytest.FixtureRequest, plant: Plant, preload: Preload) -> Iterator[SmallDisk]:
    """The small disk the plant's data directory is on; pretended where nothing can be mounted."""
    if request.param == "tmpfs" and may_mount(plant.data):
        with mounted(plant.data, *tmpfs()):
            yield Tmpfs(plant.data)
    else:
        yield PretendedDisk(preload)


def end(plant: Plant, influx: Influxd) -> Verdict:
    """Stop the running gateway when it has caught up, and judge."""
    plant.caught_up()
    plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    return verdict


def test_the_disk_of_the_data_directory_fills_up(plant: Plant, disk: SmallDisk, influx: Influxd, full: bool) -> None:
    """In turn little by little, with time to stop, and from one moment to the next."""
    times, back_s = 6 if full else 1, 0.0
    with plant.alive():
        with kept_up(plant) as gateway:
            for turn in range(times):
                gateway.accepts(time.monotonic())
                if turn % 2 == 0:
                    disk.fill(left_mb=10)
                    stopped_accepting(plant)
                disk.fill()
                stopped_accepting(plant)
                until_sync(lambda: not (plant.data / "ballast").exists(), 300, "the ballast is freed")
                since = time.monotonic()
                disk.empty()
                back_s = max(back_s, gateway.accepts(since))
        verdict = end(plant, influx)
    assert untold(plant) == []
    what = f"the disk of log and history is full and freed again, {times} times ({type(disk).__name__.lower()})"
    more = f"ended and started again {len(gateway.ended)} times"
    happened(Fault("disk", what, verdict, back_s, more))


def untold(plant: Plant) -> list[str]:
    """Return the meters that were silent for a second and of which no gap row says why.

    What is read while nothing is accepted waits in memory: of a short fault nothing need be missing.
    """
    times, gaps = defaultdict[str, list[int]](list), set()
    for key, time_ns, value in plant.witness.logged():
        if key.endswith(".sequence.count"):
            times[key.split(".")[0]].append(time_ns)
        elif key.endswith("-gap.gap") and value != Gap.NONE:
            gaps.add(key.split(".")[0])
    silent = [m for m in METERS if max(b - a for a, b in pairwise(sorted(times[m]))) > SECOND_NS]
    return [meter for meter in silent if meter not in gaps]


def stopped_accepting(plant: Plant) -> None:
    """Return when the gateway has accepted nothing for a second and says why."""
    until_sync(lambda: "nothing is accepted until there is room" in plant.log, 300, "it stops accepting")
    seen, at = -1, time.monotonic()
    deadline = at + 300
    while time.monotonic() < at + 1.0:
        assert time.monotonic() < deadline, "it goes on accepting"
        if plant.witness.inputs != seen:
            seen, at = plant.witness.inputs, time.monotonic()
        time.sleep(0.05)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """On both kinds of disk in full, on one in the small dose."""
    if "disk" in metafunc.fixturenames:
        kinds = ["tmpfs", "pretended"] if metafunc.config.getoption("--full") else ["tmpfs"]
        metafunc.parametrize("disk", kinds, indirect=True)


def test_the_disk_of_temporaries_is_full(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, library: Path, full: bool
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    preload = Preload(library, tmp_path, temporary)
    preload.kill_at(0, Step.DISK)  # only count
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR"), str(temporary))
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, environment=preload.environment() | places)
    with full_disk(temporary, preload) as how, plant.alive():
        since = time.monotonic()
        plant.start()
        back_s = plant.accepts(since)
        time.sleep(10 if full else 1)
        verdict = end(plant, influx)
        assert {*os.listdir(temporary)} <= {"others"}
    more = f"it tried to write there {preload.counted:,} times" if preload.counted else "it wanted nothing of that disk"
    happened(Fault("disk", f"the disk of temporary files is full all the time ({how})", verdict, back_s, more))


@contextmanager
def full_disk(folder: Path, preload: Preload) -> Iterator[str]:
    """Let a folder be on a full disk until the block is left; yield what it is."""
    if not may_mount(folder):
        preload.fail(errno.ENOSPC, Step.DISK)
        yield "pretended"
        return
    with mounted(folder, *tmpfs()):
        Tmpfs(folder).fill()
        yield "tmpfs"
