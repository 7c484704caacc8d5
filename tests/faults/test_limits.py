"""Too few file descriptors, too little memory: a sentence, an orderly end or a wait, and nothing accepted is lost."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.faults.kept_up import kept_up
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto


def in_use(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def address_space(pid: int) -> int:
    """Return the address space a process has taken [bytes]."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


LIMITS: Final[dict[str, tuple[int, Callable[[int], int]]]] = {
    "file descriptors": (resource.RLIMIT_NOFILE, in_use),
    "memory": (resource.RLIMIT_AS, address_space),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each limit on its own in full, one after the other in the small dose."""
    if "whats" in metafunc.fixturenames:
        each = [(what,) for what in LIMITS] if metafunc.config.getoption("--full") else [tuple(LIMITS)]
        metafunc.parametrize("whats", each, ids=lambda whats: whats[0])


def test_runs_against_a_limit(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, whats: tuple[str, ...], full: bool
) -> None:
    """The limit comes down to what the running gateway holds, while its database goes and comes: it wants more."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    times, back_s = 5 if full else 1, 0.0
    with plant.alive():
        with kept_up(plant) as gateway:
            for kind, used in [LIMITS[what] for what in whats] * times:
                gateway.accepts(time.monotonic())
                process = plant.process
                assert process is not None
                before = resource.prlimit(process.pid, kind)
                resource.prlimit(process.pid, kind, (used(process.pid), before[1]))
                influx.restart()
                time.sleep(5 if full else 1)
                since = time.monotonic()
                if process.poll() is None:
                    resource.prlimit(process.pid, kind, before)
                back_s = max(back_s, gateway.accepts(since))
                # What asks for memory in vain ends as it may: Python in order, a C library with a signal or 127.
                if kind == resource.RLIMIT_NOFILE:
                    assert set(gateway.ended) <= {1}, (gateway.ended, plant.log[-3000:])
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    more = f"ended and started again {len(gateway.ended)} times (exit codes {sorted(set(gateway.ended))})"
    happened(
        Fault(
            "limits",
            f"no more {' or '.join(whats)} than the running gateway holds, {times} times",
            verdict,
            back_s,
            more,
        )
    )
