"""The history keeps what it is given, finds its cursor again, forgets in time and says what is wrong."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.errors import Rejected, Unavailable
from pipeline.batch import Batch
from pipeline.quality import BAD, COMM, LATE, UNCERTAIN
from sinks import history_compact
from sinks.history_compact import compact
from sinks.history_files import RAW, File, holes, live, scan
from sinks.history_parquet import Columns, Parquet
from sinks.history_query import SCAN_LIMIT
from tests.sinks.history_oracle import ALL, DAY, HOUR, MIN, Row, S, agree, batch, expected, multiset, opened, stored
from tests.waiting import DEADLINE_S

DAY_0 = 20_000 * DAY


def minutes(series: int, day: int, n: int = 1_440) -> list[Row]:
    return [Row(series, DAY_0 + day * DAY + i * MIN, float(i)) for i in range(n)]


def open_files() -> list[str]:
    return [os.path.realpath(fd) for fd in Path("/proc/self/fd").iterdir()]


def parquet(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


async def test_a_new_history_is_empty(tmp_path: Path) -> None:
    history = await opened(tmp_path / "made" / "here")
    assert (history.cursor, await history.count(), len(await history.query([0], 0, DAY))) == (0, 0, 0)
    assert await history.compact() == 0


async def test_the_cursor_is_found_again(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 17)
    await history.write(batch([]), 17, 21)
    assert history.cursor == 21
    again = await opened(tmp_path)
    assert (again.cursor, await again.count(), await again.count(after=17)) == (21, 1_440, 0)


@pytest.mark.parametrize(("after", "upto"), [(0, 5), (4, 5), (3, 3), (9, 12)])
async def test_a_cut_that_does_not_follow_the_cursor_is_refused(tmp_path: Path, after: int, upto: int) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0, 3)), 0, 3)
    with pytest.raises(ValueError, match="stands at log position 3"):
        await history.write(batch(minutes(0, 0, 3)), after, upto)


async def test_empty_cuts_go_in_compaction_and_the_cursor_stays(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    for position in range(5):
        await history.write(batch([]), position, position + 1)
    await history.compact()
    assert parquet(tmp_path) == [f"{level}/0_0_0_5_0.parquet" for level in ("1h", "1m", "raw")]
    assert (await opened(tmp_path)).cursor == 5


async def test_rows_of_one_series_and_time_keep_the_order_of_the_log(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch([Row(0, S, 1.0), Row(0, S, 2.0)]), 0, 1)
    await history.write(batch([Row(0, S, 3.0)]), 1, 2)
    await history.compact()
    assert (await history.query([0], 0, DAY)).value.tolist() == [1.0, 2.0, 3.0]
    assert (await history.query([0], 0, DAY, MIN, "first")).value.tolist() == [1.0]
    assert (await history.query([0], 0, DAY, MIN, "last")).value.tolist() == [3.0]


async def test_late_rows_are_in_every_answer(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    rows = [Row(0, i * S, 1.0) for i in range(0, 300, 2)]
    late = [Row(0, i * S, 9.0, 0, UNCERTAIN | LATE) for i in range(1, 300, 20)]
    await history.write(batch(rows), 0, 1)
    await history.write(batch([Row(0, HOUR * 5, 1.0)]), 1, 2)
    await history.write(batch(late), 2, 3)
    everything = [*rows, Row(0, HOUR * 5, 1.0), *late]
    for compacted in (False, True):
        assert multiset(stored(await history.query([0], 0, DAY))) == multiset(everything)
        for aggregate in ("sum", "max", "last", "integral"):
            agree(await history.query([0], 0, DAY, HOUR, aggregate), expected(everything, HOUR, aggregate))
        if not compacted:
            assert await history.compact() > 0


async def test_a_tail_makes_the_answer_complete(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    rows = [*minutes(0, 0), Row(1, DAY_0 + 2 * HOUR, 12.0, 2 * HOUR)]
    await history.write(batch(rows[:700]), 0, 1)
    tail, cursor = batch(rows[700:]), history.cursor
    # A write in between must not double what the tail brings.
    await history.write(batch(rows[700:900]), 1, 2)
    span = (DAY_0, DAY_0 + DAY)
    assert multiset(stored(await history.query([0, 1], *span, tail=tail, after=cursor))) == multiset(rows)
    for step in (MIN, HOUR, 7 * S + MIN):
        for aggregate in ("sum", "mean", "last", "integral"):
            answer = await history.query([0, 1], *span, step, aggregate, tail=tail, after=cursor)
            agree(answer, expected(rows, step, aggregate))


async def test_a_tail_older_than_a_compaction_is_asked_for_again(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    rows = minutes(0, 0)
    await history.write(batch(rows[:700]), 0, 1)
    tail, cursor = batch(rows[700:]), history.cursor
    await history.write(batch(rows[700:]), 1, 2)
    await history.compact()
    with pytest.raises(Unavailable, match="ask again"):
        await history.query([0], DAY_0, DAY_0 + DAY, tail=tail, after=cursor)


async def test_orphans_and_temporary_files_go_when_it_opens(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 4)
    before = parquet(tmp_path)
    for level in ("raw", "1m", "1h"):
        (tmp_path / level / "1_2_4_9_1.parquet.tmp").write_bytes(b"PAR1")
    whole = next((tmp_path / "1m").glob("*.parquet"))
    orphan = tmp_path / "1m" / f"{DAY_0}_{DAY_0 + DAY}_4_9_1440.parquet"
    orphan.write_bytes(whole.read_bytes())
    (tmp_path / "raw" / "notes.txt").write_text("someone else's")
    # Not yet removed, it does not count either.
    assert (await history.query([0], DAY_0, DAY_0 + DAY, DAY, "count")).value.tolist() == [1_440.0]
    again = await opened(tmp_path)
    assert again.cursor == 4
    assert parquet(tmp_path) == sorted([*before, "raw/notes.txt"])


async def test_missing_raw_files_are_not_taken_for_an_interrupted_write(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    for position in range(3):
        await history.write(batch(minutes(0, position)), position, position + 1)
    for file in sorted((tmp_path / "raw").iterdir())[1:]:
        file.unlink()
    before = parquet(tmp_path)
    with pytest.raises(Unavailable, match="raw files are missing"):
        await opened(tmp_path)
    assert parquet(tmp_path) == before


def test_a_log_range_within_another_does_not_count(tmp_path: Path) -> None:
    ranges = [(0, 5), (0, 12), (5, 9), (9, 12), (12, 13), (13, 20), (13, 14), (20, 21)]
    for after, upto in ranges:
        (tmp_path / f"0_1_{after}_{upto}_1.parquet").touch()
    (tmp_path / "-5_1_21_22_1.parquet").touch()
    kept, superseded = live(scan(tmp_path))
    assert [(f.after, f.upto) for f in kept] == [(0, 12), (12, 13), (13, 20), (20, 21), (21, 22)]
    assert [(f.after, f.upto) for f in superseded] == [(0, 5), (5, 9), (9, 12), (13, 14)]
    assert kept[-1] == File.named(tmp_path, -5, 1, 21, 22, 1)


async def test_compaction_leaves_few_files(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    rows = [row for day in range(3) for row in minutes(0, day)]
    for i in range(0, len(rows), 240):
        await history.write(batch(rows[i : i + 240]), i, i + 240)
    assert await history.compact() > 0
    assert await history.compact() == 0
    kept = {level: len(list((tmp_path / level).iterdir())) for level in ("raw", "1m", "1h")}
    assert kept == {"raw": 3, "1m": 1, "1h": 1}  # raw files reach over a day at most, so that they can expire
    assert await history.count() == len(rows)


async def test_retention_forgets_raw_rows_before_roll_ups(tmp_path: Path) -> None:
    history = await opened(tmp_path, raw_days=2, rollup_days=4)
    for day in range(8):
        await history.write(batch(minutes(0, day)), day, day + 1)
    assert await history.retain(DAY_0 + 8 * DAY) == 6 * 1_440
    assert await history.count() == 2 * 1_440
    always = (DAY_0, DAY_0 + 9 * DAY)
    assert len(await history.query([0], *always)) == 2 * 1_440
    assert (await history.query([0], *always, DAY, "count")).value.tolist() == [1_440.0] * 4
    # All of it is old by now, yet the cursor is not forgotten.
    await history.retain(DAY_0 + 900 * DAY)
    assert (await opened(tmp_path)).cursor == 8


async def test_files_of_each_level_cover_the_log_whatever_retention_and_compaction_took(tmp_path: Path) -> None:
    """A row of the future keeps its file among those that go: that is no hole either."""
    history = await opened(tmp_path, raw_days=2, rollup_days=4)
    for day in range(8):
        await history.write(batch(minutes(0, 20 if day == 1 else day)), day, day + 1)
        await history.retain(DAY_0 + day * DAY)
        await history.compact()
    files = {level: live(scan(tmp_path / level))[0] for level in ("raw", "1m", "1h")}
    assert [holes(kept, 8) for kept in files.values()] == [[], [], []]
    assert sum(f.rows for f in files["raw"]) < 8 * 1_440
    assert len(files["raw"]) < 8
    assert files["raw"][0].after == 0
    assert files["raw"][0].rows == 0


async def test_no_name_closes_a_hole(tmp_path: Path) -> None:
    """Not that of a compaction, nor that of the next file where the log has let go of what is missing."""
    history = await opened(tmp_path)
    for n in range(6):
        await history.write(batch(minutes(0, 0, 10)), n, n + 1)
    next((tmp_path / "raw").glob("*_2_3_*.parquet")).unlink()
    await history.compact()
    assert [(f.after, f.upto) for f in scan(tmp_path / "raw")] == [(0, 2), (3, 6)]
    history.skip(9)
    await history.write(batch(minutes(0, 1)), 9, 10)
    await history.compact()
    for level, missing in (("raw", [(2, 3), (6, 9)]), ("1m", [(6, 9)]), ("1h", [(6, 9)])):
        assert holes(live(scan(tmp_path / level))[0], 12) == [*missing, (10, 12)]
    history.skip(4)
    assert history.cursor == 10


async def test_a_roll_up_that_interleaves_stays_unknown_when_raw_rows_are_gone(tmp_path: Path) -> None:
    history = await opened(tmp_path, raw_days=1)
    await history.write(batch([Row(0, S, 1.0), Row(0, 9 * S, 1.0)]), 0, 1)
    await history.write(batch([Row(0, 5 * S, 3.0, 0, UNCERTAIN | LATE)]), 1, 2)
    await history.write(batch([Row(0, 5 * DAY, 1.0)]), 2, 3)
    assert (await history.query([0], 0, DAY, HOUR, "integral")).value.tolist() == [16.0]
    await history.retain(5 * DAY)
    answer = await history.query([0], 0, 9 * DAY, HOUR, "integral")
    assert answer.value.tolist() == pytest.approx([float("nan"), 0.0], nan_ok=True)
    assert answer.quality.tolist() == [BAD, 0]
    assert (await history.query([0], 0, DAY, HOUR, "max")).value.tolist() == [3.0]


async def test_bad_rows_are_seen_but_not_summed(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    nan = float("nan")
    await history.write(batch([Row(0, S, 5.0), Row(0, 2 * S, nan, 0, BAD | COMM), Row(1, S, nan, 0, BAD | COMM)]), 0, 1)
    answer = await history.query([0, 1], 0, DAY, MIN, "mean")
    assert answer.value.tolist() == pytest.approx([5.0, nan], nan_ok=True)
    assert (answer.bad.tolist(), answer.quality.tolist()) == ([1, 1], [0, BAD])
    raw = await history.query([0, 1], 0, DAY)
    assert (raw.bad.tolist(), raw.quality.tolist()) == ([0, 1, 1], [0, BAD | COMM, BAD | COMM])


async def test_a_query_has_a_limit_and_says_what_to_do(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 1)
    tail = batch(minutes(0, 1))
    span = (DAY_0, DAY_0 + 2 * DAY)
    with pytest.raises(Rejected, match=r"more than 1439 rows.*a shorter range"):
        await history.query([0], *span, limit=1_439)
    with pytest.raises(Rejected, match=r"2880 rows, more than 2000"):
        await history.query([0], *span, limit=2_000, tail=tail)
    with pytest.raises(Rejected, match="longer step"):
        await history.query([0], *span, MIN, limit=1_439)
    assert len(await history.query([0], *span, limit=1_440)) == 1_440
    assert SCAN_LIMIT >= 1_000_000
    with pytest.raises(Rejected, match="ends before it begins"):
        await history.query([0], DAY, DAY)
    with pytest.raises(Rejected, match="step"):
        await history.query([0], 0, DAY, 0)


async def test_buckets_count_from_the_epoch_and_are_whole(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch([Row(0, i * MIN, 1.0) for i in range(240)]), 0, 1)
    for step in (HOUR, 30 * MIN, 45 * S):
        answer = await history.query([0], HOUR + 7 * MIN, 2 * HOUR + 20 * MIN, step, "count")
        assert answer.time_ns[0] == (HOUR + 7 * MIN) // step * step
        assert answer.time_ns[-1] < 2 * HOUR + 20 * MIN
    assert (await history.query([0], HOUR + 7 * MIN, 2 * HOUR + 20 * MIN, HOUR, "count")).value.tolist() == [60.0] * 2


async def test_a_full_disk_is_told_and_nothing_half_written_is_seen(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 1)
    before = parquet(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # the kernel refuses every byte beyond
    try:
        with pytest.raises(Unavailable, match=r"File too large.*free space"):
            await history.write(batch(minutes(0, 1)), 1, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert parquet(tmp_path) == before
    assert history.cursor == 1
    await history.write(batch(minutes(0, 1)), 1, 3)
    assert await history.count() == 2 * 1_440


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 1)
    damaged = next((tmp_path / "raw").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(Unavailable, match=damaged.name):
        await history.query([0], DAY_0, DAY_0 + DAY)


async def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="make it writable"):
        await opened(tmp_path / "file" / "history")


async def test_names_with_special_characters_are_only_names(tmp_path: Path) -> None:
    history = await opened(tmp_path / "it's [1] *plant* {uuid} 碳")
    await history.write(batch(minutes(0, 0)), 0, 1)
    assert len(await history.query([0], DAY_0, DAY_0 + DAY)) == 1_440


async def test_cancelled_in_a_write_it_ends_the_write_first(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    task = asyncio.create_task(history.write(batch(minutes(0, 0)), 0, 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = parquet(tmp_path)
    assert history.cursor == sum(name.startswith("raw/") for name in found)
    assert all(name.endswith(".parquet") for name in found)


@pytest.mark.parametrize("first", [ValueError("first"), asyncio.CancelledError()])
async def test_what_ended_a_write_is_raised_though_removing_it_fails_too(tmp_path: Path, first: BaseException) -> None:
    """What stays is removed by the next write."""
    history = await opened(tmp_path)

    async def ending() -> AsyncIterator[Batch]:
        yield batch(minutes(0, 0))
        (unfinished,) = (tmp_path / "raw").glob("*.tmp")
        unfinished.unlink()
        unfinished.mkdir()  # no file, so it cannot be removed as one
        raise first

    with pytest.raises(type(first)) as raised:
        await history.write(ending(), 0, 1)
    (note,) = raised.value.__notes__
    assert "could not be removed either" in note
    (unfinished,) = (tmp_path / "raw").glob("*.tmp")
    unfinished.rmdir()
    await history.write(batch(minutes(0, 0)), 0, 1)
    assert await history.count() == 1_440


@pytest.mark.parametrize("why", [MemoryError(), KeyboardInterrupt()])
async def test_a_compaction_that_ends_early_leaves_nothing_open_or_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: BaseException
) -> None:
    history = await opened(tmp_path)
    for n in range(3):
        await history.write(batch(minutes(n, 0)), n, n + 1)
    reader, run, kept = Parquet(), live(scan(tmp_path / "raw"))[0], parquet(tmp_path)
    read = Parquet.read

    def second_fails(self: Parquet, *args: Any) -> Columns:
        if [*run[0].path.parent.glob("*.tmp")]:  # what the first brought is written
            raise why
        return read(self, *args)

    monkeypatch.setattr(history_compact, "_BAND_ROWS", 1)
    monkeypatch.setattr(Parquet, "read", second_fails)
    with pytest.raises(type(why)):
        compact(tmp_path, RAW, run, reader)
    assert parquet(tmp_path) == kept
    assert not [file for file in open_files() if ".tmp" in file]


async def test_any_tool_reads_the_files(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(3, 0)), 0, 1)
    found = duckdb.sql(
        f"SELECT series, count(*), sum(value) FROM '{tmp_path}/raw/*.parquet' GROUP BY series"
    ).fetchall()
    assert found == [(3, 1_440, 1_440 * 1_439 / 2)]
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM '{tmp_path}/raw/*.parquet'").fetchall()
    assert [(c[0], c[1]) for c in columns] == [
        ("time_ns", "BIGINT"),
        ("span_ns", "BIGINT"),
        ("series", "INTEGER"),
        ("value", "DOUBLE"),
        ("quality", "USMALLINT"),
    ]


async def test_queries_go_on_while_it_compacts(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    rows = minutes(0, 0)
    for i in range(0, len(rows), 60):
        await history.write(batch(rows[i : i + 60]), i, i + 60)
    compaction = asyncio.create_task(history.compact())
    deadline = time.monotonic() + DEADLINE_S
    while not compaction.done():
        assert time.monotonic() < deadline
        answer = await history.query([0], DAY_0, DAY_0 + DAY, HOUR, "count", **ALL)
        assert answer.value.tolist() == [60.0] * 24
    assert await compaction > 0
