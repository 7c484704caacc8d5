"""/api/carbon: a year of the account by month and scope, with every correction and what was substituted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon.entries import MICRO, Entries
from carbon.ledger import Block, Ledger
from carbon.report.model import Period
from carbon.report.restated import Change, changes
from carbon.report.tally import Mask, Tally
from config.errors import Rejected
from pipeline.clock import SECOND_NS
from tanflow.web.account.emissions import line_rows
from tanflow.web.encode import dumps, iso
from tanflow.web.parameters import only
from tanflow.web.site.shared import Shared

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_KEPT: Final = 4  # years, until the ledger grows
_LISTED: Final = 500
_CORRECTED: Final = ("restatement", "substitution", "allocation", "manual")  # late amounts correct nothing


def routes(gateway: Gateway) -> list[Route]:
    """Return the route of a year's carbon."""
    folder, zone, shared = gateway.directory.path, gateway.books.zone, Shared[bytes](gateway.asking, kept=_KEPT)

    async def answer(request: Request) -> Response:
        year = parse(request.query_params, gateway.clock.now_ns(), zone)
        head = gateway.ground.booked.head()  # as long as the ledger stands there, so does what it says
        found = await shared.get((year, head.seq), lambda: asyncio.to_thread(read, folder, year, zone))
        return Response(found, media_type="application/json")

    return [Route("/api/carbon", answer)]


def parse(given: QueryParams, now_ns: int, zone: ZoneInfo) -> int:
    """Return the year asked for, the present one where none is; raises Rejected for what is no year."""
    only(given, "year")
    text = given.get("year", str(datetime.fromtimestamp(now_ns // SECOND_NS, zone).year))
    if not (text.isascii() and text.isdigit() and 1990 <= int(text[:9]) <= 2100):
        raise Rejected(f"year={text!r} is no year; write e.g. 2025")
    return int(text)


def read(folder: Path, year: int, zone: ZoneInfo) -> bytes:
    """Return a year of the ledger of a data directory as JSON."""
    with Ledger.open(folder) as ledger:
        return dumps(of_year(ledger, year, zone))


def of_year(ledger: Ledger, year: int, zone: ZoneInfo) -> dict[str, Any]:
    """Return a year of a ledger as JSON-ready data; kg and kWh are exact to the milligram and milliwatt-hour."""
    period = Period(year, None, zone)
    edges, head = period.edges_ns, ledger.head()
    sums = ledger.sums(edges, upto=head.seq)
    tally = Tally.of(sums, ledger.lines, ledger.factors, len(period.months))
    found = changes(ledger, edges, head.seq, zone)
    whole = ledger.sums((edges[0], edges[-1]), upto=head.seq)
    return {
        "year": year,
        "months": months(tally, period.labels, found),
        "lines": line_rows(whole, ledger.lines),
        "restatements": [_restated(change, period.labels) for change in found[-_LISTED:]],
        "substitutions": list(_substitutions(ledger, edges, head.seq))[-_LISTED:],
        "head": {"seq": head.seq, "hash": head.hash},
    }


def months(tally: Tally, labels: Sequence[str], found: Sequence[Change]) -> list[dict[str, Any]]:
    """Return each month by scope [kg], its energy [kWh] and which share of that is estimated or substituted.

    A month without any entry is unknown.
    """

    def by_month(mask: Mask, values: Any = None) -> list[int]:
        return tally.by_month(tally.mass if values is None else values, mask)

    columns = {
        "scope1": by_month(tally.scope(1)),
        "scope2_location": by_month(tally.scope(2)),
        "scope2_market": by_month(tally.scope(2, "market")),
        "scope3": by_month(tally.scope(3)),
        "biogenic": by_month(tally.scope(1) | tally.scope(2) | tally.scope(3), tally.values["biogenic"]),
        "energy_kwh": by_month(tally.energy_of("boundary", "own"), tally.values["energy"]),
    }
    shares = {f"{name}_share": _share(tally, name) for name in ("estimated", "substituted")}
    there = set(tally.month.tolist())
    rows = []
    for number, label in enumerate(labels):
        known = number in there
        row: dict[str, Any] = {"month": label}
        row |= {name: column[number] / MICRO if known else None for name, column in columns.items()}
        row |= {name: column[number] for name, column in shares.items()}
        row["restated"] = sum(c.month == number and c.reason.kind in _CORRECTED for c in found)
        rows.append(row)
    return rows


def _share(tally: Tally, name: str) -> list[float | None]:
    """Return which share of each month's energy rests on amounts that are estimated or substituted."""
    mask = tally.energy_of("boundary", "own")
    amount, part, energy = tally.values["amount"], tally.values[name], tally.values["energy"]
    doubted = np.divide(part, amount, where=amount != 0, out=np.zeros(len(amount))) * energy
    whole = tally.by_month(energy, mask)
    parts = [float(doubted[mask & (tally.month == month)].sum()) for month in range(tally.months)]
    return [part / total if total else None for part, total in zip(parts, whole, strict=True)]


def _restated(change: Change, labels: Sequence[str]) -> dict[str, Any]:
    """Return a correction: what a month was by location and market, and what it is since."""
    reason, (before, before_market, _), (after, after_market, _) = change.reason, change.before, change.after
    return {
        "at": iso(np.array([change.at_ns]))[0],
        "at_ns": change.at_ns,
        "who": reason.by,
        "approved_by": reason.approved_by,
        "why": reason.text,
        "kind": reason.kind,
        "method": reason.method,
        "month": labels[change.month],
        "blocks": [change.first_seq, change.last_seq],
        "entries": change.entries,
        "from": int(before) / MICRO,
        "to": int(after) / MICRO,
        "difference_kg": int(after - before) / MICRO,
        "market": {"from": int(before_market) / MICRO, "to": int(after_market) / MICRO},
    }


def _substitutions(ledger: Ledger, edges_ns: Sequence[int], upto: int) -> Iterator[dict[str, Any]]:
    """Yield what was put in place of missing amounts, as it was booked, a row a stream and block."""
    for block in ledger.blocks(0, upto):
        if block.reason is not None and block.reason.kind == "substitution":
            entries = block.entries()
            inside = (entries.start_ns >= edges_ns[0]) & (entries.start_ns < edges_ns[-1])
            yield from _of_block(ledger, block, entries.take(inside & (entries.substituted != 0)))


def _of_block(ledger: Ledger, block: Block, entries: Entries) -> Iterator[dict[str, Any]]:
    numbers = sorted(np.unique(entries.line).tolist(), key=lambda n: ledger.lines[n].method == "market")
    told: set[str] = set()
    for number in numbers:
        line, rows = ledger.lines[number], entries.take(entries.line == number)
        if line.stream in told or line.scope == 3 or block.reason is None:
            continue
        told.add(line.stream)
        share = rows.substituted / np.where(rows.amount == 0, 1, rows.amount)
        yield {
            "stream": line.stream,
            "from": iso(rows.start_ns[:1])[0],
            "to": iso((rows.start_ns + rows.span_ns)[-1:])[0],
            "method": block.reason.method,
            "why": block.reason.text,
            "who": block.reason.by,
            "kwh": float((rows.energy * share).sum()) / MICRO,
            "co2_kg": float((rows.co2e * share).sum()) / MICRO,
            "block": block.seq,
        }
