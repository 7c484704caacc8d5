"""The history's last values of figures over windows → the newest values: a restart shows them until a window closes."""

from __future__ import annotations

import logging
from typing import Final

import numpy as np

from config.errors import Rejected, Unavailable
from pipeline.clock import SECOND_NS, Clock
from pipeline.compile_windows import STAGE
from pipeline.latest import Latest
from pipeline.log.log import Log
from pipeline.series import SeriesTable
from sinks.history import History

logger = logging.getLogger("tanflow")

_HOUR_NS: Final = 3_600 * SECOND_NS
_BACK_H: Final = (32 * 24, 26)  # a month's window and the last shifts; where that is too much, the last day's


async def follow(latest: Latest, log: Log, history: History, table: SeriesTable, clock: Clock) -> None:
    """Show what figures were last, then follow the log for ever."""
    await recall(latest, history, table, clock.now_ns())
    await latest.run(log)


async def recall(latest: Latest, history: History, table: SeriesTable, now_ns: int) -> None:
    """Take the last value of each figure from the hourly roll-ups; its time is the end of the hour it closed in."""
    figures = table.specs.where(lambda like: like.connection == STAGE).tolist()
    for hours in _BACK_H if figures else ():
        try:
            found = await history.query(figures, now_ns - hours * _HOUR_NS, now_ns, _HOUR_NS, "last")
        except Rejected:
            continue  # more figures than can be read so far back
        except Unavailable as error:
            logger.warning("figures are shown from their next window on: %s", error)
            return
        known = np.isfinite(found.value)
        end_ns = np.minimum(found.time_ns + _HOUR_NS, now_ns)[known]
        latest.recall(found.series[known], end_ns, found.value[known], found.quality[known])
        return
