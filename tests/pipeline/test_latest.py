"""The newest value of every series, as the page shows it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from pipeline import quality as q
from pipeline.batch import make
from pipeline.latest import Latest
from pipeline.log.writer import Entry
from tests.pipeline.journal import open_log
from tests.pipeline.tables import HEADER, SECOND, START, readings
from tests.waiting import until


def test_of_several_rows_the_last_and_never_a_late_one() -> None:
    latest = Latest(3)
    latest.take(make(HEADER, [START, START + SECOND, START], [1, 1, 2], [5.0, 6.0, 7.0], [0, q.UNCERTAIN, 0]))
    assert latest.value.tolist()[1:] == [6.0, 7.0]
    assert latest.quality.tolist() == [0, q.UNCERTAIN, 0]
    latest.take(make(HEADER, [START - SECOND, START + 2 * SECOND], [1, 2], [1.0, 8.0], [q.LATE, 0]))
    assert latest.value.tolist()[1:] == [6.0, 8.0]
    assert latest.time_ns.tolist() == [0, START + SECOND, START + 2 * SECOND]
    assert np.isnan(latest.value[0])


def test_series_of_an_earlier_revision_beyond_the_table_are_left_out() -> None:
    latest = Latest(2)
    latest.take(make(HEADER, START, [1, 2], [5.0, 6.0]))
    assert latest.value.tolist()[1] == 5.0


async def test_a_restart_shows_the_last_values_at_once_and_follows(tmp_path: Path) -> None:
    log = await open_log(tmp_path)
    await log.append(Entry([readings([0], [1.0], series=0)]))
    latest = Latest(2)
    task = asyncio.create_task(latest.run(log))
    await until(lambda: latest.value[0] == 1.0)
    await log.append(Entry([readings([1], [2.0], series=1)]))
    await until(lambda: latest.value[1] == 2.0)
    task.cancel()
    await log.close()


def test_what_was_known_earlier_never_hides_what_is_newer() -> None:
    latest = Latest(3)
    latest.take(make(HEADER, [START + 2 * SECOND], [1], [6.0], [0]))
    series, times = np.array([0, 0, 1, 7], np.int32), np.array([START, START + SECOND, START, START])
    latest.recall(series, times, np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, q.UNCERTAIN, 0, 0], np.uint16))
    assert latest.value.tolist()[:2] == [2.0, 6.0]
    assert latest.time_ns.tolist() == [START + SECOND, START + 2 * SECOND, 0]
    assert latest.quality.tolist() == [q.UNCERTAIN, 0, 0]
