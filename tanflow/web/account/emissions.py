"""Parameters of /api/emissions → what the ledger says: energy and kilograms of every line, a row a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from starlette.datastructures import QueryParams

from carbon.entries import MICRO, Line
from carbon.factor import GASES
from carbon.ledger import Ledger, Sums
from carbon.local_time import midnight_ns
from config.errors import Rejected
from tanflow.web.parameters import choice, only

_PERIODS: Final = ("month", "day", "hour", "year")
_MOST: Final = 1_000  # periods of one answer


@dataclass(frozen=True, slots=True)
class Asked:
    """Periods of the site's clock between two days, the second one not included."""

    edges_ns: tuple[int, ...]
    upto: int | None


def parse(given: QueryParams, zone: ZoneInfo, today: date) -> Asked:
    """Return the question; raises Rejected with a sentence for what cannot be meant."""
    only(given, "from", "to", "by", "as_of")
    first = _day(given.get("from", f"{today.year}-01-01"), "from")
    end = _day(given.get("to", str(today + timedelta(days=1))), "to")
    if end <= first:
        raise Rejected("'to' is the first day no longer wanted; it must be later than 'from'")
    edges = _edges(first, end, choice(given, "by", _PERIODS, "month"), zone)
    as_of = given.get("as_of", "")
    if as_of and not (as_of.isascii() and as_of.isdigit() and len(as_of) < 16):
        raise Rejected(f"as_of={as_of!r} is no block of the ledger; write its number")
    return Asked(tuple(edges), int(as_of) if as_of else None)


def _day(text: str, name: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Rejected(f"{name}={text!r} is no day; write e.g. 2025-01-31") from None
    if not 1970 <= day.year < 2200:
        raise Rejected(f"{name}={text!r} is not between the years 1970 and 2200")
    return day


def _edges(first: date, end: date, by: str, zone: ZoneInfo) -> list[int]:
    if by == "hour":
        start, stop = midnight_ns(first, zone), midnight_ns(end, zone)
        found = list(range(start, stop, 3_600_000_000_000)) if (end - first).days * 24 <= _MOST else [0] * (_MOST + 2)
        last = stop
    else:
        days = [first]
        while days[-1] < end and len(days) <= _MOST + 1:
            days.append(_next(days[-1], by))
        found, last = [midnight_ns(day, zone) for day in days[:-1]], midnight_ns(end, zone)
    if len(found) > _MOST:
        raise Rejected(f"that would be more than {_MOST} periods; ask for a shorter time or longer periods")
    return [*found, last]


def _next(day: date, by: str) -> date:
    if by == "day":
        return day + timedelta(days=1)
    if by == "year":
        return date(day.year + 1, 1, 1)
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def answer(folder: Path, asked: Asked) -> dict[str, Any]:
    """Return the ledger's sums as JSON-ready data; kg and kWh are exact to the milligram and milliwatt-hour."""
    with Ledger.open(folder) as ledger:
        head = ledger.head()
        sums, lines = ledger.sums(asked.edges_ns, asked.upto), ledger.lines
        return {
            "head": {"seq": head.seq, "hash": head.hash},
            "as_of": head.seq if asked.upto is None else asked.upto,
            "edges_ns": list(asked.edges_ns),
            "rows": line_rows(sums, lines),
        }


def line_rows(sums: Sums, lines: Any) -> list[dict[str, Any]]:
    """Return a row for each line and period; factors and meters within it are added up."""
    key = np.stack([sums.line.astype(np.int64), sums.period])
    groups, at = np.unique(key, axis=1, return_inverse=True)
    columns = ("amount", "energy", "estimated", "substituted", "covered_ns", "span_ns", "biogenic", *GASES)
    totals = {name: np.zeros(groups.shape[1], np.int64) for name in columns}
    for name, total in totals.items():
        np.add.at(total, at.reshape(-1), getattr(sums, name))
    return [
        _row(lines[line], period, {name: int(total[i]) for name, total in totals.items()})
        for i, (line, period) in enumerate(groups.T.tolist())
    ]


def _row(line: Line, period: int, total: dict[str, int]) -> dict[str, Any]:
    kg = {gas: total[gas] / MICRO for gas in GASES if total[gas]}
    amount, span = total["amount"], total["span_ns"]
    return {
        **line.to_json(),
        "period": period,
        "amount": amount / MICRO,
        "energy_kwh": total["energy"] / MICRO,
        "co2e_kg": sum(total[gas] for gas in GASES) / MICRO,
        "kg_by_gas": kg,
        "biogenic_kg": total["biogenic"] / MICRO,
        "estimated": total["estimated"] / amount if amount else 0.0,
        "substituted": total["substituted"] / amount if amount else 0.0,
        "covered": total["covered_ns"] / span if span else 0.0,
    }
