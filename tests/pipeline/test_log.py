"""The durable log: what it gives back, what a commit means, and how it behaves when it cannot write."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from config.errors import GatewayError, Unavailable
from pipeline import quality as q
from pipeline.batch import COLUMNS, DTYPES, Batch, Header, make
from pipeline.clock import Clock
from pipeline.log import codec
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log, LogReader
from pipeline.log.schema import FILE
from pipeline.log.writer import Cursor, DeadLetter, Entry, LogFailed, Snapshot
from pipeline.trust import boot_clock
from tests.pipeline.tables import SECOND, START, readings
from tests.waiting import until

headers = st.builds(
    Header,
    st.text(max_size=8),
    st.integers(0, 2**31),
    st.text(max_size=8),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
    st.integers(0, 3),
    st.none() | st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=2),
)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    n = draw(st.integers(0, 20))
    column = lambda dtype, elements=None: draw(hnp.arrays(dtype, n, elements=elements))  # noqa: E731
    return make(
        draw(headers),
        column(np.int64),
        column(np.int32),
        column(np.float64),
        column(np.uint16),
        column(np.int64),
        token=draw(st.binary(max_size=6)),
    )


@given(st.lists(batches(), max_size=4))
def test_every_batch_comes_back_as_it_was(written: list[Batch]) -> None:
    read = codec.decode(codec.encode(written))
    assert [b.header for b in read] == [b.header for b in written]
    assert [b.token for b in read] == [b.token for b in written]
    for one, other in zip(read, written, strict=True):
        for name in COLUMNS:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("dtype", sorted({np.dtype(d) for d in DTYPES.values()}, key=str))
def test_columns_with_nothing_in_some_of_their_bytes_come_back(dtype: np.dtype[Any]) -> None:
    for used in range(1 << dtype.itemsize):
        mask = np.array([255 * (used >> at & 1) for at in range(dtype.itemsize)], np.uint8)
        column = (np.arange(1, 3 * dtype.itemsize + 1, dtype=np.uint8).reshape(3, -1) & mask).view(dtype).ravel()
        shuffled = codec.shuffle(column)
        assert codec.unshuffle(shuffled, 3, dtype).tobytes() == column.tobytes()
        with pytest.raises(ValueError, match="are not 3 values"):
            codec.unshuffle(shuffled[:-1], 3, dtype)


@settings(max_examples=300)
@given(st.data())
def test_damaged_commits_are_recognised(data: st.DataObject) -> None:
    blob = bytearray(codec.encode([readings([0, 1, 2], [1.0, 2.0, 3.0])]))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    try:
        (batch,) = codec.decode(bytes(blob))
    except codec.DamagedLog:
        return
    assert batch.value.tolist() == [1.0, 2.0, 3.0]  # only bits nobody reads may change unseen


async def open_log(path: Path, clock: Clock | None = None, commit_s: float = 0.01) -> Log:
    log = Log(path, clock or Clock(), commit_s)
    await log.open_boot()
    return log


def test_a_commit_that_claims_an_impossible_size_takes_no_memory() -> None:
    blob = bytearray(codec.encode([readings([0, 1, 2], [1.0, 2.0, 3.0])]))
    blob[4] ^= 0b1000_0000  # size of the content: eight bytes
    with pytest.raises(codec.DamagedLog):
        codec.decode(bytes(blob))
    blob[4] |= 0b1100_0000
    blob[5:13] = b"\xff" * 7 + b"\x7f"
    with pytest.raises(codec.DamagedLog, match="claims"):
        codec.decode(bytes(blob))


async def test_what_is_appended_can_be_read_in_order(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    first = await log.append(Entry([readings([0], [1.0])]))
    second = await log.append(Entry([readings([1], [2.0]), readings([2], [3.0])]))
    assert second == first + 1
    values = [v for w in log.read(0) for b in w.batches for v in b.value.tolist()]
    assert values == [1.0, 2.0, 3.0]
    assert log.read(second) == []
    assert [w.position for w in log.reader.read(first)] == [second]
    await log.close()


async def test_entries_that_wait_together_are_one_commit(tmp_path: Path) -> None:
    log = await open_log(tmp_path, commit_s=0.2)
    positions = await asyncio.gather(*(log.append(Entry([readings([i], [i])])) for i in range(5)))
    assert len(set(positions)) == 1
    await log.close()


async def test_a_riding_cursor_comes_with_the_next_commit(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    log.ride(Cursor("influx", 7))
    assert log.reader.cursor("influx").position == 0
    await log.append(Entry([readings([0], [1.0])]))
    assert log.reader.cursor("influx").position == 7
    log.ride(Cursor("influx", 8))
    await log.close()
    reader = LogReader(tmp_path)
    assert reader.cursor("influx").position == 8
    reader.close()


async def test_backlogs_are_counted_across_retention(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    positions = [await log.append(Entry([readings([i, i], [i, i])])) for i in range(10)]
    assert [log.reader.rows_after(p) for p in (0, positions[3], positions[9])] == [20, 12, 0]
    log.writer.floor = positions[4]
    await log.append(Entry([readings([10], [10.0])]))
    (oldest,) = log.reader.query("SELECT min(position) FROM log")[0]
    assert oldest == positions[5]
    assert log.reader.rows_after(positions[4]) == 11
    assert log.reader.received_ns(positions[9]) == START
    await log.close()


async def test_series_keep_their_ids(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    first = await log.series_ids(["a", "b"])
    await log.close()
    log = await open_log(tmp_path)
    assert await log.series_ids(["c", "b"]) == {"b": first["b"], "c": max(first.values()) + 1}
    await log.close()


async def test_snapshots_stand_at_the_position_of_their_commit(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    position = await log.append(Entry([readings([0], [1.0])], snapshots=[Snapshot("m", 1, b"state")]))
    rows = log.reader.query("SELECT connection, position, revision, state FROM snapshots")
    assert rows == [("m", position, 1, b"state")]
    await log.close()


async def test_a_failed_commit_ends_acceptance_for_good(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry([readings([0], [1.0])]))
    broken = Entry([readings([1], [2.0])], statements=[("INSERT INTO nowhere VALUES (1)", ())])
    with pytest.raises(LogFailed, match="nowhere"):
        await log.append(broken)
    with pytest.raises(LogFailed):
        await log.append(Entry([readings([2], [3.0])]))
    assert [w.rows for w in log.reader.read(0)] == [1]  # nothing of the failed commit is there
    await log.close()


async def test_dead_letters_keep_the_reason(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry(dead=[DeadLetter(START, "sink.db", "", "field type conflict", b"line")]))
    query = "SELECT component, reason, raw FROM dead"
    assert log.reader.query(query) == [("sink.db", "field type conflict", b"line")]
    await log.close()


async def test_only_the_newest_dead_letters_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.log.writer._DEAD_KEPT", 3)
    log = Log(tmp_path, Clock(), 0.001)
    for _ in range(2):
        await log.append(Entry(dead=[DeadLetter(START, "collector.mqtt", "t", "no JSON", b"?") for _ in range(4)]))
    assert log.reader.query("SELECT id FROM dead ORDER BY id") == [(6,), (7,), (8,)]
    await log.close()


async def test_rows_of_an_untrusted_clock_wait_and_are_moved_when_read(tmp_path: Path) -> None:
    clock = Clock(anchor_ns=0, trusted=False)
    log = await open_log(tmp_path, clock)
    lost = Header("m", 1, clock.boot, 5 * SECOND, 0)
    rows = make(lost, [5 * SECOND, START], [0, 1], [1.0, 2.0], [q.CLOCK | q.UNCERTAIN, 0])
    position = await log.append(Entry([rows]))
    assert log.read(0) == []
    assert log.reader.read(0) == []
    assert [w.rows for w in log.reader.read_raw(0)] == [2]
    await log.release_boot(clock.boot, START, readings([9], [0.0]))
    (window, _) = log.read(0)
    assert window.position == position
    assert window.batches[0].time_ns.tolist() == [START + 5 * SECOND, START]  # the device's own stamp stays
    assert window.batches[0].header.received_ns == START + 5 * SECOND
    (_, _, blob) = log.reader.query("SELECT position, rows, blob FROM log ORDER BY position")[0]
    assert codec.decode(blob)[0].time_ns.tolist() == [5 * SECOND, START]  # never rewritten
    await log.close()


async def test_a_second_process_can_read_while_the_gateway_writes(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry([readings([0], [1.0])]))
    other = LogReader(tmp_path)
    await log.append(Entry([readings([1], [2.0])]))
    assert sum(w.rows for w in other.read(0)) == 2
    with pytest.raises(sqlite3.OperationalError):
        other.query("DELETE FROM log")
    other.close()
    await log.close()


async def test_followers_are_woken_by_a_commit(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    seen: list[int] = []

    async def follow() -> None:
        position = 0
        while len(seen) < 5:
            for window in log.read(position):
                position = window.position
                seen.append(position)
            await log.changed()

    task = asyncio.create_task(follow())
    for i in range(5):
        await log.append(Entry([readings([i], [i])]))
    await until(lambda: len(seen) == 5)
    task.cancel()
    await log.close()


async def test_commits_that_are_gathered_are_kept_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three commits a gathering, of 10 rows each: 30 rows are kept where 15 would do, 40 are not."""
    monkeypatch.setattr("pipeline.log.log._GATHER_S", 0.02)
    monkeypatch.setattr("pipeline.log.log._RECENT_ROWS", 15)
    log = Log(tmp_path, Clock(), 0.01)
    written = [readings(range(n * 10, n * 10 + 10), range(10)) for n in range(5)]
    for batch in written:
        await log.append(Entry([batch]))
    first = log.position - len(written)
    assert [w.batches[0] is b for w, b in zip(log.read(first + 2), written[2:], strict=True)] == [True] * 3
    assert log.read(first + 1)[0].batches[0] is not written[1]  # from disk again
    monkeypatch.setattr("pipeline.log.log._MOST_RECENT_ROWS", 20)
    await log.append(Entry([written[0]]))
    assert log.read(log.position - 3)[0].batches[0] is not written[3]
    await log.close()


def test_a_data_directory_has_one_owner(tmp_path: Path) -> None:
    with DataDirectory(tmp_path, ballast_mb=1) as directory:
        assert directory.ballast.stat().st_size == 1 << 20
        with pytest.raises(GatewayError, match="belongs to a running gateway"), DataDirectory(tmp_path):
            pass
    with DataDirectory(tmp_path, ballast_mb=1):
        pass
    (tmp_path / "format").write_text("tanflow data 2\n")
    with pytest.raises(GatewayError, match="this version reads"), DataDirectory(tmp_path):
        pass


async def test_a_first_start_that_was_killed_within_a_step_is_made_to_its_end(tmp_path: Path) -> None:
    """What it left needs a rollback, which a reader may not make; the clock asks the log before its writer opens it."""
    killed, begun = tmp_path / "killed", sqlite3.connect(tmp_path / FILE, isolation_level=None)
    for statement in ("CREATE TABLE begun (x)", "PRAGMA cache_size=1", "BEGIN"):
        begun.execute(statement)
    begun.executemany("INSERT INTO begun VALUES (?)", [("x" * 1_000,)] * 100)  # spills: the journal is synced and hot
    killed.mkdir()
    for name in (FILE, f"{FILE}-journal"):
        shutil.copy(tmp_path / name, killed)
    begun.close()
    with pytest.raises(Unavailable, match="start it again"):
        LogReader(killed)
    assert boot_clock(killed).trusted
    log = await open_log(killed)
    assert await log.append(Entry([readings([1], [2.0])])) == 1
    await log.close()


async def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.close()
    database = sqlite3.connect(tmp_path / "log.db")
    database.execute("UPDATE meta SET value = '2'")
    database.commit()
    database.close()
    with pytest.raises(GatewayError, match="format 2"):
        await open_log(tmp_path)
