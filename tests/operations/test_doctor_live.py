"""A running gateway is broken in each way; `tanflow doctor` says which, since when, what to do, and when it is over."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tanflow.web.self_signed import CERTIFICATE, KEY, make
from tests.faults.plant import DATABASE, Plant, in_thread, laid_over
from tests.faults.wall import Wall
from tests.operations.asking import doctor, finding, until_asked, until_told, until_well, wrong
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.waiting import until_sync


@pytest.fixture
def port() -> int:
    """Where the page is."""
    return free_port()


@pytest.fixture
def plant(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, port: int, wall: Wall) -> Plant:
    """A plant that asks little of the machine, and whose page speaks HTTPS."""
    influx.create(DATABASE)
    make(tmp_path / "tls", ["gateway.plant"])
    tls = {"certificate": str(tmp_path / "tls" / CERTIFICATE), "key": str(tmp_path / "tls" / KEY)}
    changes = {
        "api": {"port": port, "tls": tls},
        "data": {"commit_ms": 200, "snapshot_s": 10, "history": {"cut_s": 10}},
        "connections": {"floor": {"every_s": 2}},
    }
    plant = Plant(tmp_path, influx.url, mosquitto.port, changes, environment=wall.environment)
    plant.publisher.per_s = 5
    return plant


def test_a_gateway_is_broken_in_each_way(
    plant: Plant, influx: Influxd, mosquitto: Mosquitto, port: int, wall: Wall
) -> None:
    """One after the other, for starting a gateway costs more than all the rest."""
    it_was_never_started(plant)
    with ExitStack() as running:
        running.callback(plant.kill)
        with in_thread(plant.meters), in_thread(plant.publisher):
            plant.start()
            it_is_well(plant)
            its_page_shows_another_certificate(plant)
            its_database_is_away(plant, influx)
            its_broker_is_away(plant, mosquitto)
            it_is_stopped_and_then_refused(plant, influx)
        its_meters_are_gone(plant)
        its_file_descriptors_run_out(plant)
        its_clock_is_set(plant, wall)
    it_was_killed(plant, port)


def it_was_never_started(plant: Plant) -> None:
    code, said = doctor(plant.config)
    assert code == 1
    assert finding(said, "no gateway runs")["do"].endswith(str(plant.config))
    assert finding(said, "does not exist")


def it_is_well(plant: Plant) -> None:
    plant.until(lambda: plant.witness.last_position() > 1, "the first commits")
    said = until_asked(
        plant.config, lambda said: said["well"] and all(said["facts"]["last_reading_ns"].values()), "well"
    )
    assert said["facts"]["last_reading_ns"].keys() == {"floor", "broker"}
    assert said["facts"]["state"] == "ok"  # as its API says over TLS


def its_page_shows_another_certificate(plant: Plant) -> None:
    """The one the configuration names now is not the one it was started with."""
    make(plant.folder / "other", ["gateway.plant"])
    other = plant.folder / "other.yaml"
    tls = {"api": {"tls": {"certificate": str(plant.folder / "other" / CERTIFICATE)}}}
    other.write_text(yaml.safe_dump(laid_over(yaml.safe_load(plant.config.read_text()), tls)))
    until_asked(other, lambda said: "certificate" in str(wrong(said, "page")).lower(), "another certificate")


def its_database_is_away(plant: Plant, influx: Influxd) -> None:
    """Away, then there without the database, then well."""
    influx.kill()
    until_sync(lambda: plant.witness.behind("db") > 0, 300, "a backlog")
    away = until_told(plant.config, "the oldest are given up in", "sink db")
    assert "no answer from" in away["what"]
    assert "start the database" in away["do"]
    influx.start()
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    assert "CREATE DATABASE" in until_told(plant.config, "create it", "sink db")["what"]
    influx.create(DATABASE)
    until_well(plant.config, "sink")


def its_broker_is_away(plant: Plant, mosquitto: Mosquitto) -> None:
    """Killed: it comes back without the session, and messages of the same publisher come again."""
    mosquitto.kill()
    told = until_told(plant.config, "messages.d", "connection broker")
    assert told["since_ns"] is not None
    mosquitto.start()
    until_well(plant.config, "connection broker")


def it_is_stopped_and_then_refused(plant: Plant, influx: Influxd) -> None:
    """The process says nothing, its log still tells; meanwhile somebody writes a field of another type."""
    assert plant.process is not None
    plant.process.send_signal(signal.SIGSTOP)
    assert "kill -CONT" in until_told(plant.config, "is stopped", "process")["do"]
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)
    line = urllib.request.Request(f"{influx.url}/write?db={DATABASE}", b"process,asset=x sequence_count=1i")
    urllib.request.urlopen(line).close()
    plant.process.send_signal(signal.SIGCONT)
    told = until_told(plant.config, "dead letters in the last 24 h", "sink.db")
    assert "field type conflict" in told["what"]


def its_meters_are_gone(plant: Plant) -> None:
    silent = "cannot be reached"  # nothing listens there any more
    said = until_asked(plant.config, lambda s: str(wrong(s, "connection floor")).count(silent) == 2, silent)
    told = finding(said, "meter-1.m", "connection floor")
    assert "address" in told["do"]
    assert abs(time.time_ns() - told["since_ns"]) < 600e9


def its_file_descriptors_run_out(plant: Plant) -> None:
    assert plant.process is not None
    process = plant.process.pid
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{process}/fd"))
    resource.prlimit(process, resource.RLIMIT_NOFILE, (used, before[1]))
    assert "LimitNOFILE" in until_told(plant.config, "file descriptors are in use", "process")["do"]
    resource.prlimit(process, resource.RLIMIT_NOFILE, before)


def its_clock_is_set(plant: Plant, wall: Wall) -> None:
    """While it runs, which it follows, by less than a minute slowly: worth knowing, no more."""
    wall.set(-50)
    said = until_asked(plant.config, lambda s: " s from the system's clock" in str(s["findings"]), "a clock far off")
    (told,) = [f["what"] for f in said["findings"] if "from the system's clock" in f["what"]]
    assert re.search(r"is (49\.\d|50\.0) s from .* for 28 h where .* behind, for 6 days where it is ahead", told), told
    assert not wrong(said, "clock")
    wall.set(-120)
    said = until_asked(plant.config, lambda s: "clock was set by -1" in str(s["findings"]), "a step of the clock")
    assert not wrong(said, "clock")


def it_was_killed(plant: Plant, port: int) -> None:
    """Its page's port is taken by another, too."""
    gone = finding(doctor(plant.config)[1], "no gateway runs")
    assert abs(time.time_ns() - gone["since_ns"]) < 600e9
    with socket.create_server(("127.0.0.1", port)):
        assert "ss -ltnp" in finding(doctor(plant.config)[1], "is taken by another program")["do"]
