"""kill -9 of a gateway that reads an OPC UA server with a history: no value doubled, none missing."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import yaml

from config.errors import Unavailable
from pipeline.batch import INPUT
from pipeline.log.log import LogReader
from tests.interop import saw
from tests.services.opcua_history import Start
from tests.waiting import until_sync

KILLS = 6
ITEMS = 8
SEED = 20_261_123


def configuration(directory: Path, url: str) -> Path:
    """Write gateway.yaml: one server, small commits and snapshots so that kills hit each step."""
    points = {f"v{i}": {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s=v{i}"}} for i in range(ITEMS)}
    connection = {"protocol": "opcua", "url": url, "every_s": 0.2, "sampling_s": 0, "queue": 1_000}  # 0: each change
    gateway = {
        "version": 1,
        "site": {"name": "proof", "region": "CN-GD"},
        "data": {"dir": "data", "commit_ms": 50, "snapshot_s": 1, "history": {"cut_s": 3_600}},
        "api": None,
        "connections": {"line": connection | {"backoff_max_s": 1}},
        "areas": {"hall": {"assets": {"press": {"type": "other", "devices": {
            "plc": {"connection": "line", "points": points}}}}}},
    }  # fmt: skip
    path = directory / "gateway.yaml"
    path.write_text(yaml.safe_dump(gateway))
    return path


def start(config: Path) -> subprocess.Popen[bytes]:
    log = (config.parent / "gateway.log").open("ab")
    return subprocess.Popen([sys.executable, "-m", "tanflow", "run", "-c", str(config)], stdout=log, stderr=log)


class Accepted:
    """What the log holds of the server's variables, read beside the gateway."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.rows: dict[str, list[tuple[int, float]]] = {}
        self.position = 0
        self.reader: LogReader | None = None

    def look(self) -> int:
        """Read on; return how many values are accepted."""
        if self.reader is None:
            if not (self.data / "log.db").exists():
                return 0
            try:
                self.reader = LogReader(self.data)
            except Unavailable:  # its tables are being made
                return 0
        self.reader.load_boots()
        names = {number: str(key) for key, number in self.reader.query("SELECT key, id FROM series")}
        for window in self.reader.read(self.position, 10**9):
            assert window.position == self.position + 1, "a commit vanished before it was read"
            self.position = window.position
            for b in (b for b in window.batches if b.header.stratum == INPUT):
                for series, time_ns, value in zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True):
                    self.rows.setdefault(names[series], []).append((time_ns, value))
        return sum(map(len, self.rows.values()))


def test_no_value_is_missing_or_twice_after_kills(start_history: Start, tmp_path: Path) -> None:
    server = start_history("node-opcua", items=ITEMS, step_ms=50)
    config = configuration(tmp_path, server.url)
    accepted, chance = Accepted(tmp_path / "data"), random.Random(SEED)
    for _ in range(KILLS):
        before = accepted.look()
        process = start(config)
        until_sync(lambda before=before: accepted.look() > before, what="something is accepted")
        # The first commits after a start are of what was missed: kills hit those as well as the live values.
        time.sleep(chance.choice([0.0, 0.02, 0.1, 0.5, 1.0]))
        process.kill()
        process.wait()
        time.sleep(chance.uniform(0.0, 2.0))  # nobody listens
    process = start(config)
    more = accepted.look() + 100 * ITEMS
    until_sync(lambda: accepted.look() > more)
    process.terminate()
    process.wait(300)
    accepted.look()
    values = 0
    for item in range(ITEMS):
        rows = accepted.rows[f"press.v{item}.power"]
        twice = [row for row, count in Counter(rows).items() if count > 1]
        assert not twice, twice[:10]
        numbers = [value for _, value in rows if value >= 0]
        assert numbers == sorted(numbers), "what was missed comes before what came later"
        missing = np.flatnonzero(np.diff(numbers) != 1)
        assert not len(missing), [(numbers[i], numbers[i + 1]) for i in missing[:10]]
        values += len(numbers)
    result = f"{values} values, none missing or twice"
    saw("OPC UA history", "node-opcua 2.182 server", f"kill -9 of the gateway, {KILLS} times", result)
