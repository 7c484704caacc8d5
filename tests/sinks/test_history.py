"""The history keeps what it is given, finds its cursor again, forgets in time and says what is wrong."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from config.errors import Unavailable
from pipeline.batch import Batch
from sinks import history_compact
from sinks.history_compact import compact
from sinks.history_files import RAW, File, holes, live, scan
from sinks.history_parquet import Columns, Parquet
from tests.sinks.history_oracle import DAY, DAY_0, batch, minutes, opened


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


def test_files_that_are_gone_take_no_memory(tmp_path: Path) -> None:
    def held() -> int:
        return sum(isinstance(o, File) and o.path.parent == tmp_path for o in gc.get_objects())

    for n in range(100):
        (tmp_path / f"0_1_{n}_{n + 1}_1.parquet").touch()
    assert len(scan(tmp_path)) == held() == 100
    assert scan(tmp_path)[7] is scan(tmp_path)[7]
    for path in sorted(tmp_path.iterdir())[:-1]:
        path.unlink()
    assert len(scan(tmp_path)) == held() == 1


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
