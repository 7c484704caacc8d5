"""Questions to the history → rows and aggregates: late rows, a tail, bad rows and limits, while it compacts too."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from config.errors import Rejected, Unavailable
from pipeline.quality import BAD, COMM, LATE, UNCERTAIN
from sinks.history_query import SCAN_LIMIT
from tests.sinks.history_oracle import (
    ALL,
    DAY,
    DAY_0,
    HOUR,
    MIN,
    Row,
    S,
    agree,
    batch,
    expected,
    minutes,
    multiset,
    opened,
    stored,
)
from tests.waiting import DEADLINE_S


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


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    history = await opened(tmp_path)
    await history.write(batch(minutes(0, 0)), 0, 1)
    damaged = next((tmp_path / "raw").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(Unavailable, match=damaged.name):
        await history.query([0], DAY_0, DAY_0 + DAY)


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
