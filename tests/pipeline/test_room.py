"""Retention and the full disk: nothing anybody still needs goes, policies are exact, the gate closes and opens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.model import Keep
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.deliver import Delivery
from pipeline.log.directory import DataDirectory
from pipeline.log.log import Log
from pipeline.log.writer import Entry, LogFailed
from pipeline.quality import CLOCK, UNCERTAIN
from pipeline.room import Room
from tests.pipeline.journal import held, open_log
from tests.pipeline.tables import HEADER, HOUR, SECOND, START, readings
from tests.pipeline.test_deliver import Memory, dead

MEGABYTE = 1_000_000


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    with DataDirectory(tmp_path, ballast_mb=1) as owned:
        yield owned


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the disk says is free, in MB: change the one element."""
    mb = [10_000.0]
    monkeypatch.setattr(DataDirectory, "free_bytes", lambda _: int(mb[0] * MEGABYTE))
    return mb


def room(
    log: Log,
    directory: DataDirectory,
    local: Sequence[Callable[[], int]] = (),
    remote: Sequence[tuple[Delivery, Keep]] = (),
) -> Room:
    accepting = asyncio.Event()
    accepting.set()
    return Room(log, directory, local, remote, accepting, 256, log.clock, Counters())


def sink(log: Log, name: str = "db") -> Delivery:
    return Delivery(name, log, Memory(), log.clock, Counters(), 1_000, 1.0)


async def windows(log: Log, count: int, every_ns: int = SECOND) -> list[int]:
    """Append `count` commits received `every_ns` apart, from START on; return their positions."""
    return [
        await log.append(
            Entry([replace(readings([n], [float(n)]), header=replace(HEADER, received_ns=START + n * every_ns))])
        )
        for n in range(count)
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=4))
async def test_the_floor_is_the_slowest_of_all_readers(tmp_path_factory: pytest.TempPathFactory, at: list[int]) -> None:
    """Whatever history, stages, snapshots and sinks have passed: every row after the least of it stays."""
    with DataDirectory(tmp_path_factory.mktemp("data"), ballast_mb=1) as directory:
        log = await open_log(directory.path)
        await windows(log, 12)
        remote = sink(log)
        remote.position = at[-1]
        keeper = room(log, directory, [lambda p=p: p for p in at[:-1]], [(remote, Keep())])
        await keeper.look()
        assert log.writer.floor == min(at)
        await windows(log, 1)
        (oldest,) = log.reader.query("SELECT min(position) FROM log")[0]
        assert oldest == min(*at, 12) + 1
        assert keeper.counters.backlog == 12 - min(at)
        await log.close()


async def test_without_any_reader_nothing_goes(directory: DataDirectory) -> None:
    log = await open_log(directory.path)
    await windows(log, 3)
    await room(log, directory).look()
    await windows(log, 1)
    assert len(held(log)) == 4
    await log.close()


async def test_a_sink_too_many_bytes_behind_gives_up_no_more_than_it_must(directory: DataDirectory) -> None:
    log = await open_log(directory.path)
    positions = await windows(log, 20)
    behind = sink(log)
    limit = log.reader.bytes_after(positions[14])  # what the newest five commits take
    await room(log, directory, remote=[(behind, Keep(max_mb=limit / MEGABYTE))]).look()
    assert behind.position == positions[14]
    assert behind.counters.rejected == 15
    ((component, reason, _),) = dead(log)
    assert component == "sink.db"
    assert reason.startswith("15 rows at positions 1 to 15 given up: more than ")
    await room(log, directory, remote=[(behind, Keep(max_mb=limit / MEGABYTE))]).look()
    assert len(dead(log)) == 1
    await log.close()


async def test_a_sink_too_long_behind_gives_up_what_is_older(directory: DataDirectory) -> None:
    """Commits of every hour, now is 10:00: with 3 h kept, 07:00 stays and 06:00 goes."""
    log = await open_log(directory.path, Clock(anchor_ns=START + 10 * HOUR))
    positions = await windows(log, 10, HOUR)
    kept, unlimited = sink(log), sink(log, "other")
    policies = [(kept, Keep(max_age_h=3.1, max_mb=None)), (unlimited, Keep(max_mb=None))]
    await room(log, directory, remote=policies).look()
    assert kept.position == positions[6]
    assert unlimited.position == 0
    assert [reason for _, reason, _ in dead(log)] == ["7 rows at positions 1 to 7 given up: older than 3.1 h"]
    await log.close()


async def test_the_age_of_rows_is_that_of_the_corrected_clock(directory: DataDirectory) -> None:
    """A boot that believed in 1970 wrote a moment ago: once its clock is set, its rows are young."""
    clock = Clock(anchor_ns=0, trusted=False)
    log = await open_log(directory.path, clock)
    header = replace(HEADER, boot=clock.boot, received_ns=5 * SECOND)
    lost = replace(readings([0], [1.0]), header=header, quality=np.array([CLOCK | UNCERTAIN], np.uint16))
    await log.append(Entry([lost]))
    behind = sink(log)
    keeper = room(log, directory, remote=[(behind, Keep(max_age_h=1, max_mb=None))])
    await keeper.look()
    assert behind.position == 0
    boot, offset_ns = clock.boot, clock.set_right(START)
    await log.open_boot()
    set_right = replace(readings([9], [0.0]), header=replace(HEADER, boot=clock.boot))
    await log.release_boot(boot, offset_ns, set_right)
    await keeper.look()
    assert behind.position == 0
    assert dead(log) == []
    await log.close()


async def test_without_room_nothing_is_accepted_until_there_is_some(
    directory: DataDirectory, free: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = await open_log(directory.path)
    keeper = room(log, directory)
    with caplog.at_level(logging.WARNING, "tanflow.room"):
        for mb in (256.0, 255.0, 200.0, 100.0):
            free[0] = mb
            await keeper.look()
        assert not keeper.accepting.is_set()
        assert keeper.counters.state == "down"
        assert "256 MB are kept" in keeper.counters.last_error
        free[0] = 300.0
        await keeper.look()
        await keeper.look()
    assert keeper.accepting.is_set()
    assert (keeper.counters.state, keeper.counters.last_error) == ("running", "")
    assert len(caplog.records) == 2  # one line per change
    await log.close()


async def test_the_ballast_goes_when_the_disk_is_full_and_comes_back(
    directory: DataDirectory, free: list[float]
) -> None:
    log = await open_log(directory.path)
    keeper = room(log, directory)
    free[0] = 100.0
    await keeper.look()
    assert directory.ballast.exists()  # less than what is kept, but enough to go on writing ticks
    free[0] = 0.5
    await keeper.look()
    assert not directory.ballast.exists()
    await windows(log, 1)
    free[0] = 300.0
    await keeper.look()
    assert directory.ballast.stat().st_size == 1 << 20
    await log.close()


def test_a_start_on_a_full_disk_begins_with_freeing_the_ballast(tmp_path: Path, free: list[float]) -> None:
    with DataDirectory(tmp_path, ballast_mb=1) as directory:
        assert directory.ballast.exists()
    free[0] = 0.0
    with DataDirectory(tmp_path, ballast_mb=1) as directory:
        assert not directory.ballast.exists()


@pytest.mark.parametrize("instead", ["nothing", "another", "a file"])
async def test_a_directory_that_is_moved_away_ends_the_gateway(tmp_path: Path, instead: str) -> None:
    """Whoever restores a backup moves the old directory away; its gateway wrote its history into the new one."""
    place = tmp_path / "data"
    with DataDirectory(place, ballast_mb=1) as directory:
        log = await open_log(place)
        keeper = room(log, directory)
        await keeper.look()
        place.rename(tmp_path / "old")
        if instead == "another":
            with DataDirectory(place, ballast_mb=1):
                pass
        elif instead == "a file":
            place.touch()
        with pytest.raises(LogFailed, match="was moved, deleted or mounted over"):
            await keeper.look()
        await log.close()
