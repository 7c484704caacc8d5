"""One connection's way into the log: whatever the splits and crashes, the same rows; nothing half-done."""

from __future__ import annotations

import asyncio
import itertools
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline import snapshot
from pipeline.batch import DERIVED, INPUT, Batch, Header, Reject, concat, make
from pipeline.clock import Clock
from pipeline.ingest import Ingest
from pipeline.log.log import Log
from pipeline.log.writer import LogFailed
from pipeline.meter import MeterState
from pipeline.series import SeriesTable
from pipeline.spec import Kind
from tanflow import revision
from tests.pipeline.journal import Row, assert_same_state, held, ingest_of, open_log
from tests.pipeline.tables import HEADER, SECOND, START, meter_table, readings, spec
from tests.waiting import until

COUNTER, AMOUNT, GAUGE = 0, 1, 3
YEAR = 365 * 86_400 * SECOND
COUNTER_16_BIT = {"modulus": 2.0**16, "resolution": 1.0, "max_rate": 1_000.0, "period_ns": 60 * SECOND}


def restarted(log: Log, table: SeriesTable, connection: str = "m") -> Ingest:
    """Return the ingest of a new process: what it knows is what the log holds."""
    ingest = ingest_of(log, table, connection)
    revision.recover(log, {connection: ingest})
    return ingest


async def accepted(table: SeriesTable, batches: list[Batch], crashes: set[int], checkpoints: set[int]) -> list[Row]:
    """Return the log's rows after all batches; before those in `crashes` the process starts anew."""
    with tempfile.TemporaryDirectory() as folder:
        log = await open_log(Path(folder))
        ingest = ingest_of(log, table)
        for number, batch in enumerate(batches):
            if number in crashes:
                await log.close()
                log = await open_log(Path(folder))
                ingest = restarted(log, table)
            await ingest.accept(batch)
            if number in checkpoints:
                await ingest.checkpoint()
        rows = held(log)
        await log.close()
    return sorted(rows)


raw_rows = st.lists(
    st.tuples(
        st.sampled_from([COUNTER, GAUGE]),
        st.integers(-5, 400),
        st.sampled_from([0.0, 1.0, 2.5, 100.0, 65_530.0, math.nan]),
        st.sampled_from([0, q.BAD | q.COMM, q.UNCERTAIN | q.STALE]),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(raw_rows, st.data())
async def test_splits_and_crashes_do_not_show_in_the_log(
    rows: list[tuple[int, int, float, int]], data: st.DataObject
) -> None:
    """Rows of a counter and a gauge, some late, bad or not numbers: once whole, once cut and crashed anywhere."""
    table, at, stream = meter_table(**COUNTER_16_BIT), 0, []
    for series, after, value, quality in rows:
        at += after
        stream.append(readings([at], [value], series=series, quality=quality))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    edges = [0, *sorted(cuts), len(stream)]
    batches = [concat(HEADER, stream[a:b]) for a, b in itertools.pairwise(edges) if a < b]
    numbers = st.sets(st.integers(0, len(batches)))
    whole = await accepted(table, [concat(HEADER, stream)], set(), set())
    assert await accepted(table, batches, data.draw(numbers), data.draw(numbers)) == whole


async def test_a_cancelled_accept_leaves_state_and_log_in_step(tmp_path: Path) -> None:
    """Cancelled while the writer waits for its interval: the commit goes on, and the state with it."""
    log = await open_log(tmp_path, commit_s=0.2)
    table = meter_table()
    ingest = ingest_of(log, table)
    await ingest.accept(readings([0], [10.0]))
    task = asyncio.create_task(ingest.accept(replace(readings([60], [12.0]), token=b"second")))
    await until(lambda: log.writer._waiting)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ingest.accept(readings([120], [13.0]))
    assert [r[:4] for r in held(log, DERIVED) if r[0] == 1] == [(1, 60, 60, "2.0"), (1, 120, 60, "1.0")]
    again = restarted(log, table)
    assert_same_state(again.state, ingest.state)
    assert list(again.tokens) == list(ingest.tokens) == [b"second"]
    await log.close()


async def test_a_failed_commit_changes_nothing(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    await ingest.accept(readings([0], [10.0]))
    before = ingest.state
    log.writer._db.execute("DROP TABLE log")
    with pytest.raises(LogFailed):
        await ingest.accept(replace(readings([60], [12.0]), token=b"lost"))
    assert ingest.state is before
    assert not ingest.tokens
    assert ingest.counters.committed == 1
    await log.close()


async def test_rejects_are_dead_letters_of_the_same_commit(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    batch = replace(readings([0], [10.0]), rejects=(Reject("line/3", "not JSON", b"x" * 5_000), Reject("line/4", "no")))
    before = log.writer.commits
    await ingest.accept(batch)
    assert log.writer.commits == before + 1
    dead = log.reader.query("SELECT component, source, reason, length(raw) FROM dead ORDER BY id")
    assert dead == [("collector.m", "line/3", "not JSON", 1_024), ("collector.m", "line/4", "no", 0)]
    assert (ingest.counters.rejected, ingest.counters.committed) == (2, 1)
    await ingest.accept(replace(readings([], []), rejects=(Reject("line/5", "nothing in it"),)))
    assert len(log.reader.query("SELECT 1 FROM dead")) == 3
    await log.close()


async def test_tokens_survive_restarts_from_snapshot_and_log(tmp_path: Path) -> None:
    log, table = await open_log(tmp_path), meter_table()
    ingest = ingest_of(log, table)
    tokens = [bytes([n]) for n in range(6)]
    for number, token in enumerate(tokens):
        await ingest.accept(replace(readings([number], [float(number)]), token=token))
        if number == 2:
            await ingest.checkpoint()
    await ingest.accept(replace(readings([], []), token=b"\xff\n"))  # acknowledged input that gave no rows
    await log.close()
    log = await open_log(tmp_path)
    again = restarted(log, table)
    assert list(again.tokens) == [*tokens, b"\xff\n"]
    await again.checkpoint()
    assert list(restarted(log, table).tokens) == [*tokens, b"\xff\n"]
    await log.close()


async def test_only_as_many_tokens_are_kept_as_can_be_unacknowledged(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    for number in range(300):
        ingest.tokens.append(number.to_bytes(2, "big"))
    await ingest.accept(replace(readings([], []), token=b"newest"))
    assert len(ingest.tokens) == 256
    assert ingest.tokens[-1] == b"newest"
    await log.close()


async def test_late_rows_are_kept_flagged_and_change_nothing(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    await ingest.accept(readings([0, 120], [10.0, 12.0]))
    before = ingest.state
    await ingest.accept(readings([60], [11.0]))
    assert held(log, INPUT)[-1] == (COUNTER, 60, 0, "11.0", q.LATE)
    assert_same_state(ingest.state, before)
    assert len([r for r in held(log, DERIVED) if r[0] == 1]) == 1
    await log.close()


async def test_the_header_says_connection_and_revision_in_force(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    table = meter_table()
    stranger = replace(readings([0], [1.0]), header=Header("other", 99, "boot", START, 0))
    await ingest_of(log, table).accept(stranger)
    (batch,) = (b for w in log.reader.read_raw(0) for b in w.batches)
    assert (batch.header.connection, batch.header.revision) == ("m", table.revision)
    await log.close()


async def test_a_snapshot_never_stands_within_a_batch(tmp_path: Path) -> None:
    log, table = await open_log(tmp_path, commit_s=0.2), meter_table()
    ingest = ingest_of(log, table)
    await ingest.accept(readings([0], [10.0]))
    accepting = asyncio.create_task(ingest.accept(readings([60], [12.0])))
    await until(lambda: log.writer._waiting)
    await ingest.checkpoint()  # asked for while a batch is in flight
    assert accepting.done()
    ((position, state),) = log.reader.query("SELECT position, state FROM snapshots")
    assert position >= log.position
    decoded = MeterState.fresh(len(table))
    newest_ns = decoded.time_ns.copy()
    snapshot.decode(state, decoded, newest_ns)
    assert_same_state(decoded, ingest.state)
    assert newest_ns.tolist() == ingest.newest_ns.tolist()
    await log.close()


async def test_a_silent_connection_does_not_hold_the_log_back(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    specs = [spec("a.e.energy_index", Kind.COUNTER), spec("b.e.energy_index", Kind.COUNTER, connection="silent")]
    table = SeriesTable(1, specs, {s.key: i for i, s in enumerate(specs)}, {})
    busy, silent = ingest_of(log, table), ingest_of(log, table, "silent")
    await silent.accept(make(HEADER, [START], [1], [5.0]))
    for second in range(20):
        await busy.accept(readings([second], [float(second)]))
    await silent.checkpoint()
    ((position,),) = log.reader.query("SELECT position FROM snapshots WHERE connection = 'silent'")
    assert position == log.position
    again = restarted(log, table, "silent")
    assert_same_state(again.state, silent.state)
    await log.close()


async def test_nothing_is_accepted_while_the_gate_is_closed(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    ingest.accepting.clear()
    waiting = asyncio.create_task(ingest.accept(readings([0], [1.0])))
    await ingest.checkpoint()  # a whole commit passes meanwhile
    assert held(log) == []
    ingest.accepting.set()
    await waiting
    assert len(held(log)) == 1
    await log.close()


async def test_rows_of_an_untrusted_boot_are_flagged_and_not_folded(tmp_path: Path) -> None:
    """A boot that begins in 1970 stamps 5 s; the device's own stamp of 2018 is not the gateway's and stays good."""
    clock = Clock(anchor_ns=0, trusted=False)
    log = await open_log(tmp_path, clock)
    ingest = ingest_of(log, meter_table())
    header = Header("m", 1, clock.boot, 6 * SECOND, 6 * SECOND)
    await ingest.accept(make(header, [5 * SECOND, START], [COUNTER, GAUGE], [1.0, 2.0]))
    by_series = {row[0]: row[4] for row in held(log, INPUT)}
    assert by_series == {COUNTER: q.CLOCK | q.UNCERTAIN, GAUGE: 0}
    assert ingest.state.time_ns[COUNTER] < 0
    assert ingest.state.time_ns[GAUGE] == START
    await log.close()


async def test_one_stamp_of_the_future_does_not_make_all_later_ones_late(tmp_path: Path) -> None:
    """A device that starts up in 2023 and is set right: its reading is kept and flagged, the next ones count."""
    log = await open_log(tmp_path)
    ingest = ingest_of(log, meter_table())
    for second, stamp in enumerate([START, START + 5 * YEAR, START + 2 * SECOND]):
        header = Header("m", 1, log.clock.boot, START + second * SECOND, 0)
        await ingest.accept(make(header, [stamp], [COUNTER], float(second)))
    assert [row[4] for row in held(log, INPUT)] == [0, q.CLOCK | q.UNCERTAIN, 0]
    assert [row[1:4] for row in held(log, DERIVED) if row[0] == AMOUNT] == [(2.0, 2.0, "2.0")]
    await log.close()
