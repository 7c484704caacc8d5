"""The factory into the write interface of InfluxDB 2: what the history holds is what the database holds, but one row.

The one is refused by the real storage engine: its field was stored as a string before. It becomes one dead letter.
"""

from __future__ import annotations

import logging
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from config.model import Gateway as Config
from pipeline.clock import Clock
from tanflow.gateway import Gateway
from tests.proof.factory import configured, factory
from tests.proof.running import running
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd
from tests.waiting import until

log = logging.getLogger("tests.proof.v2")

BUCKET, TOKEN = "energy", "a-token"
FIELD, KEY = "nameplate_frequency_hz", "main-meter.nameplate_frequency.frequency"
Points = set[tuple[str, int]]  # (series key, time [ns])


def with_a_nameplate(config: Config) -> Config:
    """Return the configuration with a device that is read once an hour, so that its field is written once."""
    data = config.model_dump()
    devices = data["areas"]["utilities"]["assets"]["main-meter"]["devices"]
    frequency = {"quantity": "frequency", "unit": "Hz", "modbus": {"address": 55, "type": "float32"}}
    devices["nameplate"] = {
        "connection": "floor",
        "address": devices["meter"]["address"].replace("/1", "/9"),
        "every_s": 3600,
        "prefix": "nameplate_",
        "points": {"frequency": frequency},
    }
    return Config.model_validate(data)


def write(influx: Influxd, line: str) -> None:
    """Store one point at the server's own time."""
    urllib.request.urlopen(f"{influx.url}/write?db={BUCKET}", line.encode()).close()


def in_database(influx: Influxd, gateway: Gateway) -> Points:
    """Return which points the database has of every series of the gateway."""
    found: Points = set()
    for spec in filter(None, gateway.table.specs):
        where = " AND ".join(f"\"{key}\" = '{value}'" for key, value in spec.tags)
        query = f'SELECT "{spec.like.field}" FROM "{spec.like.measurement}" WHERE {where}'
        found |= {(spec.key, row["time"]) for row in influx.query(BUCKET, query)}
    return found


async def in_history(gateway: Gateway) -> Points:
    """Return which rows of the history a database can hold: those with a number."""
    ids = sorted(gateway.table.ids.values())
    rows = await gateway.history.query(ids, 0, 2**62, limit=10**6)
    numbers = np.isfinite(rows.value)
    keys = [gateway.table.spec(series).key for series in rows.series[numbers].tolist()]
    return set(zip(keys, rows.time_ns[numbers].tolist(), strict=True))


async def test_all_but_a_refused_row_arrive(influx: Influxd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    influx.create(BUCKET)
    monkeypatch.setenv("PROOF_TOKEN", TOKEN)
    with Influx2Front(influx.url, TOKEN) as front:
        token = {"env": "PROOF_TOKEN"}
        sink = {"type": "influxdb", "api": "v2", "url": front.url, "org": "plant", "bucket": BUCKET, "token": token}
        config = with_a_nameplate(configured(sink, every_s=1.0))
        async with factory(config, tmp_path, Clock()) as plant:
            gateway = plant.gateway
            spec = gateway.table.spec(gateway.table.ids[KEY])
            assert spec.like.field == FIELD
            write(influx, f'{spec.like.measurement},asset=older {FIELD}="50 Hz"')
            async with running(gateway):
                numbers = gateway.table.ids["pv-1.sequence.count"]
                first = await first_value(gateway, numbers)
                await until(lambda: gateway.latest.value[numbers] >= first + 8, what="eight seconds of the factory")
                letters = "SELECT count(*) FROM dead"
                await until(lambda: gateway.log.reader.query(letters) > [(0,)], what="the refused row")
            dead = gateway.log.reader.query("SELECT component, reason, raw FROM dead")
            kept, sent = await in_history(gateway), in_database(influx, gateway)
            sink_counters = gateway.board.component("sink.influx")
    ((component, reason, raw),) = dead
    log.info("%d points, refused: %s", len(sent), reason)
    assert component == "sink.influx"
    assert f'field type conflict: input field "{FIELD}" on measurement "{spec.like.measurement}" is type float' in str(
        reason
    )
    assert FIELD.encode() in raw
    assert sink_counters.rejected == 1
    ((lost, _),) = kept - sent
    assert lost == KEY
    assert sent <= kept
    assert len(sent) > 100


async def first_value(gateway: Gateway, series: int) -> float:
    """Return the first accepted value of a series."""
    await until(lambda: gateway.latest.time_ns[series], what="a first reading")
    return float(gateway.latest.value[series])
