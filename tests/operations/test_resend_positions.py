"""`tanflow resend --positions`: what a sink missed, whatever its time, by the commits a dead letter names."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.batch import LEDGER
from pipeline.clock import Clock
from pipeline.log.log import LogReader
from pipeline.log.writer import Entry
from tanflow.kept_rows import KeptRows, Wanted
from tests.operations.test_resend_eras import HOUR_NS, archive, read
from tests.operations.test_resend_refused import Told, still, told
from tests.pipeline.journal import open_log
from tests.pipeline.tables import START
from tests.pipeline.test_deliver import Memory, dead, delivery
from tests.tanflow.test_revision import boot, config, counter

__all__ = ["still", "told"]


async def lives(folder: Path) -> list[int]:
    """Log readings of two configurations, some of hours before; return where each life ended."""
    ends = []
    for n in range(2):
        clock = Clock(START + (5 + n) * HOUR_NS)
        async with boot(folder, config({"e1": counter(scale=10**n)}), clock) as life:
            if n == 0:
                await delivery(life.log, Memory()).step()  # a sink that took the first commits, and was taken out
            await read(life, 1 / 10**n)
            await read(life, 2 / 10**n, ago_s=3 * 3_600)
            ends.append(life.log.reader.last_position())
    return ends


def sent(folder: Path, wanted: Wanted) -> list[tuple[float, int]]:
    """Return (value, hours after the start) of what is sent of the meter's index, sorted."""
    found = []
    with closing(LogReader(folder)) as reader:
        kept = KeptRows(folder, reader)
        for part in kept.parts():
            for batch in kept.batches(part, wanted):
                mine = batch.take(batch.series == part.table.ids["a.e1.energy_index"])
                hours = ((mine.time_ns - START) // HOUR_NS).tolist()
                found += [*zip(mine.value.tolist(), hours, strict=True)]
    return sorted(found)


@pytest.mark.parametrize("files", ["one", "two", "one and the log"])
async def test_what_the_letter_names_sends_all_it_counts(tmp_path: Path, files: str) -> None:
    """The rows of hours before the sink was taken out, too; what lies in another file, or in the log, stays."""
    ends = await lives(tmp_path)
    await archive(tmp_path, {"one": ends[1:], "two": ends, "one and the log": ends[:1]}[files])
    log = await open_log(tmp_path)
    log.writer.floor = ends[1] if files == "one" else ends[0]
    await log.append(Entry())
    await delivery(log, Memory()).step()
    ((_, reason, _),) = dead(log)
    await log.close()
    named = re.search(r"tanflow resend --sink db --positions (\d+)-(\d+)$", reason)
    assert named
    old, new = [(1.0, 5), (2.0, 2)], [(1.0, 6), (2.0, 3)]
    first, last = map(int, named.groups())
    assert sent(tmp_path, Wanted(first=first, last=last)) == sorted(old + new if files == "one" else old)
    assert (
        sent(tmp_path, Wanted(first=ends[1], last=ends[1]))
        == {
            "one": sorted(old + new),  # in one file with the others, and before them by its time
            "two": sorted(new),
            "one and the log": new[1:],
        }[files]
    )
    assert sent(tmp_path, Wanted(first=ends[1] + 1, last=ends[1] + 9)) == []


def test_of_the_account_all_is_sent(earlier: Path) -> None:
    """Whichever commits are asked for: they may have booked any hour."""
    with closing(LogReader(earlier)) as reader:
        kept = KeptRows(earlier, reader)
        (part,) = kept.parts()
        ever, one = (
            [(b.series.tolist(), b.time_ns.tolist()) for b in kept.batches(part, w) if b.header.connection == LEDGER]
            for w in (Wanted(), Wanted(first=1, last=1))
        )
    assert ever
    assert one == ever


def test_positions_are_asked_for_at_the_command_line(told: Told) -> None:
    assert "answers 401" in told(401, "--positions", "1-9").err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--positions", "8-3"), "'8-3' is not a stretch of the log"),
        (("--positions", "3"), "'3' is not a stretch of the log"),
        (("--positions", "3-8", "--from", "2020-01-01"), "either --from, or --positions"),
        (("--to", "2020-01-01"), "--to goes with --from"),
        (("--series", "*"), "either --from, or --positions"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: Told, options: tuple[str, ...], words: str) -> None:
    answer = told(400, *options)
    assert answer.code == 2
    assert words in answer.err
