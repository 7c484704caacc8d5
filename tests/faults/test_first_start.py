"""kill -9 before the steps of a first start, which makes log, ledger and history: the next one goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.preload import Preload
from tests.faults.stages import Verdict
from tests.faults.table import Fault, happened


def test_a_first_start_that_was_killed_stops_no_next_one(tmp_path: Path, preload: Preload, full: bool) -> None:
    """Half made, a log or ledger is made anew: nothing can have been accepted yet."""
    preload.under.mkdir()
    command = [sys.executable, "-m", "tests.faults.first_start", str(preload.under), *(["full"] if full else [])]
    done = subprocess.run(command, env=preload.environment(), capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    killed, refused = json.loads(done.stdout)
    assert refused == []
    assert killed > (300 if full else 40)
    steps = "every step" if full else "the first 30 steps, then every tenth,"
    what = f"{killed} first starts, kill -9 before {steps} of making the data directory; writes half done too"
    happened(Fault("process", what, Verdict(0, 0, 0, None, {}), more="each next start went on"))
