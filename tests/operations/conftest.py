"""A data directory that is there at once, that of an earlier gateway; and a gateway that has begun."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.faults.plant import Plant

EARLIER = Path(__file__).parent.parent / "data" / "earlier-first-ledger"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The data directory as that gateway left it."""
    with tarfile.open(EARLIER / "data.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def started(plant: Plant) -> None:
    """Start a plant's gateway, and wait until it accepts and its database has nearly everything."""
    plant.start()
    plant.until(lambda: plant.witness.last_position() > 5, "the first commits")
    plant.caught_up()
