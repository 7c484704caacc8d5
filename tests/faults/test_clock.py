"""A system's clock that is wrong, stepped or drifting, and devices': nothing lost, energy exact, hours right."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from carbon.entries import MICRO, Entries
from carbon.ledger import Ledger
from pipeline import quality as q
from pipeline.clock import RELEASED_NS, SECOND_NS
from pipeline.log.log import LogReader
from tests.faults.history_rows import History, Row, all_rows
from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import Verdict, judge
from tests.faults.table import Fault, happened
from tests.faults.wall import Wall
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

PLACE: Final = "/location"  # the end of the line whose energy is looked at
EVENT: Final = "gateway.clock-offset.health"
HOUR_S: Final = 3_600.0
HOUR_NS: Final = 3_600 * SECOND_NS
RESOLUTION_KWH: Final = 1e-3
MESSAGES: Final = "messages.energy_import"
STAMPED: Final = {"quantity": "energy_index", "unit": "kWh", "scale": 0.001, "mqtt": {"path": "seq"}}


def site(wall: Wall, folder: Path, influx: Influxd, mosquitto: Mosquitto, zone: str = "Europe/Berlin") -> Plant:
    """Return the plant in a zone of changing clocks; its messages count energy, too."""
    influx.query("", f'DROP DATABASE "{DATABASE}"')
    influx.create(DATABASE)
    device = {"points": {"energy_import": STAMPED}}
    changes = {
        "site": {"zone": zone},
        "areas": {"hall": {"assets": {"messages": {"carrier": "electricity", "devices": {"d": device}}}}},
    }
    return Plant(folder, influx.url, mosquitto.port, changes=changes, environment=wall.environment)


def test_1970_at_boot_until_the_time_server_answers(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, wall: Wall, full: bool
) -> None:
    plant = site(wall, tmp_path, influx, mosquitto)
    with plant.alive():
        plant.start()
        runs(plant, wall, 1.0)
        plant.kill()
        wall.set(40.0 - time.time())  # 40 s since 1970
        plant.start()
        raw = LogReader(plant.data)
        begun = raw.last_position()
        plant.until(lambda: raw.last_position() > begun + (600 if full else 30), "readings are kept meanwhile")
        held = plant.witness.position
        assert held <= begun + 1, "nobody passes the rows of a clock that is not set"
        wall.set(0.0)
        set_ns = time.time_ns()
        plant.until(lambda: newest(plant) > set_ns, "readings at the true time")
        back_s = (newest(plant) - set_ns) / SECOND_NS
        runs(plant, wall, 1.0)
        plant.caught_up()
        plant.stop()
        raw.close()
    rows = all_rows(plant.data)
    verdict = judged(plant, rows, influx)
    assert verdict.sound(), verdict
    assert min(row.time_ns for series in rows.values() for row in series) > RELEASED_NS
    moved = sum(bool(row.quality & q.CLOCK) for meter in METERS for row in rows[f"{meter}.sequence.count"])
    assert moved > 0
    assert [row.value * SECOND_NS > RELEASED_NS for row in rows[EVENT]] == [True]
    more = f"{moved} numbers read before the clock was set moved to their true time, flagged"
    happened(Fault("clock", "1970 at boot, then set by a time server", verdict, back_s, more))


# What is done, and how far the clock is from the true time [s]: at boot, then after each step.
STEPS: Final = (
    ("five hours behind at boot (the time of the last stop), set right; an hour back, and on again",
     (-5 * HOUR_S, 0.0, -HOUR_S, 0.0)),
    ("an hour on, and back again", (0.0, HOUR_S, 0.0)),
    ("three hours ahead at boot, then set right", (3 * HOUR_S, 0.0)),
)  # fmt: skip


def test_steps(
    tmp_path: Path, influx: Influxd, start_mosquitto: Callable[[], Mosquitto], wall: Wall, full: bool
) -> None:
    """Each is followed and told; the account's hours are those of the rows, and a step costs no energy."""
    for number, (what, offsets_s) in enumerate(STEPS if full else STEPS[:1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        broker = start_mosquitto()
        plant = site(wall, folder, influx, broker)
        wall.set(offsets_s[0])
        step_through(plant, influx, wall, what, offsets_s, 30.0 if full else 0.5)


def step_through(
    plant: Plant, influx: Influxd, wall: Wall, what: str, offsets_s: Sequence[float], for_s: float
) -> None:
    with plant.alive():
        plant.start()
        runs(plant, wall, for_s)
        waits: list[float] = []
        for off_s in offsets_s[1:]:
            before = time.monotonic()
            wall.set(off_s)
            plant.until(lambda: steps_told(plant) == len(waits) + 1, "an event tells of the step")
            waits.append(time.monotonic() - before)
            runs(plant, wall, for_s)
        plant.caught_up()  # a message of now would be late once its hour is closed
        wall.set(offsets_s[-1] + 4 * HOUR_S)  # so that the account closes the hours
        plant.until(lambda: steps_told(plant) == len(offsets_s), "an event tells of the last step")
        plant.until(lambda: booked(plant) > wall.now_ns() - 2 * HOUR_NS, "the account has closed the hours")
        plant.caught_up()
        plant.stop()
    rows = all_rows(plant.data)
    verdict = judged(plant, rows, influx)
    assert verdict.sound(), verdict
    told = np.diff([*offsets_s, offsets_s[-1] + 4 * HOUR_S])
    assert sorted(row.value for row in rows[EVENT]) == pytest.approx(sorted(told), abs=2)
    check_hours(plant, rows)
    more = f"followed after {max(waits):.1f} s, an event row each; the account's hours are those of the rows"
    happened(Fault("clock", what, verdict, max(waits), more))


def runs(plant: Plant, wall: Wall, for_s: float) -> None:
    """Return when the meters have been read for so long from now, by the clock the gateway sees."""
    until_ns = wall.now_ns() + round(for_s * SECOND_NS)
    plant.until(lambda: until_ns < newest(plant) < until_ns + HOUR_NS / 2, "the meters are read")


def newest(plant: Plant) -> int:
    """Return the time of the last meter's newest accepted number [ns]."""
    return min(plant.witness.newest_ns(f"{meter}.sequence.count") for meter in METERS)


def steps_told(plant: Plant) -> int:
    """Return how many steps of the clock the gateway has spoken of."""
    return plant.log.count("the system's clock was set by")


def judged(plant: Plant, rows: History, influx: Influxd) -> Verdict:
    """Return the verdict; the energy's error is by the rise of each index, for times go back and forth here."""
    published = plant.publisher.acked
    verdict = judge(plant.witness, (), published=published, influx=influx)
    return replace(
        verdict, energy_error_kwh=max(off(rows, f"{meter}.energy_import") for meter in (*METERS, "messages"))
    )


def off(rows: History, point: str) -> float:
    """Return |Σ amounts − rise of the index| of a counter that only rises [kWh], of readings whose time is believed."""
    index = [row.value for row in rows[f"{point}.energy_index"] if not row.quality & q.CLOCK]
    return abs(sum(row.value for row in rows[f"{point}.energy"]) - (max(index) - min(index)))


def booked(plant: Plant) -> int:
    """Return up to when the account is closed [ns]."""
    with Ledger.open(plant.data) as ledger:
        entries = [int((e.start_ns + e.span_ns).max()) for e in ledger.read() if len(e.start_ns)]
    return int(max(entries, default=0))


def check_hours(plant: Plant, rows: History) -> None:
    """Each closed hour of the account is what the amounts that fell into it sum to, within a milliwatt-hour each."""
    for meter in (*METERS, "messages"):
        fell: dict[int, float] = {}
        count: dict[int, int] = {}
        for row in rows[f"{meter}.energy_import.energy"]:
            for hour, share in shares(row):
                fell[hour] = fell.get(hour, 0.0) + row.value * share
                count[hour] = count.get(hour, 0) + 1
        with Ledger.open(plant.data) as ledger:
            line = {
                n for n, line in ledger.lines.items() if line.key.startswith(f"{meter}.") and line.key.endswith(PLACE)
            }
            assert len(line) == 1, sorted(line.key for line in ledger.lines.values())
            entries = Entries.join(list(ledger.read(lines=line)))
        booked_in: dict[int, int] = {}
        for start, energy in zip(entries.start_ns, entries.energy, strict=True):
            hour = int(start) // HOUR_NS
            booked_in[hour] = booked_in.get(hour, 0) + int(energy)
        assert booked_in, meter
        for hour, mwh in booked_in.items():
            assert abs(mwh - fell.get(hour, 0.0) * MICRO) <= count.get(hour, 0) + 1, (meter, hour, mwh, fell.get(hour))


def shares(row: Row) -> list[tuple[int, float]]:
    """Return the hours an amount falls into, each with its share by time."""
    begin, end = row.time_ns - max(row.span_ns, 1), row.time_ns
    hours = range(begin // HOUR_NS, (end - 1) // HOUR_NS + 1)
    return [(h, (min(end, (h + 1) * HOUR_NS) - max(begin, h * HOUR_NS)) / (end - begin)) for h in hours]


def test_devices_whose_clocks_are_wrong(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, wall: Wall, full: bool
) -> None:
    """Messages stamped 1970 and a year ahead are kept, flagged, and neither begin an interval nor make others late."""
    plant = site(wall, tmp_path, influx, mosquitto)
    block = 2_000 if full else 60
    wrong = {1: lambda: 40 * SECOND_NS, 3: lambda: time.time_ns() + 8_766 * HOUR_NS}  # by block: right, wrong, right …

    def stamp(number: int) -> int:
        of_block = wrong.get(number // block % 5)
        return of_block() + number if of_block else time.time_ns()

    plant.publisher.stamp = stamp
    with plant.alive(publishing=False):
        plant.start()
        with plant.publishing(mosquitto):
            plant.until(lambda: len(plant.publisher.acked) > 5 * block + block // 2, "all blocks are published")
            runs(plant, wall, 1.0)
            plant.caught_up()
        plant.stop()
    rows = all_rows(plant.data)
    verdict = judged(plant, rows, influx)
    assert verdict.sound(), verdict
    numbers = rows["messages.sequence.count"]
    assert {int(row.value) // block % 5 for row in numbers if row.quality & q.CLOCK} == set(wrong)
    assert not [row for row in numbers if row.quality & q.LATE]
    amounts = rows["messages.energy_import.energy"]
    assert max(row.span_ns for row in amounts) < HOUR_NS
    flagged = sum(bool(row.quality & q.CLOCK) for row in numbers)
    what = "a device's messages stamped 1970, then a year ahead"
    happened(Fault("clock", what, verdict, None, f"{flagged} messages flagged, none late, no amount over their time"))
