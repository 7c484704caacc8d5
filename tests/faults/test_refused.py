"""What InfluxDB will never take, in its own words: a type that was fixed before, a time beyond retention."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.faults.plant import DATABASE, METERS
from tests.faults.stages import Row, Witness, in_history, judge
from tests.faults.table import Fault, happened
from tests.faults.test_database import running
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

DAY_NS = 86_400_000_000_000
EVERY = 10  # of so many messages one is too old
_LINE = re.compile(r"^\w+,\S*?asset=(?P<asset>[^, ]+)\S* (?P<fields>\S+) (?P<time>\d+)$", re.MULTILINE)


def stamp(number: int) -> int:
    """Return a message's time: now, of some of them forty days ago."""
    return time.time_ns() - (40 * DAY_NS if number % EVERY == 0 else 0)


def refused(witness: Witness, field: str, why: str) -> Counter[Row]:
    """Return the (asset, time, value) of a field that stand in dead letters of a reason."""
    texts = [text for reason, text in witness.dead() if why in reason]
    rows: Counter[Row] = Counter()
    for line in (found for text in texts for found in _LINE.finditer(text)):
        for name, value in (pair.split("=") for pair in line["fields"].split(",")):
            if name == field:
                rows[(line["asset"], int(line["time"]), float(value))] += 1
    return rows


def seed(influx: Influxd) -> int:
    """Let the energy be a whole number in the shards of this week and the next; return how many points that took."""
    influx.create(DATABASE)
    influx.query(
        "", f"CREATE RETENTION POLICY month ON {DATABASE} DURATION 30d REPLICATION 1 SHARD DURATION 7d DEFAULT"
    )
    now = time.time_ns()
    lines = "\n".join(f"energy,asset=seed energy_kwh=1i {at}" for at in (now, now + 7 * DAY_NS))
    urllib.request.urlopen(f"{influx.url}/write?db={DATABASE}", lines.encode(), timeout=60)
    return 2


def test_what_is_refused_is_a_dead_letter_and_nothing_else_is(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool
) -> None:
    seeds = seed(influx)
    changes = {"connections": {"floor": {"every_s": 0.2}}}  # so that every dead letter has room for all its lines
    with running(tmp_path, mosquitto, influx.url, changes) as plant:
        plant.publisher.stamp = stamp
        enough = EVERY * (300 if full else 12)
        plant.until(lambda: plant.publisher.sent >= enough, "enough messages", 600)
    history = in_history(plant.data)
    amounts = Counter({(k.split(".")[0], t, v): n for (k, t, v), n in history.items() if k.endswith("import.energy")})
    old = Counter({
        (k.split(".")[0], t, v): n
        for (k, t, v), n in history.items()
        if k == "messages.sequence.count" and t < time.time_ns() - 35 * DAY_NS
    })  # fmt: skip
    assert refused(plant.witness, "energy_kwh", "field type conflict") == amounts
    assert refused(plant.witness, "sequence_count", "beyond retention policy") == old
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    kept_back = amounts.total() + old.total()  # each of them is in the history and in the dead letters
    verdict = replace(verdict, missing=verdict.missing - kept_back, doubled=verdict.doubled - seeds)
    assert verdict.sound(), verdict
    shown = subprocess.run(
        [sys.executable, "-m", "tanflow", "deadletters", "--data", str(plant.data), "-n", "100000"],
        capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "400"},
    ).stdout  # fmt: skip
    assert "type conflict" in shown
    assert "retention" in shown
    what = "a field made an integer beforehand (type conflict), and points beyond the retention policy"
    more = f"{amounts.total():,} rows refused for their type and {old.total():,} for their age, each in `tanflow"
    happened(Fault("database", what, verdict, more=f"{more} deadletters` and in the history; all others stored"))
