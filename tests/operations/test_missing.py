"""Files of the history are taken away while no gateway runs: it says what is missing, goes on, and never covers it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from config.errors import Unavailable
from config.model import Data
from pipeline.archive import REACHED, Archivist
from pipeline.batch import Batch, Header, make
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log
from pipeline.log.schema import open_writer
from pipeline.log.writer import Cursor, Entry
from sinks.history import History
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tanflow.ground import open_ground
from tanflow.missing import missing_in
from tanflow.soundness import problems

START = 1_772_323_200 * SECOND_NS  # 2026-03-01


def rows(position: int) -> Batch:
    """Return what the commit at a position holds: a row a second of three series."""
    time_ns = START + position * SECOND_NS
    return make(Header("floor", 1, "", time_ns, 0), np.full(3, time_ns), [1, 2, 3], np.full(3, float(position)))


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A directory whose log holds positions 31 to 40, its history 1 to 35 in seven files of a level."""
    folder = tmp_path / "data"
    with DataDirectory(folder, ballast_mb=1):
        log, history = Log(folder, Clock(), 0.01), History(folder / "history", Data().history)
        await history.open()
        for position in range(1, 41):
            log.writer.floor = min(30, position - 1)
            await log.append(Entry([rows(position)]))
        for after in range(0, 35, 5):
            batches = [rows(p) for p in range(after + 1, after + 6)]
            columns = [np.concatenate([getattr(b, c) for b in batches]) for c in ("time_ns", "series", "value")]
            await history.write(make(batches[0].header, *columns), after, after + 5)
        log.ride(Cursor(REACHED, 35))
        await history.close()
        await log.close()
    return folder


def middle(history: Path) -> None:
    next((history / "raw").glob("*_10_15_*")).unlink()


def first(history: Path) -> None:
    next((history / "raw").glob("*_0_5_*")).unlink()


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        (lambda history: None, []),
        (shutil.rmtree, ["history/raw, history/1m, history/1h: the rows of log positions 1 to 35 are missing"]),
        (
            middle,
            ["history/raw: the rows of log positions 11 to 15 are missing (after 2026-03-01 00:00:10 UTC, before"],
        ),
        (first, ["history/raw: the rows of log positions 1 to 5 are missing (before 2026-03-01 00:00:10 UTC)"]),
        (lambda history: shutil.rmtree(history / "1h"), ["history/1h: the rows of log positions 1 to 35 are missing"]),
    ],
    ids=["nothing", "history", "file", "oldest", "roll-ups"],
)
async def test_a_gateway_says_at_each_start_what_is_missing_and_never_covers_it(
    data: Path, take: Callable[[Path], None], expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    take(data / "history")
    said = missing_in(data)
    assert len(said) == len(expected)
    assert all(words.startswith(start) for words, start in zip(said, expected, strict=True)), said
    for upto in (41, 42):
        caplog.clear()
        async with open_ground(Data(dir=data, ballast_mb=1)) as ground:
            errors = [r.message for r in caplog.records if r.levelno == logging.ERROR and "missing" in r.message]
            assert errors == said
            assert ground.history.cursor >= 35
            await ground.log.append(Entry([rows(upto)]))
            windows = ground.log.read(ground.history.cursor)
            batch = windows[-1].batches[-1]
            await ground.history.write(batch, ground.history.cursor, windows[-1].position)
            await ground.history.compact()
        said = missing_in(data)
        assert [w.partition(" (")[0] for w in said] == [w.partition(" (")[0] for w in expected]


@pytest.mark.parametrize("take_away", [middle, shutil.rmtree], ids=["file", "history"])
async def test_backup_and_restore_keep_what_is_left_and_say_what_is_missing(
    data: Path, take_away: Callable[[Path], None]
) -> None:
    take_away(data / "history")
    said: list[str] = []
    take(data, data.parent / "copy.tar", said.append)
    restore(data.parent / "copy.tar", data.parent / "restored", said.append)
    [missing] = missing_in(data)
    assert [words for words in said if words.startswith("warning")] == [f"warning: {missing}"] * 2
    assert missing_in(data.parent / "restored") == [missing]


async def test_a_history_put_back_beside_what_was_written_since_is_told(data: Path) -> None:
    (data / "history" / "raw" / "0_1_33_40_1.parquet").touch()
    *_, words = missing_in(data)
    assert "0_1_33_40_1.parquet tells of log positions 34 to 35, and so does" in words


async def test_a_history_that_comes_back_is_put_together_with_what_was_written_since(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its disk was away for two lives that cut, compacted and let the log go: then every row is there, each once."""
    away = data.parent / "away"
    (data / "history").rename(away)
    await live(data, 41)
    await live(data, 43)
    assert [w.partition(" (")[0].split(": ")[1] for w in missing_in(data)] == [
        "the rows of log positions 1 to 35 are missing"
    ]
    for file in away.glob("*/*.parquet"):
        shutil.move(file, data / "history" / file.parent.name)
    caplog.clear()
    await live(data, 44)
    assert missing_in(data) == []
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == []
    history = History(data / "history", Data().history)
    await history.open()
    answer = await history.query([2], START, START + 100 * SECOND_NS)
    hours = await history.query([2], START, START + 3_600 * SECOND_NS, 3_600 * SECOND_NS, "count")
    await history.close()
    assert answer.value.tolist() == [float(p) for p in range(1, 45)]
    assert hours.value.tolist() == [44.0]


async def test_what_the_log_still_holds_is_cut_again(data: Path) -> None:
    """As of a backup whose log was looked at after a cut more than its history."""
    with closing(open_writer(data)) as log:
        log.execute("UPDATE cursors SET position = 40 WHERE consumer = ?", (REACHED,))
    async with open_ground(Data(dir=data, ballast_mb=1)) as ground:
        assert ground.history.cursor == 35
    await live(data, 41)
    assert missing_in(data) == []


async def live(data: Path, upto: int) -> None:
    """Run as a gateway does: append up to a position, cut all, compact, let the log go of what was cut."""
    async with open_ground(Data(dir=data, ballast_mb=1)) as ground:
        archivist = Archivist(ground.log, ground.history, ground.clock, Counters(), 1e6, 1_000_000)
        for position in range(ground.log.position + 1, upto + 1):
            await ground.log.append(Entry([rows(position)]))
        await archivist.cut()
        await ground.history.compact()
        ground.log.writer.floor = upto - 1
        await ground.log.flushed()


async def test_what_an_earlier_version_retired_is_not_told_as_missing(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It unlinked files and left nothing; from the first start on it is known, and what goes then is told."""
    with closing(open_writer(data)) as log:
        log.execute("DELETE FROM cursors")
    for level, upto in (("raw", 20), ("1m", 10)):
        for n in range(5, upto + 1, 5):
            next((data / "history" / level).glob(f"*_{n - 5}_{n}_*")).unlink()
    assert missing_in(data) == []
    await live(data, 41)
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == []
    assert missing_in(data) == []
    assert sorted(p.name for p in (data / "history").glob("*/0_0_0_*")) == ["0_0_0_10_0.parquet", "0_0_0_20_0.parquet"]
    next((data / "history" / "raw").glob("*_20_*_*")).unlink()
    [words] = missing_in(data)
    assert words.startswith("history/raw: the rows of log positions 21 to ")


async def test_raw_files_gone_from_the_end_stop_the_start_and_are_told(data: Path) -> None:
    """Their roll-ups would count them twice once the log's rows were cut again."""
    for name in ("*_25_30_*", "*_30_35_*"):
        next((data / "history" / "raw").glob(name)).unlink()
    with pytest.raises(Unavailable, match="roll-ups reach log position 35, raw files only 25"):
        async with open_ground(Data(dir=data, ballast_mb=1)):
            pass
    assert "roll-ups reach log position 35, raw files only 25" in problems(data)[0]
