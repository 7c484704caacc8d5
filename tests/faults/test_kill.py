"""kill -9 at random moments while InfluxDB goes and comes back: sets of sequence numbers at every stage."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

WHILE_IT_RUNS = 0.7  # share of the kills that hit a gateway which has accepted something since its start
SEED = 20_260_101


def kill_often(plant: Plant, influx: Influxd, kills: int) -> int:
    """Start and kill -9; InfluxDB is away for two stretches of it. Return how many kills hit an accepting gateway."""
    chance, hits, accepted = random.Random(SEED), 0, plant.witness.last_position
    for kill in range(kills):
        if kill in (kills // 5, kills * 7 // 10):
            influx.kill()
        if kill in (kills // 2, kills * 9 // 10):
            influx.start()
        before = accepted()
        plant.start()
        if chance.random() < WHILE_IT_RUNS:
            plant.accepts(time.monotonic())
            time.sleep(chance.uniform(0.0, 2.0))  # the random moment is the point of it
        else:
            time.sleep(chance.uniform(0.2, 3.0))  # while it starts, on a slow machine
        plant.kill()
        hits += accepted() > before
    return hits


def test_nothing_accepted_is_lost_or_doubled(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool) -> None:
    kills = 500 if full else 5
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    with plant.alive():
        hits = kill_often(plant, influx, kills)
        plant.start()
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    assert verdict.accepted > 10 * kills
    assert hits > kills // 2
    more = f"{hits} of them hit a gateway that had accepted something; {len(plant.publisher.acked):,} messages"
    happened(Fault("process", f"kill -9 at {kills} random moments, InfluxDB away twice", verdict, more=more))
