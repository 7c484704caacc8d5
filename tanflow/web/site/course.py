"""The history and the log's tail → what the whole site took in every quarter hour, unknown where a meter was silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from carbon.books import Books
from carbon.cells import QUARTER_NS
from carbon.entries import MICRO, Activity
from tanflow.web.site.rates import Meter

if TYPE_CHECKING:
    from sinks.history_query import Answer
    from tanflow.gateway import Gateway

Times = npt.NDArray[np.int64]
Curves = npt.NDArray[np.float64]
SIGN: Final = {"boundary": 1.0, "own": 1.0, "export": -1.0}


def of_site(known: Sequence[Meter], books: Books) -> list[Meter]:
    """Return the meters a site's intake is made of: what comes in, is made and given away, and is energy."""
    return [m for m in known if m.stream.role in SIGN and kwh_per_unit(books, m) > 0]


def kwh_per_unit(books: Books, meter: Meter) -> float:
    """Return the energy of one unit of a stream, by the newest of its factors; 0 where none says."""
    rules = books.rules[meter.stream.key]
    return rules[0][1].factors[-1].kwh if rules else 0.0


async def amounts(gateway: Gateway, series: Sequence[int], start_ns: int, end_ns: int, step_ns: int) -> Answer:
    """Return the amounts of series in buckets of `step_ns`; raises Rejected, Unavailable."""
    after, tail = await gateway.archivist.tail(series)
    return await gateway.history.query(
        series, start_ns, end_ns, step_ns, "sum", tail=tail, after=after if tail is not None else None
    )


def by_meter(answer: Answer, meters: Sequence[Meter], start_ns: int, step_ns: int, buckets: int) -> Curves:
    """Return float64[meters, buckets] the amounts of each meter; NaN where nothing is known."""
    found = np.full((len(meters), buckets), np.nan)
    place = {meter.amount: row for row, meter in enumerate(meters)}
    column = (answer.time_ns - start_ns) // step_ns
    inside = (column >= 0) & (column < buckets)
    rows = np.array([place[s] for s in answer.series[inside].tolist()], np.int64)
    found[rows, column[inside]] = answer.value[inside]
    return found


def course(found: Curves, meters: Sequence[Meter], books: Books) -> Curves:
    """Return float64[buckets] the energy the site took in [kWh]: bought + made − given away.

    A meter that has not said anything in all of it takes no part; where one that has is silent, the whole is unknown.
    """
    if not len(meters):
        return np.full(found.shape[1], np.nan)
    weight = np.array([SIGN[m.stream.role] * kwh_per_unit(books, m) for m in meters])
    speaking = np.isfinite(found).any(axis=1)
    total: Curves = (weight[speaking, None] * found[speaking]).sum(axis=0)
    return total if speaking.any() else np.full(found.shape[1], np.nan)


def activity(found: Curves, meters: Sequence[Meter], books: Books, start_ns: int) -> Activity:
    """Return the amounts of each meter over all buckets, put into the interval that begins at `start_ns`."""
    known = np.flatnonzero(np.isfinite(found).any(axis=1))
    numbers = [meters[row].number for row in known.tolist()]
    whole = np.rint(np.nansum(found[known], axis=1) * MICRO).astype(np.int64)
    return Activity.make(np.full(len(numbers), start_ns), books.interval_ns, np.array(numbers, np.int32), whole)


def quarters(start_ns: int, end_ns: int) -> int:
    """Return how many quarters touch [start, end)."""
    return -(-(end_ns - start_ns) // QUARTER_NS)
