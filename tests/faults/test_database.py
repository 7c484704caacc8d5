"""InfluxDB answers late, wrongly, halfway or not at all: everything accepted is there in the end, once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.database_door import Act, Door, answers, half_answer, late, lost_answer, passes, reset
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import Stretch, judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

# What the database, or a proxy before it, says, and how the table names it.
SPOKEN: dict[str, Act] = {
    "401: its password was changed": answers(401, b'{"error":"authorization failed"}'),
    "429 with Retry-After: 1": answers(429, b'{"error":"too many requests"}', Retry_After="1"),
    "500": answers(500, b'{"error":"engine: cache maximum memory size exceeded"}'),
    "503 without a word": answers(503),
    "each answer 2 s late": late(2.0),
    "each answer lost after the write": lost_answer,
    "each answer ends within its first line": half_answer,
    "connection reset within the request": reset,
}


@dataclass
class Trouble:
    """One fault of several in a row: its time, the messages sent in it, and how long until the database had all [s]."""

    what: str
    between: Stretch
    numbers: range
    behind: int
    caught_up_s: float


class Course:
    """Does one fault after the other to a running gateway, and lets it catch up in between."""

    def __init__(self, plant: Plant, door: Door, full: bool) -> None:
        self.plant, self.door = plant, door
        self.lasts_s = 30.0 if full else 0.2
        self.seen: list[Trouble] = []

    @contextmanager
    def trouble(self, what: str, asked: int = 2) -> Iterator[None]:
        """What is done in the block lasts until the gateway has met it so many times; then it is undone."""
        plant, met = self.plant, self.door.asked
        begin_ns, first = time.time_ns(), plant.publisher.sent + 1  # one may have been stamped just before
        end = time.monotonic() + self.lasts_s
        yield
        plant.until(lambda: time.monotonic() > end and self.door.asked >= met + asked, f"the gateway meets: {what}")
        self._begun = what, begin_ns, first

    def over(self) -> None:
        """Note how much was behind, and how long it takes until nothing is."""
        plant, since = self.plant, time.monotonic()
        last, behind = plant.witness.last_position(), plant.witness.behind("db")
        plant.until(lambda: plant.witness.taken("db") >= last, "the database has what was accepted meanwhile")
        (what, begin_ns, first), sent = self._begun, plant.publisher.sent
        self.seen.append(
            Trouble(what, (begin_ns, time.time_ns()), range(first, sent), behind, time.monotonic() - since)
        )


@contextmanager
def running(
    tmp_path: Path, mosquitto: Mosquitto, url: str, changes: Mapping[str, Any] | None = None
) -> Iterator[Plant]:
    """A gateway that accepts, its meters and messages; ended in order when the block is left."""
    plant = Plant(tmp_path, url, mosquitto.port, changes or {})
    with plant.alive(publishing=False):
        plant.start()
        plant.until(lambda: plant.witness.inputs > 50, "something is accepted")
        with plant.publishing(mosquitto):
            yield plant
        plant.caught_up()
        plant.stop()


def test_no_answer_loses_or_doubles_a_reading(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(influx.port)
    with door.open(), running(tmp_path, mosquitto, door.url) as plant:
        course = Course(plant, door, full)
        with course.trouble("404: the database was dropped"):
            assert "database not found" in plant_says(plant, "404")
        influx.create(DATABASE)
        course.over()
        for what, act in SPOKEN.items():
            with course.trouble(what):
                door.act = act
            door.act = passes
            course.over()
        monkeypatch.setenv("INFLUXDB_HTTP_MAX_BODY_SIZE", "600")
        influx.restart()
        with course.trouble("413: no more than 600 bytes a request", asked=20):
            pass
        course.over()
        monkeypatch.delenv("INFLUXDB_HTTP_MAX_BODY_SIZE")
        with course.trouble("killed with signal 9"):
            influx.kill()
        influx.start()
        course.over()
    whole = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert whole.sound(), whole
    assert plant.witness.dead() == []
    for seen in course.seen:
        mine = plant.publisher.acked.intersection(seen.numbers)
        verdict = judge(plant.witness, METERS, published=mine, influx=influx, between=seen.between)
        assert verdict.sound(), (seen, verdict)
        more = f"{seen.behind:,} rows behind, all there {seen.caught_up_s:.1f} s after it"
        happened(Fault("database", seen.what, verdict, more=more))


def plant_says(plant: Plant, words: str) -> str:
    """Return what the gateway has logged, once it contains some words."""
    plant.until(lambda: words in plant.log, f"the gateway says {words}")
    return plant.log
