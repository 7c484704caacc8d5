"""Which revision's tags a row is sent with again, by a clock that was not set at first, and set back later."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.batch import Batch, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.heartbeat import TICK_KEY
from pipeline.log.log import LogReader
from pipeline.log.schema import open_writer
from pipeline.quality import CLOCK, UNCERTAIN
from tanflow.kept_rows import KeptRows, Wanted
from tests.pipeline.tables import START
from tests.sinks.history_oracle import opened
from tests.tanflow.test_revision import Boot, boot, config, counter

HOUR_NS = 3_600 * SECOND_NS
EVER = Wanted(0, 2**62, "a.*")
SEEN = [0.0, 1.0, 2.0, 3.0, 4.0]  # the meter's index, in the order it was read


async def read(life: Boot, value: float, ago_s: float = 0.0) -> None:
    """Append a reading stamped by the gateway's clock."""
    clock, series = life.log.clock, life.table.ids["a.e1.energy_index"]
    header = Header("floor", life.table.revision, clock.boot, clock.now_ns(), 0)
    quality = 0 if clock.trusted else CLOCK | UNCERTAIN
    await life.ingests["floor"].accept(
        make(header, clock.now_ns() - round(ago_s * SECOND_NS), [series], value, quality)
    )


async def three_lives(folder: Path) -> list[int]:
    """Change the configuration at 00:00, in 1970 (02:00 in truth) and at 01:00; return where each life ended."""
    ends = []
    async with boot(folder, config({"e1": counter()}), Clock(START)) as life:
        await read(life, 0)
        ends.append(life.log.reader.last_position())
    unset = Clock(40 * SECOND_NS, trusted=False)
    async with boot(folder, config({"e1": counter(scale=10)}), unset) as life:
        await read(life, 0.1)
        before, offset = unset.boot, unset.set_right(START + 2 * HOUR_NS)
        await life.log.open_boot()
        header = Header("gateway", 2, unset.boot, unset.now_ns(), 0)
        note = make(header, unset.now_ns(), [life.table.ids[TICK_KEY]], 0.0)
        await life.log.release_boot(before, offset, note)
        await read(life, 0.2)
        ends.append(life.log.reader.last_position())
    async with boot(folder, config({"e1": counter(scale=100)}), Clock(START + HOUR_NS)) as life:
        await read(life, 0.03)
        await read(life, 0.04, ago_s=-1)
        ends.append(life.log.reader.last_position())
    return ends


async def archive(folder: Path, cuts: list[int]) -> None:
    """Store the log's rows in a file between each two positions, and let go of them."""
    history = await opened(folder / "history")
    with closing(LogReader(folder)) as reader:
        windows = reader.read(0, 10**6)
        for after, upto in pairwise([0, *cuts]):
            batches = [b for w in windows if after < w.position <= upto for b in w.batches]
            await history.write(joined(batches), after, upto)
    await history.close()


def joined(batches: list[Batch]) -> Batch:
    columns = (np.concatenate([getattr(b, n) for b in batches]) for n in ("time_ns", "series", "value"))
    return make(Header("", 0, "", 0, 0), *columns)


def sent(folder: Path) -> list[tuple[int, float]]:
    """Return (revision, value) of every row of the index, in the order they are sent."""
    found = []
    with closing(LogReader(folder)) as reader:
        kept = KeptRows(folder, reader)
        for part in kept.parts():
            series = part.table.ids["a.e1.energy_index"]
            for batch in kept.batches(part, EVER):
                found += [(part.table.revision, v) for v in batch.value[batch.series == series].tolist()]
    return found


@pytest.mark.parametrize("files", [0, 1, 2, 3])
async def test_a_row_is_sent_with_the_tags_of_the_revision_it_was_logged_under(tmp_path: Path, files: int) -> None:
    """Wherever it is read: in the log, in files of the history of one revision each, or partly."""
    ends = await three_lives(tmp_path)
    if files:
        await archive(tmp_path, ends[:files])
    assert sent(tmp_path) == list(zip([1, 2, 2, 3, 3], SEEN, strict=True))


@pytest.mark.parametrize("away", [0, 1, 2])
async def test_of_a_file_that_is_missing_the_log_has_the_rows(tmp_path: Path, away: int) -> None:
    """As long as it holds them."""
    ends = await three_lives(tmp_path)
    await archive(tmp_path, ends)
    next((tmp_path / "history" / "raw").glob(f"*_*_{[0, *ends][away]}_{ends[away]}_*")).unlink()
    assert sent(tmp_path) == list(zip([1, 2, 2, 3, 3], SEEN, strict=True))


async def test_in_a_file_of_several_revisions_each_row_is_sent_once(tmp_path: Path) -> None:
    """There its time tells: what two revisions claim is the later one's, for the clock was set back between them."""
    ends = await three_lives(tmp_path)
    await archive(tmp_path, ends[-1:])
    found = sent(tmp_path)
    assert sorted(value for _, value in found) == SEEN
    assert {value: revision for revision, value in found} == {0: 1, 1: 3, 2: 3, 3: 3, 4: 3}


async def test_what_an_untrusted_boot_adopted_is_not_sent_before_its_clock_is_set(tmp_path: Path) -> None:
    async with boot(tmp_path, config({"e1": counter()}), Clock(START)) as life:
        await read(life, 0)
    async with boot(tmp_path, config({"e1": counter(scale=10)}), Clock(40 * SECOND_NS, trusted=False)) as life:
        await read(life, 0.1)
    assert sent(tmp_path) == [(1, 0.0)]


@pytest.mark.parametrize("files", [[], [2], [1, 2], [0, 2], [0, 1, 2], [0], [1]])
async def test_an_earlier_versions_data_is_divided_by_time_alone(tmp_path: Path, files: list[int]) -> None:
    """Revisions in files of their own, in one file, in the log: whose tags a row is sent with is always told."""
    ends = []
    for hour in range(3):
        async with boot(tmp_path, config({"e1": counter(scale=10**hour)}), Clock(START + hour * HOUR_NS)) as life:
            await read(life, hour / 10**hour)
            await read(life, (hour + 0.5) / 10**hour)
            ends.append(life.log.reader.last_position())
    await archive(tmp_path, [ends[n] for n in files])
    with closing(open_writer(tmp_path)) as log:
        log.execute("DROP TABLE adopted")
    assert sent(tmp_path) == list(zip([1, 1, 2, 2, 3, 3], [0, 0.5, 1, 1.5, 2, 2.5], strict=True))
