"""Log or ledger of a data directory gone, emptied or put back too old: no start, nothing in its place, and the doctor
says the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from config.errors import GatewayError
from config.model import Data
from tanflow.ground import open_ground
from tanflow.soundness import problems
from tests.operations.asking import finding
from tests.operations.test_doctor import Still, still

__all__ = ["still"]


def gone(file: Path) -> None:
    file.unlink()


def emptied(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("name", "lose", "words"),
    [
        ("ledger.db", gone, "ledger.db is gone, but its block 3 has been published"),
        ("ledger.db", emptied, "ledger.db is empty, but its block 3 has been published"),
        ("log.db", gone, "log.db is gone, but the history reaches its position"),
        ("log.db", emptied, "log.db is empty, but the history reaches its position"),
    ],
)
async def test_what_is_gone_is_not_begun_anew(
    still: Still, name: str, lose: Callable[[Path], None], words: str
) -> None:
    lose(still.data / name)
    before = [(p.name, p.stat().st_size) for p in sorted(still.data.glob(f"{name}*"))]
    with pytest.raises(GatewayError, match=words):
        async with open_ground(Data(dir=still.data, ballast_mb=1)):
            pass
    assert [(p.name, p.stat().st_size) for p in sorted(still.data.glob(f"{name}*"))] == before
    assert "tanflow restore" in finding(still.ask(), words)["do"]


async def test_a_log_without_history_is_gone_where_it_was_booked(still: Still) -> None:
    shutil.rmtree(still.data / "history")
    (still.data / "log.db").unlink()
    with pytest.raises(GatewayError, match=r"log.db is gone, but ledger.db was booked up to its position \d+"):
        async with open_ground(Data(dir=still.data, ballast_mb=1)):
            pass


async def test_a_ledger_of_no_log_is_refused_as_the_doctor_says(still: Still, tmp_path: Path) -> None:
    """One that was begun anew, by whoever entered a document."""
    (still.data / "ledger.db").unlink()
    async with open_ground(Data(dir=tmp_path / "other", ballast_mb=1)):
        pass
    shutil.copy(tmp_path / "other" / "ledger.db", still.data)
    with pytest.raises(GatewayError, match=r"ledger.db ends at block 0, but block 3 has been published"):
        async with open_ground(Data(dir=still.data, ballast_mb=1)):
            pass
    assert "ends at block 0" in problems(still.data)[0]
