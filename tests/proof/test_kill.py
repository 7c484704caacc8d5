"""kill -9 at fifty random moments while InfluxDB goes and comes back: sets of sequence numbers at every stage."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import orjson
import paho.mqtt.client as mqtt
import pytest
import yaml

from config.load import load
from config.templates import load_all
from pipeline.batch import INPUT
from pipeline.clock import Clock
from pipeline.log.log import LogReader
from simulators.device import Device
from simulators.serve import serve
from tests.services.influxd import Influxd, free_port
from tests.services.mosquitto import Mosquitto
from tests.waiting import until_sync

KILLS = 50
WHILE_IT_RUNS = 0.7  # share of the kills that hit a gateway which has accepted something since its start
SEED = 20_260_101
Row = tuple[str, int, float]  # series key, time [ns], value


class Ramp(Device):
    """A meter that draws 36 kW for ever: 0.01 kWh a second, so its index tells how much must have been counted."""

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.readings["energy_import"] = 1000.0 + self.energy_kwh
        return 36.0


def configuration(directory: Path, influx: str, broker: int, modbus: int) -> Path:
    """Write gateway.yaml: two units over Modbus, one topic over MQTT, everything cut small so that kills hit it."""
    unit = {
        "energy_import": {
            "quantity": "energy_index",
            "unit": "kWh",
            "scale": 0.001,
            "modbus": {"address": 0, "type": "uint32"},
        },
        "sequence": {"quantity": "count", "unit": "1", "modbus": {"address": 2, "type": "uint32"}},
    }
    message = {"sequence": {"quantity": "count", "unit": "1", "mqtt": {"path": "seq"}}}
    meters = {
        f"meter-{n}": {
            "type": "meter",
            "rated_kw": 100,
            "devices": {"m": {"connection": "floor", "address": f"127.0.0.1:{modbus}/{n}", "points": unit}},
        }
        for n in (1, 2)
    }
    topic = {"devices": {"d": {"connection": "broker", "address": "proof/messages", "points": message}}}
    gateway = {
        "version": 1,
        "site": {"name": "proof", "region": "CN-GD"},
        "data": {"dir": "data", "commit_ms": 50, "snapshot_s": 1, "history": {"cut_s": 1}},
        "api": None,
        "connections": {
            "floor": {"protocol": "modbus", "every_s": 0.05},
            "broker": {
                "protocol": "mqtt",
                "host": "127.0.0.1",
                "port": broker,
                "client_id": "proof",
                "time_path": "time",
                "time_format": "ns",
                "backoff_max_s": 1,
            },
        },
        "areas": {"hall": {"assets": meters | {"messages": {"type": "other", "carrier": "none"} | topic}}},
        "sinks": {"db": {"type": "influxdb", "api": "v1", "url": influx, "database": "proof", "backoff_max_s": 1}},
    }
    path = directory / "gateway.yaml"
    path.write_text(yaml.safe_dump(gateway))
    return path


@contextmanager
def in_thread(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` beside the test; it ends when its event is set, and its error is the test's."""
    stop, errors = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:  # noqa: BLE001  told in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


def plant(config: Path) -> Callable[[threading.Event], None]:
    """Serve the two meters from a loop of their own."""

    def work(stop: threading.Event) -> None:
        async def main() -> None:
            devices = {name: Ramp(name) for name in ("meter-1", "meter-2")}
            clock = Clock()
            async with serve(load(config).gateway, load_all(), devices, own_broker=False) as served:
                running = asyncio.create_task(served.run(clock, 0.02))
                await asyncio.to_thread(stop.wait)
                running.cancel()

        asyncio.run(main())

    return work


class Publisher:
    """Publishes numbered messages, QoS 1, about a hundred a second; `acked` are those the broker has taken."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.acked: set[int] = set()
        self._of: dict[int, int] = {}

    def __call__(self, stop: threading.Event) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_publish = lambda _c, _u, mid, *_: self.acked.add(self._of[mid])
        client.connect("127.0.0.1", self.port)
        sequence = 0
        while not stop.wait(0.01):
            payload = orjson.dumps({"seq": sequence, "time": time.time_ns()})
            self._of[client.publish("proof/messages", payload, qos=1).mid] = sequence
            sequence += 1
            client.loop(0)
        until_sync(lambda: client.loop(0.01) == 0 and len(self.acked) == sequence)
        client.disconnect()


class Witness:
    """Reads the log beside the gateway, as another process might, and keeps every row it ever held."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.rows: list[tuple[int, int, float]] = []
        self.inputs = 0
        self.position = 0

    def __call__(self, stop: threading.Event) -> None:
        until_sync(lambda: (self.data / "log.db").exists() or stop.is_set(), 120)
        reader = LogReader(self.data)
        while not stop.is_set():
            self.look(reader)
            stop.wait(0.05)
        self.look(reader)
        reader.close()

    def look(self, reader: LogReader) -> None:
        reader.load_boots()
        for window in reader.read(self.position, 10**9):
            assert window.position == self.position + 1, "a commit vanished before everyone had read it"
            self.position = window.position
            for b in window.batches:
                self.rows += zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True)
                self.inputs += len(b) if b.header.stratum == INPUT else 0


def start(config: Path) -> subprocess.Popen[bytes]:
    log = (config.parent / "gateway.log").open("ab")
    return subprocess.Popen([sys.executable, "-m", "tanflow", "run", "-c", str(config)], stdout=log, stderr=log)


def kill_often(config: Path, influx: Influxd, accepted: Callable[[], int]) -> int:
    """Start and kill -9; InfluxDB is away for two stretches of it. Return how many kills hit an accepting gateway."""
    chance, hits = random.Random(SEED), 0
    for kill in range(KILLS):
        if kill in (10, 35):
            influx.kill()
        if kill in (25, 45):
            influx.start()
        before = accepted()
        process = start(config)
        if chance.random() < WHILE_IT_RUNS:
            until_sync(lambda before=before: accepted() > before, 60, "something is accepted")
            time.sleep(chance.uniform(0.0, 2.0))  # the random moment is the point of it
        else:
            time.sleep(chance.uniform(0.2, 3.0))  # while it starts, on a slow machine
        process.kill()
        process.wait()
        hits += accepted() > before
    return hits


def finish(config: Path) -> None:
    """Run once more until the database has everything, then stop in order."""
    reader = LogReader(config.parent / "data")
    before = reader.last_position()
    process = start(config)

    def delivered() -> bool:
        assert process.poll() is None, (config.parent / "gateway.log").read_text()[-4000:]
        running = reader.last_position() > before + 10  # it has accepted something: it hears a signal by now
        return running and reader.rows_after(reader.cursor("db").position) < 2_000

    until_sync(delivered, 60, "the database has caught up")
    reader.close()
    process.terminate()
    assert process.wait(60) == 0, (config.parent / "gateway.log").read_text()[-4000:]


def last_commit(data: Path) -> int:
    """Return the log's last position."""
    reader = LogReader(data)
    position = reader.last_position()
    reader.close()
    return position


def in_parquet(data: Path) -> list[tuple[int, int, float]]:
    """Return every row of the raw files, as they stand: nothing is compacted within this test's time."""
    query = f"SELECT series, time_ns, value FROM read_parquet('{data}/history/raw/*.parquet')"
    return duckdb.sql(query).fetchall()


def in_influx(influx: Influxd, field: str) -> list[tuple[str, int, float]]:
    measurement = "energy" if field == "energy_kwh" else "process"
    rows = influx.query("proof", f'SELECT "{field}" FROM "{measurement}" GROUP BY "asset"')
    return [(row["asset"], row["time"], row[field]) for row in rows]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nothing_accepted_is_lost_or_doubled(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto) -> None:
    influx.create("proof")
    config = configuration(tmp_path, influx.url, mosquitto.port, free_port())
    data = tmp_path / "data"
    publisher, witness = Publisher(mosquitto.port), Witness(data)
    first = start(config)  # the persistent session must exist before anything is published
    until_sync(lambda: "proof 1 " in mosquitto.log)  # a session alone keeps nothing: it must have subscribed
    with in_thread(plant(config)), in_thread(witness):
        with in_thread(publisher):
            time.sleep(1)
            first.kill()
            first.wait()
            hits = kill_often(config, influx, lambda: last_commit(data))
        finish(config)

    reader = LogReader(data)
    keys = dict(reader.query("SELECT id, key FROM series"))
    reader.close()
    logged = Counter((keys[s], t, v) for s, t, v in witness.rows)
    stored = Counter((keys[s], t, v) for s, t, v in in_parquet(data))

    # Every message the broker took is in the log, once, and every row of the log is in Parquet, once.
    messages = Counter(
        int(v) for (key, _, v), n in logged.items() if key == "messages.sequence.count" for _ in range(n)
    )
    assert set(messages) == publisher.acked
    assert set(messages.values()) == {1}
    assert stored == logged
    instants = Counter((key, t) for key, t, _ in logged)
    doubled = [i for i, n in instants.items() if n > 1 and not i[0].startswith("gateway.")]
    assert doubled == []

    # InfluxDB holds the same sequence numbers and the same amounts.
    for field, ending in (("sequence_count", ".sequence.count"), ("energy_kwh", ".energy_import.energy")):
        expected = {(key.split(".")[0], t, v) for key, t, v in stored if key.endswith(ending)}
        got = in_influx(influx, field)
        assert len(got) == len(set(got)) == len(expected)
        assert set(got) == expected

    # The amounts of each meter are its index, from the first accepted reading to the last: over fifty kills.
    for meter in ("meter-1", "meter-2"):
        index = sorted((t, v) for key, t, v in stored if key == f"{meter}.energy_import.energy_index")
        counted = sum(v for key, _, v in stored if key == f"{meter}.energy_import.energy")
        assert counted == pytest.approx(index[-1][1] - index[0][1], abs=1e-6)
        assert len(index) > 250
    assert hits > KILLS // 2
    print(
        f"{hits} of {KILLS} kills hit a gateway that had accepted something; "
        f"{len(publisher.acked)} messages, {witness.inputs} accepted readings, {sum(logged.values())} rows"
    )
