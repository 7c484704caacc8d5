"""Modbus units that hang, reset, lie or are gone: no wrong value is believed, and each missing cycle has its cause."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from pipeline import quality as q
from pipeline.clock import SECOND_NS
from pipeline.gaps import Gap
from tests.faults.history_rows import History, all_rows
from tests.faults.modbus_way import NEVER_BELIEVED, Way
from tests.faults.plant import DATABASE, METERS, Plant, in_thread
from tests.faults.stages import Verdict, judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port

PERIOD_S: Final = 0.05
TIMEOUT_S: Final = 3.0  # so long that no good answer comes after it, however loaded the machine
CALM_NS: Final = SECOND_NS // 5  # of good readings before each fault
ONE: Final = frozenset({1})
BOTH: Final = frozenset({1, 2})


class Case(NamedTuple):
    """What is done to the answers of which units, and the cause that each of their gap rows must have."""

    what: str
    how: str
    units: frozenset[int]
    cause: Gap


CASES: Final = (
    Case("a unit hangs", "hang", ONE, Gap.TIMEOUT),
    Case("each answer is a reset (RST)", "reset", ONE, Gap.DISCONNECTED),
    Case("half a frame, the next answer follows it", "half", ONE, Gap.TIMEOUT),
    Case("half a frame, then hung up", "half and closed", ONE, Gap.DISCONNECTED),
    Case("wrong transaction id", "transaction", ONE, Gap.TIMEOUT),
    Case("wrong unit id", "unit", ONE, Gap.MALFORMED),
    Case("late answers, each into the next question", "late", ONE, Gap.TIMEOUT),
    Case("garbage", "garbage", ONE, Gap.MALFORMED),
    Case("connection accepted, then silence", "silent", BOTH, Gap.TIMEOUT),
    Case("DNS gone, connection reset", "cut", BOTH, Gap.REFUSED),
    Case("a gateway answers with another unit's registers", "swapped", ONE, Gap.NONE),
)


class Stretch(NamedTuple):
    """A fault's time [ns]: begun, ended, and recovered with a row of each unit; questions it spoiled, by unit."""

    case: Case
    begin: int
    end: int
    back: int
    spoiled: Counter[int]


@pytest.fixture
def no_names(tmp_path: Path) -> Path:
    """The library that makes a name go."""
    source, library = Path(__file__).with_name("no_names.c"), tmp_path / "no_names.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def test_no_wrong_value_is_believed_and_every_missing_cycle_has_its_cause(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, no_names: Path, full: bool
) -> None:
    influx.create(DATABASE)
    gone = tmp_path / "names-gone"
    way = Way(meters_port := free_port())
    plant = Plant(
        tmp_path, influx.url, mosquitto.port,
        changes={"connections": {"floor": {"every_s": PERIOD_S, "timeout_s": TIMEOUT_S, "backoff_max_s": 1}}},
        modbus_port=meters_port, way=f"meters.plant:{way.port}",
        environment=os.environ | {"LD_PRELOAD": str(no_names), "NAMES_GONE": str(gone)},
    )  # fmt: skip
    with in_thread(way), plant.alive(publishing=False):
        plant.start()
        plant.until(lambda: min(newest(plant, n) for n in (1, 2)) > 0, "both meters are read")
        stretches = [do(case, plant, way, gone, 30.0 if full else 0.6) for case in CASES]
        plant.caught_up()
        plant.stop()
    rows = all_rows(plant.data)
    for stretch in stretches:
        calm = (stretch.begin - CALM_NS, stretch.back + CALM_NS)  # an answer may be read some time after it was given
        verdict = judge(plant.witness, METERS, influx=influx, between=calm)
        check_values(rows, way)
        check_gaps(stretch, rows)
        if stretch.case.how == "swapped":
            check_swap(stretch, rows, verdict)
        else:
            assert verdict.sound(), (stretch, verdict)
            check_energy(stretch, rows)
        told(stretch, verdict)


def do(case: Case, plant: Plant, way: Way, gone: Path, for_s: float) -> Stretch:
    """Do one fault for a while, and wait until all units are read again."""
    calm = time.time_ns() + CALM_NS
    plant.until(lambda: min(newest(plant, n) for n in (1, 2)) > calm, "both meters are read")
    before, begin = len(way.spoiled), time.time_ns()
    if case.how == "cut":
        gone.touch()
    way.spoil(case.how, case.units)
    time.sleep(for_s)  # how long the fault lasts
    if case.how == "cut":  # nothing comes as far as the way
        plant.until(lambda: plant.witness.saw("meter-1.m-gap.gap", Gap.REFUSED), "the fault has been met")
    else:
        plant.until(lambda: not case.units - {u for _, u in way.spoiled[before:]}, "the fault has been met")
    gone.unlink(missing_ok=True)
    way.spoil("", frozenset())
    end = time.time_ns()
    plant.until(lambda: min(newest(plant, n) for n in (1, 2)) > end, f"read again after: {case.what}")
    back = min(newest(plant, n) for n in (1, 2))
    return Stretch(case, begin, end, back, Counter(unit for _, unit in way.spoiled[before:]))


def newest(plant: Plant, unit: int) -> int:
    """Return the time of a unit's newest accepted number [ns], 0 before the first."""
    return plant.witness.newest_ns(f"meter-{unit}.sequence.count")


def check_values(rows: History, way: Way) -> None:
    """Every accepted index and number is in an answer that was passed on as it was."""
    said = {(int.from_bytes(a.data[:4], "big"), int.from_bytes(a.data[4:], "big")) for a in way.said}
    assert NEVER_BELIEVED not in {number for pair in said for number in pair}
    for meter in METERS:
        numbers = {row.time_ns: int(row.value) for row in rows[f"{meter}.sequence.count"]}
        indexes = {row.time_ns: round(row.value * 1000) for row in rows[f"{meter}.energy_import.energy_index"]}
        assert numbers.keys() == indexes.keys()
        assert {(indexes[t], numbers[t]) for t in numbers} <= said


def check_gaps(stretch: Stretch, rows: History) -> None:
    """Gap rows and values tile the time of a fault: no gap where a value is, no time without either.

    A question that was spoiled is one gap row with the cause; while a unit rests each cycle is one of cause breaker.
    """
    for unit, meter in enumerate(METERS, 1):
        values = [r.time_ns for r in rows[f"{meter}.sequence.count"] if stretch.begin <= r.time_ns <= stretch.back]
        gaps = [r for r in rows[f"{meter}.m-gap.gap"] if stretch.begin <= r.time_ns <= stretch.back and r.value]
        for gap in gaps:
            assert not [t for t in values if gap.time_ns - gap.span_ns < t <= gap.time_ns], (stretch, gap)
        known = sorted(
            [*((t, t) for t in [*values, stretch.back]), *((g.time_ns - g.span_ns, g.time_ns) for g in gaps)]
        )
        until = list(accumulate((end for _, end in known), max, initial=stretch.begin))
        # A gateway that was itself held up while an answer waited has the value first, and then says that it was.
        held_up = [g.time_ns for g in gaps if g.value == Gap.MISSED]
        for told, (begin, _) in zip(until, known, strict=False):
            untold_s = (begin - told) / SECOND_NS
            said = any(told < t <= begin + SECOND_NS for t in held_up)
            assert untold_s <= 2 * PERIOD_S + TIMEOUT_S or said, (stretch, meter, untold_s)
        causes = Counter(Gap(int(g.value)) for g in gaps)
        if unit in stretch.case.units and stretch.case.cause is not Gap.NONE:
            check_causes(stretch, causes, stretch.spoiled[unit])


def check_causes(stretch: Stretch, causes: Counter[Gap], spoiled: int) -> None:
    """The cause is that of each spoiled question, and no other was made up."""
    allowed = {stretch.case.cause, Gap.BREAKER, Gap.MISSED}
    if stretch.case.how in ("half", "garbage"):  # what is left of one answer may spoil or end the next
        allowed |= {Gap.MALFORMED, Gap.TIMEOUT}
    if stretch.case.how in ("cut", "silent"):  # both begin with a reset, and a question may be under way then
        allowed |= {Gap.DISCONNECTED}
    assert set(causes) <= allowed, (stretch, causes)
    if stretch.case.how == "cut":
        assert causes[Gap.REFUSED], causes
        return
    of_questions = sum(causes[cause] for cause in allowed - {Gap.BREAKER, Gap.MISSED})
    cut_short = stretch.case.how == "silent"
    assert abs(of_questions - spoiled) <= cut_short, (stretch, causes, spoiled)


def check_energy(stretch: Stretch, rows: History) -> None:
    """Where the index was read on both sides of a gap, what was counted in between is measured."""
    for meter in METERS:
        for row in rows[f"{meter}.energy_import.energy"]:
            if stretch.begin <= row.time_ns <= stretch.back:
                assert not row.quality & q.QUANTITY_ESTIMATED, (stretch, row)


def check_swap(stretch: Stretch, rows: History, verdict: Verdict) -> None:
    """The other meter's index never becomes energy: the jump there and the jump back are each a flagged swap."""
    assert verdict.sound(0.01), verdict  # a second's worth
    swaps = [row.time_ns for row in rows["meter-1.energy_import.energy"] if row.quality & q.SWAP]
    assert len(swaps) == 2, (stretch, swaps)


def told(stretch: Stretch, verdict: Verdict) -> None:
    spoiled = sum(stretch.spoiled.values())
    more = f"{spoiled} questions spoiled, no wrong value accepted" if spoiled else ""
    if stretch.case.how == "swapped":
        more += "; the jump there and back are flagged as swaps, the amount at each is estimated"
    lasted_s = (stretch.end - stretch.begin) / SECOND_NS
    what = f"{stretch.case.what}, {lasted_s:.0f} s"
    happened(Fault("Modbus", what, verdict, (stretch.back - stretch.end) / SECOND_NS, more))
