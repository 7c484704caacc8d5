"""A data directory that is there at once, that of an earlier gateway; clocks that fit it; a gateway that has begun."""

from __future__ import annotations

import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.clock import SECOND_NS, Clock
from pipeline.log.log import LogReader
from tests.faults.plant import Plant
from tests.faults.wall import wall, wall_library

__all__ = ["wall", "wall_library"]

EARLIER = Path(__file__).parent.parent / "data" / "earlier-first-ledger"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The data directory as that gateway left it."""
    with tarfile.open(EARLIER / "data.tar.xz") as tar:
        tar.extractall(tmp_path)  # made here; filter= is of Python 3.11.4 and later
    return tmp_path / "data"


def newest_ns(data: Path) -> int:
    """Return when the newest row of a data directory was received [ns UTC]."""
    with closing(LogReader(data)) as reader:
        return reader.last_received_ns()


def an_hour_later(data: Path) -> Clock:
    """Return the clock of a gateway that starts an hour after the last one ended, whatever the day of the test."""
    return Clock(anchor_ns=newest_ns(data) + 3_600 * SECOND_NS)


def started(plant: Plant) -> None:
    """Start a plant's gateway, and wait until it accepts and its database has nearly everything."""
    plant.start()
    plant.until(lambda: plant.witness.last_position() > 5, "the first commits")
    plant.caught_up()
