"""Power cuts: what was not synced is gone, in part or wholly, in any order; what was acknowledged is there."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.faults.journal import Directory
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.preload import Preload
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SEED = 20_260_102


def cut(plant: Plant, preload: Preload, chance: random.Random) -> int:
    """Run the gateway for a while, then take its power; return how many acts upon the disk were lost."""
    before = Directory(plant.data)
    preload.journal.write_bytes(b"")
    plant.start()
    if chance.random() < 0.8:
        plant.accepts(time.monotonic())
    time.sleep(chance.uniform(0.0, 2.5))  # the random moment is the point of it
    with plant.witness.set_back():
        plant.kill()
        before.follow(preload.journal)
        assert len(before.untold()) <= 1, "the journal misses more than what the kill came amid"
        return before.lose_power(chance)


def test_the_power_goes_at_random_moments(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, preload: Preload, full: bool
) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, environment=preload.environment(journal=True))
    chance, cuts = random.Random(SEED), 100 if full else 1
    lost = 0
    with plant.alive():
        for _ in range(cuts):
            lost += cut(plant, preload, chance)
        since = time.monotonic()
        plant.start()
        back_s = plant.accepts(since)
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    more = f"{lost:,} writes and names that were not synced did not survive; {len(plant.publisher.acked):,} messages"
    happened(Fault("disk", f"power cut at {cuts} random moments, unsynced writes lost or torn", verdict, back_s, more))
