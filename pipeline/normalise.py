"""Raw device values → canonical units with a range check; stateless, so what is logged can be recomputed from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline.batch import Batch
from pipeline.clock import RELEASED_NS, SECOND_NS
from pipeline.quality import BAD, CLOCK, RANGE, UNCERTAIN, worsen
from pipeline.series import SeriesTable
from pipeline.spec import Kind

_AHEAD_NS = 3_600 * SECOND_NS  # a device's clock may be this far before ours; more is wrong
_BEHIND_NS = 3_652 * 86_400 * SECOND_NS  # and this far behind, ten years: no device keeps readings longer


def normalise(table: SeriesTable, batch: Batch) -> Batch:
    """Return the measured rows: value = raw · mul / div + offset; outside its range or not a number: bad (range).

    A gauge of a meter behind transformers is multiplied by their ratio.
    """
    like = table.likes(batch.series)
    value = batch.value * table.mul.of(like) / table.div.of(like) + table.offset.of(like)
    # Written so that NaN fails it too.
    inside = (value >= table.low.of(like)) & (value <= table.high.of(like))
    quality = batch.quality
    if not inside.all():
        quality = np.where(inside, quality, worsen(quality | np.uint16(RANGE), BAD))
    if table.ratios is not None:  # after the range check: what a point declares is of what the device shows
        gauge = table.kind.of(like) == Kind.GAUGE
        value = np.where(gauge, value * table.ratios.at(batch.series, batch.time_ns), value)
    return replace(batch, value=value, quality=quality)


def distrust(batch: Batch, anchor_ns: int) -> Batch:
    """Flag the rows this boot stamped while its clock was not trusted: those within its own run of time.

    A device that knows the time stamps far outside it; one as lost as the gateway, stamping in its run or at
    a time no device can mean today (1970, 2000), is corrected with it.
    """
    own = (batch.time_ns >= anchor_ns) & (batch.time_ns <= batch.header.received_ns)
    lost = own | (batch.time_ns < RELEASED_NS - _BEHIND_NS)
    flagged = worsen(batch.quality | np.uint16(CLOCK), UNCERTAIN)
    return replace(batch, quality=np.where(lost, flagged, batch.quality))


def restamped(batch: Batch, begun_ns: int, moved_ns: int) -> Batch:
    """Return readings the gateway stamped, those from before its clock was set at `begun_ns` moved as it was.

    They waited while it was set, and now come with what was stamped after: before its beginning, or after its receipt,
    by more than a clock that follows another is moved meanwhile.
    """
    before = (batch.time_ns < begun_ns - SECOND_NS) | (batch.time_ns > batch.header.received_ns + SECOND_NS)
    return replace(batch, time_ns=batch.time_ns + np.where(before, moved_ns, 0)) if before.any() else batch


def is_ahead(batch: Batch) -> npt.NDArray[np.bool_]:
    """Return which rows are stamped more than an hour after their receipt: by a clock that is wrong."""
    ahead: npt.NDArray[np.bool_] = batch.time_ns > batch.header.received_ns + _AHEAD_NS
    return ahead


def doubt_clocks(batch: Batch) -> Batch:
    """Flag the rows that no clock that is right can have stamped, by the gateway's own at their receipt.

    More than an hour ahead: folded, one of them would make all later ones late. More than ten years behind: a clock
    that was never set (1970, 1980, 2000), and folded, one of them would begin an interval of decades.
    """
    wrong = is_ahead(batch) | (batch.time_ns < batch.header.received_ns - _BEHIND_NS)
    if not wrong.any():
        return batch
    return replace(batch, quality=np.where(wrong, worsen(batch.quality | np.uint16(CLOCK), UNCERTAIN), batch.quality))
