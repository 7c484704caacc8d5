"""How long a reload takes and what it costs those who read on: `python -m benchmarks.reload [--devices N]`.

Simulated machines of 62 values each on one connection at 1 Hz; another connection's period changes, again and again.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import orjson

from benchmarks.plant import Plant, configuration, simulated
from benchmarks.process import Program, python
from pipeline.gaps import Gap
from pipeline.log.log import LogReader
from tanflow.reload import Outcome

_UNITS = 100
_VALUES = 62
_STEADY_S = 20.0


def prepared(plant: Plant, folder: Path) -> Path:
    """Write the configuration of a plant whose first machine stands on a connection of its own."""
    path = configuration(plant, folder, "http://127.0.0.1:1", "none", 0)
    config = orjson.loads(path.read_bytes())
    config |= {"api": None, "sinks": {}}
    config["connections"]["apart"] = {"protocol": "modbus", "every_s": 1}
    first = next(iter(config["areas"]["hall"]["assets"].values()))
    first["devices"]["m"]["connection"] = "apart"
    path.write_bytes(orjson.dumps(config))
    return path


def reload(path: Path, every_s: float) -> tuple[float, Outcome]:
    """Change the period of the connection apart; return how long `tanflow reload` took [s] and what came of it."""
    config = orjson.loads(path.read_bytes())
    config["connections"]["apart"]["every_s"] = every_s
    path.write_bytes(orjson.dumps(config))
    began = time.monotonic()
    subprocess.run(python("-m", "tanflow", "reload", "-c", str(path)), check=True, stdout=subprocess.DEVNULL)
    outcome = Outcome.last(path.parent / "data")
    assert outcome is not None
    assert not outcome.problems, outcome.sentence()
    return time.monotonic() - began, outcome


def missed(data: Path, since_ns: int) -> int:
    """Return how many cycles of machines that were to read on are gap rows since then."""
    reader = LogReader(data)
    ids = {number for key, number in reader.query("SELECT key, id FROM series") if key.endswith(".m-gap.gap")}
    rows, position = 0, 0
    while windows := reader.read_raw(position):
        for batch in (b for w in windows for b in w.batches if b.header.connection == "floor"):
            rows += sum(
                s in ids and v == Gap.MISSED and t > since_ns
                for s, v, t in zip(batch.series.tolist(), batch.value.tolist(), batch.time_ns.tolist(), strict=True)
            )
        position = windows[-1].position
    reader.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200, help="machines of 62 values each, a multiple of 100")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with simulated(folder, given.devices // _UNITS, _UNITS, _VALUES) as plant:
            path = prepared(plant, folder)
            with Program(python("-m", "tanflow", "run", "-c", str(path)), folder / "gateway.log") as gateway:
                time.sleep(_STEADY_S)
                gateway.check()
                since_ns = time.time_ns()
                told = [reload(path, 2.0 + n) for n in range(given.times)]
                time.sleep(3.0)
            rows = missed(folder / "data", since_ns)
    took, held = [t for t, _ in told], [o.held_s for _, o in told]
    print(f"{given.devices} machines, {given.devices * _VALUES:,} points at 1 Hz, {given.times} reloads (medians):")
    print(f"the command {statistics.median(took):.2f} s; what was read waited {statistics.median(held):.2f} s")
    print(f"cycles missed by the {given.devices - 1} machines that read on: {rows} in all")


if __name__ == "__main__":
    main()
