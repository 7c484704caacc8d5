"""InfluxDB is away for long: all of it comes later; where the declared policy ends, exactly what it says is gone."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from itertools import pairwise
from pathlib import Path

import orjson

from tests.faults.plant import DATABASE, METERS, SINK
from tests.faults.stages import against_influx, in_history, judge
from tests.faults.table import Fault, happened
from tests.faults.test_database import running
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port

DAY_READINGS = 8_640 * 5  # of two meters with two points each and a device that sends messages, every ten seconds
_GIVEN_UP = re.compile(r"(\d+) rows at positions (\d+) to (\d+) given up")


def test_a_day_of_backlog(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool) -> None:
    influx.create(DATABASE)
    readings = DAY_READINGS if full else DAY_READINGS // 288
    with running(tmp_path, mosquitto, influx.url, {"connections": {"floor": {"every_s": 0.02}}}) as plant:
        influx.kill()
        wanted, since = plant.witness.inputs + readings, time.monotonic()
        plant.until(lambda: plant.witness.inputs >= wanted, "the readings of the time it is away", 300 + readings / 25)
        away_s = time.monotonic() - since
        influx.start()
        last, behind, since = plant.witness.last_position(), plant.witness.behind(SINK), time.monotonic()
        plant.until(lambda: plant.witness.taken(SINK) >= last, "the backlog is delivered")
        took_s = time.monotonic() - since
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    assert plant.witness.dead() == []
    of = "a day" if full else "five minutes"
    what = f"away for the readings of {of} of two meters read every 10 s ({readings:,})"
    more = f"it was away for {away_s:.0f} s, {behind:,} rows behind, delivered in {took_s:.1f} s while new ones came"
    happened(Fault("database", what, verdict, more=more))


def test_what_the_policy_gives_up_is_exact(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool) -> None:
    influx.create(DATABASE)
    port, keep = free_port(), 0.2 if full else 0.02
    changes = {"sinks": {SINK: {"keep": {"max_mb": keep}}}, "api": {"port": port}}
    with running(tmp_path, mosquitto, influx.url, changes) as plant:
        plant.until(lambda: plant.witness.taken(SINK) > 0, "something is delivered")
        influx.kill()
        killed_at = plant.witness.last_position()
        losses = 10 if full else 1
        plant.until(lambda: len(plant.witness.dead()) >= losses, "the policy has given up rows", 600)
        influx.start()
        plant.caught_up()
        metrics = _get(f"http://127.0.0.1:{port}/metrics")
        health = orjson.loads(_get(f"http://127.0.0.1:{port}/api/health"))
    found = [_GIVEN_UP.match(reason) for reason, _ in plant.witness.dead()]
    given_up = [(int(m[2]), int(m[3]), int(m[1])) for m in found if m]
    assert len(given_up) == len(found)
    gone = sum((plant.witness.between(first, last) for first, last, _ in given_up), Counter())
    lost = gone.total()
    assert sum(n for *_, n in given_up) == lost
    assert f'tanflow_rows_total{{component="sink.{SINK}",event="rejected"}} {lost}' in metrics
    assert health["components"][f"sink.{SINK}"]["rejected"] == lost
    assert all(b + 1 == a for (_, b, _), (a, _, _) in pairwise(given_up)), "the oldest, one stretch after another"
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked)
    assert verdict.sound(), verdict
    # What was under way when it was killed may be there as well: it was written, and the answer never came.
    under_way = plant.witness.between(given_up[0][0], killed_at)
    missing, more = against_influx(in_history(plant.data) - gone, influx)
    assert missing == 0
    assert more <= under_way.total()
    told = f"{lost:,} rows given up in {len(given_up)} stretches, the oldest: the same number in the records, in"
    told += f" /metrics and in health, and all others are in InfluxDB ({more} of these too: the answer to their request"
    told += " was lost); the history has all"
    happened(Fault("database", f"away longer than keep: max_mb: {keep}", verdict, more=told))


def _get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())
