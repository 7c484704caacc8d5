"""A broker restarts, dies, forgets, is flooded or falls silent: whatever was acknowledged to it is kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.faults.broker_line import Line
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import Stretch, Verdict, judge
from tests.faults.table import Fault, happened
from tests.faults.test_database import running
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SERIES = "messages.sequence.count"
KEEPALIVE_S = 5
RECEIVE_MAXIMUM = 50


@dataclass
class Trouble:
    """One fault of several in a row: its time, the messages sent in it, how long until the next one came [s]."""

    what: str
    between: Stretch
    numbers: range
    back_s: float


@dataclass
class Course:
    """Does one fault after the other to the broker of a running gateway."""

    plant: Plant
    seen: list[Trouble]

    @contextmanager
    def trouble(self, what: str) -> Iterator[None]:
        """The fault is over when the block is left; what follows waits until the broker has nothing more of it."""
        plant = self.plant
        begin_ns, first = time.time_ns(), plant.publisher.sent + 1  # one may have been stamped just before
        yield
        end_ns, since = time.time_ns(), time.monotonic()
        plant.until(lambda: plant.witness.newest_ns(SERIES) > end_ns, f"a message after: {what}")
        back_s = time.monotonic() - since
        now_ns = time.time_ns()  # the broker sends in order: with a message of now it has sent all it kept
        plant.until(lambda: plant.witness.newest_ns(SERIES) > now_ns, f"all that was kept during: {what}")
        sent = plant.publisher.sent
        self.seen.append(Trouble(what, (begin_ns, time.time_ns()), range(first, sent), back_s))


def take_over(port: int) -> None:
    """Connect with the gateway's own id, take its session, and acknowledge nothing."""
    other = mqtt.Client(CallbackAPIVersion.VERSION2, "proof", protocol=mqtt.MQTTv5, manual_ack=True)
    connected: list[bool] = []
    other.on_connect = lambda *_: connected.append(True)
    expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry.SessionExpiryInterval = 86_400
    other.connect("127.0.0.1", port, clean_start=False, properties=expiry)
    deadline = time.monotonic() + 60
    while not connected and time.monotonic() < deadline:
        other.loop(0.05)
    other._sock_close()  # it does not say goodbye


def test_a_broker_in_trouble(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool) -> None:
    influx.create(DATABASE)
    line = Line(mosquitto.port)
    broker = {"port": line.port, "keepalive_s": KEEPALIVE_S, "receive_maximum": RECEIVE_MAXIMUM}
    with line.open(), running(tmp_path, mosquitto, influx.url, {"connections": {"broker": broker}}) as plant:
        course = Course(plant, [])
        for _ in range(5 if full else 1):
            every_fault_once(course, mosquitto, line)
    logged = {int(value) for key, _, value in plant.witness.logged() if key == SERIES}
    lost_there = plant.publisher.acked - logged
    assert not lost_there & line.acknowledged, "what the gateway acknowledged is in its log"
    kept = plant.publisher.acked - lost_there
    whole = judge(plant.witness, METERS, published=kept, influx=influx)
    assert whole.sound(), whole
    for what in dict.fromkeys(seen.what for seen in course.seen):
        mine = [seen for seen in course.seen if seen.what == what]
        verdicts = [
            judge(plant.witness, METERS, published=kept.intersection(seen.numbers), influx=influx, between=seen.between)
            for seen in mine
        ]
        tell(what, mine, plant, lost_there, sum(verdicts[1:], verdicts[0]))


def every_fault_once(course: Course, mosquitto: Mosquitto, line: Line) -> None:
    plant = course.plant
    with course.trouble("flood of ten times the rate, 50 messages in flight at most"):
        plant.publisher.per_s *= 10
        wanted = plant.publisher.sent + 1_000
        plant.until(lambda: plant.publisher.sent >= wanted, "the flood is published")
        plant.publisher.per_s /= 10
    with course.trouble("restarted in order, its store kept"):
        mosquitto.restart()
    with course.trouble("another client with the gateway's id takes the session, acknowledges nothing"):
        take_over(mosquitto.port)
    with course.trouble("killed with signal 9"):
        mosquitto.kill()
        mosquitto.start()
    with course.trouble("stopped, and its store removed: sessions are lost"):
        mosquitto.stop()
        (mosquitto.folder / "mosquitto.db").unlink()
        mosquitto.start()
    with course.trouble(f"half-open: the line swallows all, keepalive {KEEPALIVE_S} s"):
        line.swallows = True
        plant.until(lambda: plant.witness.newest_ns(SERIES) < time.time_ns() - 2e9 * KEEPALIVE_S, "silence")
        line.swallows = False


def tell(what: str, times: list[Trouble], plant: Plant, lost_there: set[int], verdict: Verdict) -> None:
    """Note a fault: what the broker itself lost is told, each of it without an acknowledgement of the gateway."""
    assert verdict.sound(), (what, verdict)
    numbers = [n for seen in times for n in seen.numbers]
    nobody, lost = len(plant.publisher.unheard.intersection(numbers)), len(lost_there.intersection(numbers))
    more = f"{len(numbers):,} messages sent"
    more += f", of which the broker took {lost:,} and lost them itself, never acknowledged to it" if lost else ""
    more += f", of which the broker said of {nobody:,} that it knew nobody for them" if nobody else ""
    more += f"; {len(times)} times, the slowest return is shown" if len(times) > 1 else ""
    happened(Fault("broker", what, verdict, max(seen.back_s for seen in times), more=more))
