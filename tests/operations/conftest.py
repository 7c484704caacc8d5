"""A data directory that is there at once: that of an earlier gateway."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

EARLIER = Path(__file__).parent.parent / "data" / "earlier-first-ledger"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The data directory as that gateway left it."""
    with tarfile.open(EARLIER / "data.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "data"
