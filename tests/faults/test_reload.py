"""SIGHUP after SIGHUP with a changed configuration while messages flow; killed amid it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import orjson
import yaml

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SEED = 20_260_104


class Changes:
    """Changes a gateway's configuration again and again: how often meters are asked, and one more asset or not."""

    def __init__(self, plant: Plant) -> None:
        self.plant, self.made = plant, 0
        self.answer = plant.data / "reload.json"

    def make(self) -> None:
        """Write the next one and tell the gateway."""
        self.made += 1
        told = yaml.safe_load(self.plant.config.read_text())
        told["connections"]["floor"]["every_s"] = 0.05 + 0.01 * (self.made % 3)
        told["areas"]["hall"]["assets"][METERS[0]]["rated_kw"] = 100 + self.made % 2
        self.plant.config.write_text(yaml.safe_dump(told))
        assert self.plant.process is not None
        self.plant.process.send_signal(signal.SIGHUP)

    def taken(self) -> None:
        """Return when the gateway has taken one over that was made after this was called."""
        before = self.answer.stat().st_mtime_ns if self.answer.exists() else 0
        self.make()
        self.plant.until(lambda: self.answer.exists() and self.answer.stat().st_mtime_ns > before, "the reload")
        assert not orjson.loads(self.answer.read_bytes())["problems"], self.answer.read_text()


def test_reloaded_under_load_and_killed_in_it(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool
) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    chance, rounds, each, back_s = random.Random(SEED), 30 if full else 2, 5 if full else 2, 0.0
    changes = Changes(plant)
    with plant.alive():
        for _ in range(rounds):
            plant.start()
            plant.accepts(time.monotonic())
            for _ in range(each):
                changes.taken()
                back_s = max(back_s, plant.accepts(time.monotonic()))
            changes.make()
            time.sleep(chance.uniform(0.0, 0.5))  # the random moment is the point of it
            plant.kill()
        plant.start()
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    what = f"reload under load, {rounds * (each + 1)} times, {rounds} of them killed in it"
    happened(Fault("process", what, verdict, back_s))
