"""A database that lost everything is filled again from the gateway's own history: the same points, each once."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.log.log import LogReader
from tanflow.kept_rows import KeptRows, Wanted
from tests.faults.plant import DATABASE, Plant
from tests.faults.stages import in_history
from tests.operations.conftest import started
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.tanflow.command import Said, said

MEASUREMENTS = ("energy", "process", "emissions", "gateway")
Point = tuple[Any, ...]


def points(influx: Influxd) -> set[Point]:
    """Return every field of every line, with its tags; heads of the ledger count as of the day they left only."""
    found: set[Point] = set()
    for measurement in MEASUREMENTS:
        for row in influx.query(DATABASE, f'SELECT * FROM "{measurement}"'):
            tags = tuple(sorted((k, v) for k, v in row.items() if isinstance(v, str)))
            fields = {k: v for k, v in row.items() if isinstance(v, int | float) and k != "time"}
            found |= {(measurement, row["time"], tags, k, v) for k, v in fields.items() if not k.startswith("ledger_")}
    return found


Say = Callable[..., Said]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Call `tanflow resend`, of all times unless another is given."""
    return lambda plant, *options: said(
        monkeypatch, capsys, "resend", "-c", plant.config, "--from", "2020-01-01", *options
    )


def emptied(influx: Influxd) -> None:
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)


def test_a_dropped_database_has_the_same_points_again(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, say: Say
) -> None:
    """While the gateway is down and while it runs, twice, in parts; refused rows and wrong options are told."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, {"site": {"zone": "Asia/Shanghai"}})
    with plant.alive():
        started(plant)
        every = {"energy", "process", "emissions"}
        plant.until(lambda: len(here := points(influx)) > 100 and {p[0] for p in here} >= every, "points of each kind")
        plant.stop()
    delivered = points(influx)
    with closing(LogReader(plant.data)) as log:
        waiting = log.rows_after(log.cursor("db").position)  # of the last commit before the stop, if it came late

    emptied(influx)
    told = say(plant)
    assert (told.code, "0 refused" in told.out) == (0, True), told
    before = points(influx)
    assert before >= delivered
    assert len(before - delivered) <= waiting
    assert say(plant, "--from", "2020-01-01T00:00+01:00", "--rate", "100000").code == 0  # the same once more
    assert points(influx) == before

    # A part: of one series, up to an instant of the site's clock.
    emptied(influx)
    assert say(plant, "--series", "messages.sequence.*", "--sink", "db").code == 0
    assert points(influx) == {p for p in before if p[0] == "process" and ("asset", "messages") in p[2]}

    # Beside the running gateway, whose own rows come too.
    with plant.alive(publishing=False):
        started(plant)
        assert say(plant).code == 0
        plant.stop()
    assert points(influx) >= before

    refused_rows_are_counted_with_their_reason(plant, influx, say)
    wrong_options_are_told(plant, say)


def refused_rows_are_counted_with_their_reason(plant: Plant, influx: Influxd, say: Say) -> None:
    """A field of another type stands where an amount of energy is to go."""
    before = points(influx)
    at = next(p[1] for p in before if p[0] == "energy" and p[3] == "energy_kwh")
    emptied(influx)
    request = urllib.request.Request(f"{influx.url}/write?db={DATABASE}", f"energy,asset=x energy_kwh=1i {at}".encode())
    urllib.request.urlopen(request).close()
    answer = say(plant)
    assert answer.code == 1
    assert "refused: " in answer.out
    assert "field type conflict" in answer.out
    assert {p for p in points(influx) if p[0] == "process"} >= {p for p in before if p[0] == "process"}


def wrong_options_are_told(plant: Plant, say: Say) -> None:
    for options, words in (
        (("--sink", "dc"), "there is no sink 'dc'"),
        (("--from", "yesterday"), "is not an instant"),
        (("--from", "2020-01-02", "--to", "2020-01-01"), "must be earlier"),
        (("--series", "nothing.*"), "nothing to send"),
    ):
        answer = say(plant, *options)
        assert answer.code != 0
        assert words in answer.err


def test_what_leaves_the_log_meanwhile_is_sent_from_the_history(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """A slow resend: whatever of the log it has still to read is cut into files and let go of before it gets there."""
    monkeypatch.setattr("tanflow.kept_rows._PIECE_ROWS", 50)
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, program=("-m", "tests.operations.forgetful"))
    numbers = "meter-1.sequence.count"
    with plant.alive(publishing=False):
        started(plant)
        with closing(LogReader(plant.data)) as reader:
            kept, sent, waits = KeptRows(plant.data, reader), set[int](), 3 if full else 1
            (part,) = kept.parts()
            for batch in kept.batches(part, Wanted(0, 2**62)):
                sent |= set(batch.time_ns[batch.series == part.table.ids[numbers]].tolist())
                last = reader.last_position()
                if waits and len(batch) <= 50:
                    waits -= 1
                    plant.until(lambda last=last: oldest(reader) > last, "the log lets go of its rows")
        plant.stop()
    stored = {time_ns for key, time_ns, _ in in_history(plant.data) if key == numbers}
    assert not waits
    assert sent == {time_ns for time_ns in stored if time_ns <= max(sent)}


def oldest(reader: LogReader) -> int:
    """Return the position of the log's oldest commit."""
    return int(reader.query("SELECT coalesce(min(position), 0) FROM log")[0][0])
