"""Decides whether the wall clock can be right, and lets the gateway's clock follow it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from config.bindings import series_key
from config.errors import Unavailable
from pipeline.batch import Header, make
from pipeline.clock import RELEASED_NS, SECOND_NS, Clock, to_beat_s
from pipeline.counters import Counters
from pipeline.log.log import Log, LogReader
from pipeline.log.schema import FILE
from pipeline.log.writer import Entry

logger = logging.getLogger("tanflow.clock")

CLOCK_KEY: Final = series_key("gateway", "clock-offset", "health")
_TOLERANCE_NS: Final = 60 * SECOND_NS
_SYNCHRONIZED: Final = Path("/run/systemd/timesync/synchronized")
_TIMEX_BYTES: Final = 256  # at least struct timex
_TIME_ERROR: Final = 5  # adjtimex: the clock is not synchronized
_EVERY_S: Final = 1.0
_SETTLED: Final = 3  # looks in a row that must agree on a step before it is followed


def synchronized() -> bool:
    """Return whether the system says its clock follows a time server: systemd's mark, or the kernel's own state."""
    if _SYNCHRONIZED.exists():
        return True
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None)
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zero: only ask, set nothing
    return adjtimex is not None and 0 <= adjtimex(asked) < _TIME_ERROR


def plausible(wall_ns: int, last_ns: int) -> bool:
    """Return whether a wall clock can be right, given when the log was last written (0: never).

    A clock the system calls synchronized is believed even when it went back.
    """
    if wall_ns < RELEASED_NS:
        return False
    return wall_ns >= last_ns - _TOLERANCE_NS or synchronized()


def boot_clock(directory: Path) -> Clock:
    """Return this boot's clock, trusted if the wall clock can be right after what stands in the log."""
    last_ns = 0
    if (directory / FILE).exists():
        with suppress(Unavailable), closing(LogReader(directory)) as reader:  # a start that did not finish making it
            last_ns = reader.last_received_ns()
    wall_ns = time.time_ns()
    return Clock(wall_ns, trusted=plausible(wall_ns, last_ns), of_wall=True)


async def watch(
    log: Log, clock: Clock, series: int, counters: Counters, wall: Callable[[], int] = time.time_ns
) -> None:
    """Keep gateway time that of the wall clock: wait until it was set, then follow it.

    While it is not set, consumers are held at this boot's rows; then the boot's offset is committed and they go on.
    """
    last_ns = log.reader.last_received_ns(but=clock.boot)
    if not clock.trusted:
        counters.state = "degraded"
        counters.last_error = "the clock is not set: readings are kept but not passed on until it is"
        logger.warning("%s (it reads %d s since 1970)", counters.last_error, wall() // SECOND_NS)
    while not clock.trusted:
        await asyncio.sleep(_EVERY_S)
        wall_ns = wall()
        moved = abs(wall_ns - clock.now_ns()) > _TOLERANCE_NS or synchronized()
        if moved and plausible(wall_ns, last_ns):
            await _release(log, clock, series, wall_ns)
            counters.state, counters.last_error = "running", ""
    await _release_ended(log, clock, series)
    await _follow(log, clock, series, counters, wall)


async def _follow(log: Log, clock: Clock, series: int, counters: Counters, wall: Callable[[], int]) -> None:
    """Move with the wall clock for ever: slowly while it is less than a minute away, else at once.

    A step that lasts is deliberate: a time server, or somebody, has set the clock. What was stamped before stays.
    """
    agreed, stepped_ns = 0, 0
    while True:
        off_ns = wall() - clock.now_ns() if clock.speed == 1.0 else 0
        counters.lag_s = abs(off_ns) / SECOND_NS
        if not clock.of_wall or abs(off_ns) <= _TOLERANCE_NS:
            agreed = 0
            if clock.of_wall:
                clock.follow(off_ns)
        else:
            agreed = agreed + 1 if abs(off_ns - stepped_ns) <= _TOLERANCE_NS else 1
            stepped_ns = off_ns
            if agreed >= _SETTLED and wall() >= RELEASED_NS:
                await _step(log, clock, series, counters, wall())
                agreed = 0
        await asyncio.sleep(to_beat_s(_EVERY_S))


async def _step(log: Log, clock: Clock, series: int, counters: Counters, wall_ns: int) -> None:
    """Go on at the time the wall clock was set to, under a new boot id, and commit a row that says so."""
    before = clock.boot
    step_ns = clock.set_right(wall_ns)
    await log.open_boot()
    note = {"clock": {"boot": before, "step_ns": step_ns}}
    header = Header("gateway", 0, clock.boot, clock.now_ns(), clock.monotonic_ns(), note=note)
    await log.append(Entry([make(header, clock.now_ns(), [series], step_ns / SECOND_NS)]))
    words = f"the system's clock was set by {step_ns / SECOND_NS:+.3f} s: readings from now on have the new time"
    counters.last_error = words
    logger.warning("%s, those before keep theirs", words)


async def _release_ended(log: Log, clock: Clock, series: int) -> None:
    """Commit an offset for boots that ended before their clock was set: nobody else can, and all are held at them.

    When they were is not known. They are placed right after what stands before them in the log, as a gateway starts
    again soon, and end before what stands after them begins; their rows stay uncertain.
    """
    held = {boot for boot, offset in log.reader.boots.items() if offset is None} - {clock.boot}
    if not held:
        return
    offsets: dict[str, int] = {}
    end_ns = 0
    for boot, first_ns, last_ns, before_ns, after_ns in _reaches(log, held, clock.anchor_ns):
        end_ns = max(end_ns, before_ns)
        begin_ns = end_ns + SECOND_NS if end_ns else after_ns
        offsets[boot] = min(begin_ns - first_ns, after_ns - last_ns)
        end_ns = last_ns + offsets[boot]
    for boot in held:
        offset_ns = offsets.get(boot, 0)
        note = {"clock": {"boot": boot, "offset_ns": offset_ns, "assumed": True}}
        header = Header("gateway", 0, clock.boot, clock.now_ns(), clock.monotonic_ns(), note=note)
        await log.release_boot(boot, offset_ns, make(header, clock.now_ns(), [series], offset_ns / SECOND_NS))
        logger.warning(
            "an earlier start ended before its clock was set: its readings are placed right after those before it, "
            "moved by %.3f s",
            offset_ns / SECOND_NS,
        )


def _reaches(log: Log, held: set[str], anchor_ns: int) -> list[tuple[str, int, int, int, int]]:
    """Return (boot, first, last, end of the trusted rows before it, begin of those after it) of held boots [ns], in the
    order of the log; 0 where nothing stands before it any more, `anchor_ns` where nothing stands after it yet.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    position, end_ns = 0, 0
    while windows := log.reader.read_raw(position):
        for header in (b.header for w in windows for b in w.batches):
            if header.boot in held:
                before.setdefault(header.boot, end_ns)
                first.setdefault(header.boot, header.received_ns)
                last[header.boot] = header.received_ns
            else:
                now_ns = header.received_ns + (log.reader.boots.get(header.boot) or 0)
                end_ns = max(end_ns, now_ns)
                after |= {boot: now_ns for boot in first if boot not in after}
        position = windows[-1].position
    return [(boot, first[boot], last[boot], before[boot], after.get(boot, anchor_ns)) for boot in first]


async def _release(log: Log, clock: Clock, series: int, wall_ns: int) -> None:
    boot = clock.boot
    offset_ns = clock.set_right(wall_ns)
    await log.open_boot()
    note = {"clock": {"boot": boot, "offset_ns": offset_ns}}
    header = Header("gateway", 0, clock.boot, clock.now_ns(), clock.monotonic_ns(), note=note)
    await log.release_boot(boot, offset_ns, make(header, clock.now_ns(), [series], offset_ns / SECOND_NS))
    logger.warning("the clock was set: readings of this boot are moved by %.3f s", offset_ns / SECOND_NS)
