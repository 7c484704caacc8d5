"""The clock that is not set: rows are kept, nobody passes them, and they move to their true time when it is set."""

from __future__ import annotations

import asyncio
import logging
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline import quality as q
from pipeline import trust
from pipeline.batch import DERIVED, INPUT, Batch, Header, make
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.normalise import distrust
from pipeline.trust import plausible, watch
from tanflow import revision
from tests.pipeline.journal import ingest_of, open_log, plain
from tests.pipeline.tables import HOUR, SECOND, meter_table
from tests.waiting import until

NOW = 1_790_000_000 * SECOND  # September 2026
OFFSET_SERIES = 4


@pytest.fixture(autouse=True)
def never_synchronized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that does not say whether its clock is synchronized, until the file is made."""
    path = tmp_path / "synchronized"
    monkeypatch.setattr(trust, "_SYNCHRONIZED", path)
    monkeypatch.setattr(trust, "_EVERY_S", 0.005)
    return path


def test_plausible(never_synchronized: Path) -> None:
    """Not before 2026, not more than a minute before the log's last row; unless the system says it is right."""
    assert plausible(NOW, 0)
    assert plausible(NOW, NOW - HOUR)
    assert plausible(NOW, NOW + 59 * SECOND)
    assert not plausible(NOW, NOW + 61 * SECOND)
    assert not plausible(0, 0)
    assert not plausible(1_767_225_599 * SECOND, 0)  # a second before 2026
    never_synchronized.touch()
    assert plausible(NOW, NOW + HOUR)
    assert not plausible(0, 0)


async def test_an_untrusted_boot_is_moved_when_the_clock_is_set(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last boot read 1000.0 kWh at NOW − 1 h. This one wakes up in 1970, reads 1004, and is set right to NOW.

    The next reading is 1006 at NOW + 1 s: 6 kWh over the whole gap, in one row; nothing is lost to the lost clock.
    """
    await earlier_boot(tmp_path, NOW - HOUR, 1_000.0)
    wall, clock, counters = [10 * SECOND], Clock(anchor_ns=10 * SECOND, trusted=False), Counters()
    log = await open_log(tmp_path, clock)
    first_boot, begun = clock.boot, log.position
    ingest = ingest_of(log, meter_table())
    revision.recover(log, {"m": ingest})
    stamp = clock.now_ns()
    await ingest.accept(make(Header("m", 1, first_boot, clock.now_ns(), 0), stamp, [0], 1_004.0))
    with caplog.at_level(logging.WARNING, "tanflow.clock"):
        task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, counters, lambda: wall[0]))
        await until(lambda: counters.state == "degraded")
        assert log.read(begun) == []  # kept, and held
        assert log.position > begun
        before_ns = clock.now_ns()
        wall[0] = NOW
        await until(lambda: counters.state == "running")
    assert clock.boot != first_boot
    assert abs(clock.now_ns() - NOW) < HOUR
    await ingest.accept(make(Header("m", 1, clock.boot, clock.now_ns(), 0), NOW + SECOND, [0], 1_006.0))

    offset = log.reader.boots[first_boot]
    assert offset is not None
    assert NOW - before_ns - SECOND < offset <= NOW - stamp
    the_lost_hour_is_one_row([b for w in log.read(begun) for b in w.batches], first_boot, stamp, offset)
    assert len(caplog.records) == 2  # not set; set
    task.cancel()
    await log.close()
    reader_of_later = await open_log(tmp_path, Clock(anchor_ns=NOW + HOUR))
    stored = [b for w in reader_of_later.reader.read(begun) for b in w.batches if b.header.stratum == INPUT]
    assert stored[0].time_ns.tolist() == [stamp + offset]  # applied at every reading, never rewritten
    await reader_of_later.close()


async def earlier_boot(folder: Path, at_ns: int, kwh: float) -> None:
    """A boot that knew the time read one index, and ended."""
    log = await open_log(folder, Clock(anchor_ns=at_ns))
    ingest = ingest_of(log, meter_table())
    await ingest.accept(make(Header("m", 1, log.clock.boot, at_ns, 0), at_ns, [0], kwh))
    await log.close()


def the_lost_hour_is_one_row(batches: list[Batch], first_boot: str, stamp: int, offset: int) -> None:
    """The untrusted row is moved and marked, a note says by how much, and the next amount lasts since the last boot."""
    moved = next(b for b in batches if b.header.boot == first_boot)
    assert moved.quality.tolist() == [q.CLOCK | q.UNCERTAIN]
    assert moved.time_ns.tolist() == [stamp + offset]
    (note,) = [b for b in batches if b.header.note]
    assert note.header.note == {"clock": {"boot": first_boot, "offset_ns": offset}}
    assert note.series.tolist() == [OFFSET_SERIES]
    amounts = [r for r in plain(b for b in batches if b.header.stratum == DERIVED) if r[0] == 1]
    assert [(r[2], r[3]) for r in amounts] == [(3_601.0, "6.0")]


async def test_a_boot_that_ended_before_its_clock_was_set_holds_nobody_up_for_ever(tmp_path: Path) -> None:
    """Power comes, the clock says 1970, power goes; the next start has the right time and nothing is left behind."""
    await earlier_boot(tmp_path, NOW - HOUR, 1_000.0)
    for _ in range(2):
        lost = Clock(anchor_ns=10 * SECOND, trusted=False)
        log = await open_log(tmp_path, lost)
        ingest = ingest_of(log, meter_table())
        await ingest.accept(make(Header("m", 1, lost.boot, 11 * SECOND, 0), 11 * SECOND, [0], 1_001.0))
        await ingest.accept(make(Header("m", 1, lost.boot, 12 * SECOND, 0), 12 * SECOND, [0], 1_002.0))
        await log.close()

    clock = Clock(anchor_ns=NOW)
    log = await open_log(tmp_path, clock)
    task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, Counters(), lambda: NOW))
    await until(lambda: None not in log.reader.boots.values())
    await ingest_of(log, meter_table()).accept(make(Header("m", 1, clock.boot, NOW, 0), NOW, [0], 1_003.0))
    task.cancel()
    read = [b for w in log.read(0) for b in w.batches if b.header.connection == "m" and b.header.stratum == INPUT]
    times = [int(b.time_ns[0]) for b in read]
    begun = NOW - HOUR
    assert times == [begun, *(begun + n * SECOND for n in (1, 2, 3, 4)), NOW]
    assert [int(b.quality[0]) for b in read] == [0, *[q.CLOCK | q.UNCERTAIN] * 4, 0]
    await log.close()


async def test_a_batch_in_flight_while_the_clock_is_set_is_still_moved(tmp_path: Path) -> None:
    """Made by the untrusted boot, committed after the release."""
    clock, counters = Clock(anchor_ns=10 * SECOND, trusted=False), Counters()
    log = await open_log(tmp_path, clock)
    ingest = ingest_of(log, meter_table())
    old = Header("m", 1, clock.boot, clock.now_ns() + SECOND, 0)
    stamp = clock.now_ns()
    task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, counters, lambda: NOW))
    await until(lambda: counters.state == "running")
    await ingest.accept(make(old, stamp, [0], 5.0))
    last = log.read(0)[-1].batches[0]
    assert last.quality.tolist() == [q.CLOCK | q.UNCERTAIN]
    assert abs(int(last.time_ns[0]) - NOW) < 10 * SECOND
    task.cancel()
    await log.close()


async def test_a_clock_that_only_runs_on_is_not_set(tmp_path: Path) -> None:
    """The wall clock went back behind the log and nobody sets it: however often one looks, it stays untrusted."""
    await earlier_boot(tmp_path, NOW + HOUR, 1.0)
    clock, looks = Clock(anchor_ns=NOW, trusted=plausible(NOW, NOW + HOUR)), 0
    log = await open_log(tmp_path, clock)

    def wall() -> int:
        nonlocal looks
        looks += 1
        return clock.now_ns()

    task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, Counters(), wall))
    await until(lambda: looks > 10)
    assert not clock.trusted
    task.cancel()
    await log.close()


async def test_a_clock_that_is_not_the_systems_is_only_watched(tmp_path: Path) -> None:
    log = await open_log(tmp_path, Clock(anchor_ns=NOW))
    counters, commits = Counters(), log.writer.commits
    task = asyncio.create_task(watch(log, log.clock, OFFSET_SERIES, counters, lambda: log.clock.now_ns() + HOUR))
    await until(lambda: counters.lag_s > 3_599)
    assert log.writer.commits == commits
    task.cancel()
    await log.close()


@pytest.mark.parametrize("step_ns", [HOUR, -HOUR, 3 * HOUR, -3 * HOUR])
async def test_a_step_of_the_systems_clock_is_followed_and_told(tmp_path: Path, step_ns: int) -> None:
    """A meter shows 5 kWh more after the step: they are counted once, whichever way the clock went."""
    clock, looks = Clock(anchor_ns=NOW, of_wall=True), 0
    off_ns = 0

    def wall() -> int:
        nonlocal looks
        looks += 1
        return NOW + time.monotonic_ns() - began + off_ns

    began = time.monotonic_ns()
    log = await open_log(tmp_path, clock)
    first = clock.boot
    ingest = ingest_of(log, meter_table(), stamps=True)

    async def read(kwh: float) -> None:
        now_ns = clock.now_ns()
        await ingest.accept(make(Header("m", 1, clock.boot, now_ns, 0), now_ns, [0], kwh))

    await read(1_000.0)
    task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, Counters(), wall))
    await until(lambda: looks > 5)
    assert clock.boot == first
    off_ns = step_ns
    await until(lambda: clock.boot != first)
    assert abs(clock.now_ns() - wall()) < 60 * SECOND
    await read(1_005.0)
    await read(1_006.0)
    task.cancel()
    batches = [b for w in log.read(0) for b in w.batches]
    (told,) = [b for b in batches if b.header.note]
    assert told.header.note is not None
    assert told.header.note["clock"]["boot"] == first
    assert abs(told.value[0] - step_ns / SECOND) < 60
    amounts = [r for r in plain(b for b in batches if b.header.stratum == DERIVED) if r[0] == 1]
    assert [r[3] for r in amounts] == ["5.0", "1.0"]
    again = ingest_of(log, meter_table(), stamps=True)
    again.recover(batches)
    assert all((a == b)[0] for a, b in zip(again.state.columns[:2], ingest.state.columns[:2], strict=True))
    await log.close()


async def test_a_clock_that_drifts_is_followed_slowly(tmp_path: Path) -> None:
    """20 ms ahead: gateway time comes there in steps of half a millisecond; 5 ms behind, in steps of a tenth."""
    clock, wall_ahead = Clock(anchor_ns=NOW, of_wall=True), 20_000_000
    began = time.monotonic_ns()
    log = await open_log(tmp_path, clock)
    commits = log.writer.commits
    steps = [clock.anchor_ns]

    def wall() -> int:
        steps.append(clock.anchor_ns)
        return NOW + time.monotonic_ns() - began + wall_ahead

    task = asyncio.create_task(watch(log, clock, OFFSET_SERIES, Counters(), wall))
    await until(lambda: abs(wall() - clock.now_ns()) < 1_000_000)
    wall_ahead = 15_000_000
    await until(lambda: abs(wall() - clock.now_ns()) < 1_000_000)
    task.cancel()
    moves = [b - a for a, b in pairwise(steps)]
    assert max(moves) == 500_000
    assert min(moves) == -100_000
    assert log.writer.commits == commits
    await log.close()


def test_a_devices_1970_is_no_time_while_the_gateways_own_clock_is_not_set() -> None:
    """Neither the gateway's run nor a time that can be: it waits for a clock, as a reading of the gateway's does."""
    header = Header("m", 1, "boot", 40 * SECOND, 0)
    rows = make(header, [5 * SECOND, 35 * SECOND, NOW], [0, 0, 0], [1.0, 2.0, 3.0])
    flagged = q.CLOCK | q.UNCERTAIN
    assert distrust(rows, 30 * SECOND).quality.tolist() == [flagged, flagged, 0]
