"""Parameters of /api/query → a checked question → the history's answer, the log's tail included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast, get_args
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from config.errors import Rejected, Unavailable
from pipeline.spec import Spec
from sinks.history_query import Aggregate, Answer
from tanflow.web.parameters import alike, choice, only, step_ns, time_ns

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_SERIES_MAX: Final = 256
_TAIL_SPARE: Final = 2  # times the rows between two cuts: beyond that the history is behind
_AGGREGATES: Final = get_args(Aggregate)


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked question: rows as stored in [start, end), or one aggregate per `step_ns`."""

    series: tuple[int, ...]
    about: tuple[Spec, ...]
    start_ns: int
    end_ns: int
    step_ns: int | None
    aggregate: Aggregate
    csv: bool

    def unit(self, about: Spec) -> str:
        """Return the unit of the answer's values of a series."""
        if self.step_ns and self.aggregate in ("count", "integral"):
            return "1" if self.aggregate == "count" else f"{about.like.unit}·s"
        return about.like.unit


def parse(given: QueryParams, gateway: Gateway) -> Asked:
    """Return the question; raises Rejected with a sentence for what cannot be meant."""
    only(given, "series", "from", "to", "step", "aggregate", "format")
    ids = series_ids(given, gateway.table.ids)
    now_ns, zone = gateway.clock.now_ns(), ZoneInfo(gateway.config.site.zone)
    start_ns = time_ns(given.get("from", "-1h"), "from", now_ns, zone)
    end_ns = time_ns(given.get("to", "now"), "to", now_ns, zone)
    if end_ns <= start_ns:
        raise Rejected("'to' must be later than 'from'")
    step = step_ns(given.get("step", "none"))
    if step is None and "aggregate" in given:
        raise Rejected("'aggregate' goes with a step, e.g. step=1min; without one the rows come as stored")
    aggregate = choice(given, "aggregate", _AGGREGATES, "mean")
    csv = choice(given, "format", ("json", "csv"), "json") == "csv"
    about = tuple(gateway.table.spec(number) for number in ids)
    return Asked(ids, about, start_ns, end_ns, step, cast(Aggregate, aggregate), csv)


def series_ids(given: QueryParams, known: Mapping[str, int]) -> tuple[int, ...]:
    """Return the ids of the keys `series` names; raises Rejected for none, too many, or one that is not known."""
    keys = list(dict.fromkeys(key for text in given.getlist("series") for key in text.split(",") if key))
    if not keys:
        raise Rejected("'series' is missing; name one or several series by key, see /api/series")
    if len(keys) > _SERIES_MAX:
        raise Rejected(f"{len(keys)} series are asked for, more than {_SERIES_MAX}")
    if unknown := [key for key in keys if key not in known]:
        raise Rejected(f"unknown series '{unknown[0][:200]}'; {alike(unknown[0][:200], known)}")
    return tuple(known[key] for key in keys)


async def ask(gateway: Gateway, asked: Asked) -> Answer:
    """Return the rows; raises Rejected when they are too many, Unavailable when the history is behind or failing."""
    after = gateway.history.cursor
    most = gateway.config.data.history.cut_rows * _TAIL_SPARE
    if gateway.log.reader.rows_after(after) > most:
        raise Unavailable(f"the history is more than {most} rows behind the log; /api/health says why", 10.0)
    after, tail = await gateway.archivist.tail(asked.series)
    return await gateway.history.query(
        asked.series,
        asked.start_ns,
        asked.end_ns,
        asked.step_ns,
        asked.aggregate,
        tail=tail,
        after=after if tail is not None else None,
    )
