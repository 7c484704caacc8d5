"""A database that lost everything is filled again from the gateway's own history: the same points, each once."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.faults.plant import DATABASE, Plant
from tests.operations.conftest import started
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.tanflow.command import said
from tests.waiting import until_sync

MEASUREMENTS = ("energy", "process", "emissions", "gateway")
Point = tuple[object, ...]


def points(
    influx: Influxd, measurements: tuple[str, ...] = ("energy", "process", "emissions", "gateway")
) -> set[Point]:
    """Return every field of every line, with its tags; heads of the ledger count as of the day they left only."""
    found: set[Point] = set()
    for measurement in measurements:
        for row in influx.query(DATABASE, f'SELECT * FROM "{measurement}"'):
            tags = tuple(sorted((k, v) for k, v in row.items() if isinstance(v, str)))
            fields = {k: v for k, v in row.items() if isinstance(v, int | float) and k != "time"}
            found |= {(measurement, row["time"], tags, k, v) for k, v in fields.items() if not k.startswith("ledger_")}
    return found


def resent(plant: Plant, *options: str) -> str:
    command = [sys.executable, "-m", "tanflow", "resend", "-c", str(plant.config), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_dropped_database_has_the_same_points_again(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """While the gateway is down and while it runs, twice, in parts; refused rows and wrong options are told."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, {"site": {"zone": "Asia/Shanghai"}})
    with plant.alive():
        started(plant)
        plant.stop()
    before = points(influx)
    assert len(before) > 300

    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)
    told = resent(plant, "--from", "2020-01-01")
    assert "0 refused" in told
    assert points(influx) == before
    resent(plant, "--from", "2020-01-01T00:00+01:00", "--rate", "100000")  # the same once more
    assert points(influx) == before

    # A part: of one series, up to an instant of the site's clock.
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)
    resent(plant, "--from", "2020-01-01", "--series", "messages.sequence.*", "--sink", "db")
    assert points(influx) == {p for p in before if p[0] == "process" and ("asset", "messages") in p[2]}

    # Beside the running gateway, whose own rows come too.
    plant.start()
    resent(plant, "--from", "2020-01-01")
    plant.caught_up()
    plant.stop()
    assert points(influx) >= before

    influx.query("", f'DROP DATABASE "{DATABASE}"')
    for options, words in (
        (("--from", "2020-01-01", "--sink", "dc"), "there is no sink 'dc'"),
        (("--from", "yesterday"), "is not an instant"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "must be earlier"),
        (("--from", "2020-01-01", "--series", "nothing.*"), "nothing to send"),
    ):
        answer = said(monkeypatch, capsys, "resend", "-c", plant.config, *options)
        assert answer.code != 0
        assert words in answer.err


def test_refused_rows_are_counted_with_their_reason(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    with plant.alive(publishing=False):
        started(plant)
        plant.stop()
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)
    line = "energy,asset=x energy_kwh=1i"  # a field of another type
    request = urllib.request.Request(f"{influx.url}/write?db={DATABASE}", line.encode())
    urllib.request.urlopen(request).close()
    command = [sys.executable, "-m", "tanflow", "resend", "-c", str(plant.config), "--from", "2020-01-01"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "refused: " in done.stdout
    assert "field type conflict" in done.stdout
    until_sync(lambda: points(influx, ("process",)), what="all the rest is there")
