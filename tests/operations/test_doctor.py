"""A real gateway is broken in each way; `tanflow doctor` says which, since when and what to do."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from pipeline.log.log import LogReader
from tanflow.cli import main
from tests.faults.plant import DATABASE, Plant
from tests.operations.conftest import started
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.waiting import until_sync

DAMAGE = [("log.db", "cannot be read"), ("ledger.db", "ledger.db"), ("history", "parquet")]


def doctor(config: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Call it as a user does; return its exit code and what it found."""
    into = io.StringIO()
    with redirect_stdout(into), patch.object(sys, "argv", ["tanflow", "doctor", "-c", str(config), "--json", *options]):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0), json.loads(into.getvalue())
    raise AssertionError("a command ends with an exit code")


def wrong(said: dict[str, Any], about: str = "") -> list[str]:
    """Return the sentences of what is wrong, of one thing."""
    found = [f for f in said["findings"] if f["wrong"] and f["about"].startswith(about)]
    return [f["what"] for f in found if f["about"] != "clock" or about]  # a test machine follows no time server


def finding(said: dict[str, Any], words: str) -> dict[str, Any]:
    """Return the finding that says so; it is wrong, and says what to do."""
    found = [f for f in said["findings"] if words in f["what"]]
    assert len(found) == 1, (words, said["findings"])
    assert found[0]["wrong"]
    assert found[0]["do"]
    return dict(found[0])


@pytest.fixture
def plant(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto) -> Plant:
    influx.create(DATABASE)
    return Plant(
        tmp_path, influx.url, mosquitto.port, {"api": {"port": free_port()}, "connections": {"floor": {"every_s": 2}}}
    )


@contextmanager
def well(plant: Plant) -> Iterator[None]:
    """Let the gateway run until nothing is wrong with it."""
    with plant.alive():
        started(plant)
        seen: list[dict[str, Any]] = []

        def healthy() -> bool:
            code, said = doctor(plant.config)
            seen.append(said)
            return code == 0

        until_sync(healthy, 120, "the doctor is content")
        assert seen[-1]["well"]
        assert seen[-1]["facts"]["last_reading_ns"]["floor"] > 0
        yield


def test_a_running_gateway_is_broken_in_each_way(plant: Plant, influx: Influxd, mosquitto: Mosquitto) -> None:
    with well(plant):
        # Its database is away, then there without the database, then well.
        influx.kill()
        away = finding(doctor(plant.config)[1], "no answer from")
        assert away["about"] == "sink db"
        assert "start the database" in away["do"]
        until_sync(lambda: plant.witness.behind("db") > 200, what="a backlog")
        assert "the oldest are given up in" in finding(doctor(plant.config)[1], "no answer from")["what"]
        influx.start()
        influx.query("", f'DROP DATABASE "{DATABASE}"')
        assert "CREATE DATABASE" in finding(doctor(plant.config)[1], "create it")["what"]
        influx.create(DATABASE)
        until_sync(lambda: not wrong(doctor(plant.config)[1], "sink"), what="the sink is well")

        # The broker is away.
        mosquitto.kill()
        until_sync(lambda: wrong(doctor(plant.config)[1], "connection broker"), what="the broker is missed")
        told = finding(doctor(plant.config)[1], "messages.d")
        assert told["about"] == "connection broker"
        assert told["since_ns"] is not None
        mosquitto.start()

        # The process is stopped: it says nothing, the log still tells.
        assert plant.process is not None
        plant.process.send_signal(signal.SIGSTOP)
        until_sync(lambda: "stopped" in "".join(wrong(doctor(plant.config)[1], "process")), what="it is seen")
        assert "kill -CONT" in finding(doctor(plant.config)[1], "is stopped")["do"]

        # Meanwhile somebody writes a field of another type: rows are refused once it goes on.
        influx.query("", f'DROP DATABASE "{DATABASE}"')
        influx.create(DATABASE)
        line = urllib.request.Request(f"{influx.url}/write?db={DATABASE}", b"process,asset=x sequence_count=1i")
        urllib.request.urlopen(line).close()
        plant.process.send_signal(signal.SIGCONT)
        until_sync(lambda: wrong(doctor(plant.config)[1], "sink.db"), 120, "dead letters")
        assert "field type conflict" in finding(doctor(plant.config)[1], "dead letters in the last 24 h")["what"]


def test_silent_units_are_named_with_the_likely_cause(plant: Plant) -> None:
    with plant.alive(publishing=False):
        started(plant)
    plant.start()  # its meters are gone
    try:
        silent = "cannot be reached"  # nothing listens there any more
        until_sync(lambda: str(wrong(doctor(plant.config)[1], "connection floor")).count(silent) == 2, 120, silent)
        told = finding(doctor(plant.config)[1], "meter-1.m")
        assert "address" in told["do"]
        assert abs(time.time_ns() - told["since_ns"]) < 600e9
    finally:
        plant.kill()


def test_a_gateway_that_does_not_run(plant: Plant) -> None:
    """Not started, killed, with its page's port taken by another."""
    code, said = doctor(plant.config)
    assert code == 1
    assert finding(said, "no gateway runs")["do"].endswith(str(plant.config))
    assert finding(said, "does not exist")
    with plant.alive(publishing=False):
        started(plant)
    gone = finding(doctor(plant.config)[1], "no gateway runs")
    assert abs(time.time_ns() - gone["since_ns"]) < 600e9
    port = plant._configuration()["api"]["port"]
    with socket.create_server(("127.0.0.1", port)):
        assert "ss -ltnp" in finding(doctor(plant.config)[1], "is taken by another program")["do"]


@pytest.fixture
def still(earlier: Path) -> Path:
    """A configuration on the data of a gateway that does not run; nothing else is wrong with it."""
    config = earlier.parent / "gateway.yaml"
    write(config)
    return config


def write(config: Path, more: str = "", data: str = "", connections: str = "") -> None:
    config.write_text(
        f"version: 1\nsite: {{name: s, region: CN-GD}}\ndata: {{dir: data, ballast_mb: 1{data}}}\napi: null\n"
        f"connections:\n  floor: {{protocol: modbus}}\n{connections}areas:\n  a:\n    assets:\n      m:\n"
        "        type: meter\n        rated_kw: 10\n        devices:\n          d:\n            connection: floor\n"
        "            address: 127.0.0.1/1\n            points:\n"
        "              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}\n" + more
    )
    (config.parent / "data" / "ballast").write_bytes(b"\0" * (1 << 20))


def test_the_data_directory(still: Path) -> None:
    data = still.parent / "data"
    data.chmod(0o700)
    before = set(wrong(doctor(still)[1]))
    assert not [w for w in before if str(data) in w], before

    data.chmod(0o755)
    assert finding(doctor(still)[1], "others may look into")["do"].startswith("chmod 700")
    data.chmod(0o700)
    os.chown(data / "log.db", 12345, 12345)
    assert "chown -R" in finding(doctor(still)[1], "holds files of 12345")["do"]
    os.chown(data / "log.db", os.getuid(), os.getgid())
    (data / "ballast").unlink()
    assert "the disk was" in finding(doctor(still)[1], "the ballast")["what"]
    write(still, data=", min_free_mb: 100000000")
    assert "min_free_mb" in finding(doctor(still)[1], "are free on its disk")["do"]
    write(still)
    (data / "format").write_text("tanflow data 99\n")
    assert finding(doctor(still)[1], "'tanflow data 99'")
    (data / "format").write_text("tanflow data 1\n")
    (data / ".backup-999999999").mkdir()
    (data / "restored.json").write_text('{"host": "h", "folder": "/f", "made_ns": 1, "at_ns": 2}')
    notes = [f["what"] for f in doctor(still)[1]["findings"] if not f["wrong"]]
    assert any("left of a backup" in n for n in notes)
    assert any("only one of the two may run" in n for n in notes)
    assert set(wrong(doctor(still)[1])) == before


@pytest.mark.parametrize(
    ("file", "words"), [("log.db", "cannot be read"), ("ledger.db", "ledger.db"), ("history", "parquet")]
)
def test_damage_is_found(still: Path, file: str, words: str) -> None:
    path = still.parent / "data" / file
    if path.is_dir():
        path = next((path / "raw").glob("*.parquet"))
    damaged = bytearray(path.read_bytes())
    for at in range(100, len(damaged) // 2, 64):
        damaged[at] ^= 0xFF
    path.write_bytes(damaged)
    code, said = doctor(still)
    assert code == 1
    assert any(words in w for w in [*wrong(said, "records"), *wrong(said, "log")]), said["findings"]


def test_history_of_another_log_is_told(still: Path) -> None:
    data = still.parent / "data"
    fresh = still.parent / "fresh"
    shutil.copytree(data, fresh)
    with closing(LogReader(data)):
        pass
    (data / "log.db").unlink()
    code, said = doctor(still)
    assert code == 1
    assert wrong(said)


def test_serial_ports_certificates_and_a_wrong_configuration(still: Path, tmp_path: Path) -> None:
    from tests.operations.certificate import ending

    soon, over = tmp_path / "soon.pem", tmp_path / "over.pem"
    now = datetime.now(UTC)
    soon.write_bytes(ending(now + timedelta(days=9, hours=1)))
    over.write_bytes(ending(now - timedelta(days=2)))
    write(
        still,
        connections="  line: {protocol: modbus, framing: rtu, serial: {port: /dev/ttyNONE}}\n"
        f"  b1: {{protocol: mqtt, host: 127.0.0.1, client_id: a, tls: {{ca: {soon}}}}}\n"
        f"  b2: {{protocol: mqtt, host: 127.0.0.1, client_id: b, tls: {{ca: {over}}}}}\n",
    )
    said = doctor(still)[1]
    assert finding(said, "/dev/ttyNONE does not exist")["about"] == "connection line"
    assert finding(said, "ends in 9 days")["about"] == "connection b1"
    assert finding(said, "has ended on")["since_ns"] is not None

    still.write_text("version: 1\nsight: {}\n")
    code, said = doctor(still)
    assert code == 1
    assert wrong(said, "configuration")
