"""A second gateway on the same data directory is refused with a sentence; the first does not notice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto


def test_a_second_gateway_is_refused(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    times = 20 if full else 2
    with plant.alive():
        first = plant.start()
        plant.accepts(time.monotonic())
        for _ in range(times):
            command = [sys.executable, "-m", "tanflow", "run", "-c", str(plant.config)]
            second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert second.returncode not in (0, None)
            assert f"belongs to a running gateway (process {first.pid})" in " ".join(second.stderr.split())
            assert "Traceback" not in second.stderr
        back_s = plant.accepts(time.monotonic())
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    assert "stopped" not in verdict.gaps or verdict.gaps["stopped"] <= len(METERS) + 1, "of the start alone"
    happened(Fault("process", f"a second gateway on the same data directory, {times} times", verdict, back_s,
                   "refused, naming the process that runs"))  # fmt: skip
