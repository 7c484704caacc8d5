"""A ledger whose writer is killed at any moment holds whole transactions, and goes on."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

from carbon.ledger import Ledger, Reason, verify
from tests.carbon.ledger_parts import HOUR, hourly, line


def append_for_ever(folder: Path) -> None:
    """Append transactions of two blocks of entries and a cursor, telling each after its commit."""
    with Ledger.open(folder, write=True) as ledger:
        while True:
            hour = ledger.cursor()[0]
            with ledger.writing() as w:
                many = [line(f"meter-{hour}-{i}") for i in range(200)]
                for of in (many[:100], many[100:]):
                    w.entries(hourly(w, of, [hour * HOUR] * 100, [hour] * 100), Reason("live"))
                w.cursor(hour + 1, b"x" * 5_000)
            print(hour + 1, flush=True)


def test_killed_writers_leave_whole_transactions(tmp_path: Path) -> None:
    dice, told, rolled_back = random.Random(3), 0, 0
    for _ in range(5):
        command = [sys.executable, "-c", f"from {__name__} import *; append_for_ever(Path({str(tmp_path)!r}))"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(dice.randrange(1, 12)):
                told = int(process.stdout.readline())
            _wait_for_a_journal(tmp_path / "ledger.db-journal", process)
            process.send_signal(signal.SIGKILL)
        rolled_back += (tmp_path / "ledger.db-journal").stat().st_size > 0
        verdict = verify(tmp_path)
        assert verdict.problems == []
        with Ledger.open(tmp_path) as ledger:
            position, _ = ledger.cursor()
            assert position >= told
            assert [len(e) for e in ledger.read(0, position * HOUR)] == [200 * position]
            assert verdict.entries == 200 * position
    assert rolled_back > 0  # at least one was killed in the middle of a transaction


def _wait_for_a_journal(path: Path, process: subprocess.Popen[str]) -> None:
    """Return in the middle of a transaction: the journal holds what it would take to undo it."""
    while process.poll() is None and not (path.exists() and path.stat().st_size):
        pass
