"""Disks that fail: calls that come back with an error, a file system that turns read-only. Then all is well again."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.kept_up import KeptUp, kept_up
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload, Step
from tests.faults.small_disk import SMALL, Ext4, may_loop
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.waiting import until_sync


class Trouble(Protocol):
    """What is done to the disk of a plant, as the table tells it, and whether the gateway ends of it."""

    @property
    def what(self) -> str: ...
    @property
    def ends(self) -> bool: ...
    def begin(self, scene: Scene) -> None: ...
    def over(self, scene: Scene, gateway: KeptUp) -> None:
        """Undo it once the gateway has met it."""


@dataclass
class Scene:
    """The plant, the hand between its gateway and its disk, and the real disk, where there is one."""

    plant: Plant
    preload: Preload
    image: Ext4 | None
    failed: int = 0


@dataclass(frozen=True)
class Calls:
    """Calls that fail with an errno at files whose path has `part`."""

    what: str
    error: int
    kinds: Step
    part: str
    ends: bool = False

    def begin(self, scene: Scene) -> None:
        scene.preload.fail(self.error, self.kinds, self.part)

    def over(self, scene: Scene, gateway: KeptUp) -> None:
        until_sync(lambda: scene.preload.failed > 0, 300, "a call has failed")
        scene.failed += scene.preload.failed
        scene.preload.fail(0, self.kinds)


class Error:
    """An error in a real file system, which becomes read-only, whatever is open; later checked and mounted again."""

    what = "a real ext4 finds an error and turns read-only (errors=remount-ro), is checked and mounted again"
    ends = True

    def begin(self, scene: Scene) -> None:
        assert scene.image is not None
        scene.image.fail()

    def over(self, scene: Scene, gateway: KeptUp) -> None:
        assert scene.image is not None
        gateway.ends(len(gateway.ended))  # it cannot start on it either
        with gateway.held(), scene.plant.witness.set_back():
            scene.image.mend()


CALLS = (
    Calls("writes fail with ENOSPC under the history alone", errno.ENOSPC, Step.WRITE | Step.OPEN, "/history/"),
    Calls("fsync fails with EIO under the log", errno.EIO, Step.SYNC, "/log.db", ends=True),
    Calls("fsync fails with EIO under the history", errno.EIO, Step.SYNC, "/history/"),
    Calls("fsync fails with EIO under the ledger", errno.EIO, Step.SYNC, "/ledger.db"),
    Calls("all that writes fails with EROFS under the data directory", errno.EROFS, Step.DISK, "", ends=True),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each trouble on its own in full, and a real one where one can be made; in the small dose two after each other."""
    if "troubles" in metafunc.fixturenames:
        each: list[tuple[Trouble, ...]] = [(CALLS[0], CALLS[-1])]
        if metafunc.config.getoption("--full"):
            each = [*((calls,) for calls in CALLS), *([(Error(),)] if may_loop() else [])]
        metafunc.parametrize("troubles", each, ids=lambda troubles: troubles[0].what)


@pytest.fixture
def scene(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload, troubles: tuple[Trouble, ...]
) -> Iterator[Scene]:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, changes=SMALL, environment=preload.environment())
    with ExitStack() as stack:
        image = None
        if any(isinstance(trouble, Error) for trouble in troubles):
            image = Ext4(plant.data, tmp_path / "disk.img")
            stack.callback(image.away)
        yield Scene(plant, preload, image)


def test_goes_on_when_it_is_over(scene: Scene, influx: Influxd, troubles: tuple[Trouble, ...], full: bool) -> None:
    plant, times, back_s = scene.plant, 5 if full else 1, 0.0
    with plant.alive():
        with kept_up(plant) as gateway:
            for trouble in troubles * times:
                gateway.accepts(time.monotonic())
                before = len(gateway.ended)
                trouble.begin(scene)
                if trouble.ends:
                    gateway.ends(before)
                trouble.over(scene, gateway)
                back_s = max(back_s, gateway.accepts(time.monotonic()))
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    assert set(gateway.ended) <= {1}, "it ends in order, and is started again"
    what = "; ".join(trouble.what for trouble in troubles)
    more = f"{scene.failed:,} calls failed; " if scene.failed else ""
    more += f"ended and started again {len(gateway.ended)} times"
    happened(Fault("disk", f"{what}, {times} times", verdict, back_s, more))
