"""The script of docs/ledger.md verifies a ledger with nothing of ours, and sees what was changed."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from carbon.ledger import Head, Ledger, Reason
from tests.carbon.ledger_parts import HOUR, factor, hourly, line, meter

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


@pytest.fixture
def head(tmp_path: Path) -> Head:
    """A ledger whose columns are stored in all three ways."""
    with Ledger.open(tmp_path, write=True) as ledger:
        for kg in (0.5, 0.6):
            with ledger.writing() as w:
                time, amounts = [hour * HOUR for hour in range(50)], np.arange(50) ** 3 * 7919
                entries = hourly(w, [line("a")] * 50, time, amounts.tolist(), factor(kg), meter())
                entries.peak[:] = np.nan if kg == 0.5 else np.arange(50)
                w.entries(entries, Reason("live"))
        with ledger.writing() as w:
            w.document({"what": "invoice"})
        return ledger.head()


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    return subprocess.run([sys.executable, "-c", script, str(folder / "ledger.db")], capture_output=True, text=True)


def test_an_auditor_finds_our_head(tmp_path: Path, head: Head) -> None:
    said = audit(tmp_path)
    assert (said.returncode, said.stdout.strip()) == (0, str(head)), said.stderr


def test_an_auditor_sees_a_change(tmp_path: Path, head: Head) -> None:
    database = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    database.execute("UPDATE chain SET at_ns = at_ns + 1 WHERE seq = 2")
    database.close()
    assert "block 2 was changed" in audit(tmp_path).stderr
