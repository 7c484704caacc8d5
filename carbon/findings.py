"""Books and ledger → in sentences what a verifier will ask about a period: nothing that is left out is left unsaid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from carbon.balances import Held, exported_beyond, negative_rests, negative_virtual
from carbon.books import Books
from carbon.coverage import silence, standings
from carbon.entries import MICRO, Line
from carbon.factors.upstream import omissions
from carbon.filling.gaps import finding
from carbon.ledger import Ledger
from carbon.lines import Rules
from carbon.market.year import instruments
from carbon.papers.invoices import compare
from carbon.papers.manual import Account
from carbon.papers.register import Register
from carbon.papers.rows import Invoice
from carbon.uncertainty import unstated
from config.byproducts import Source, counted_twice
from config.carriers import about
from config.meters import bypasses, calibrations_due
from pipeline.clock import SECOND_NS

Kind = Literal[
    "market", "certificate", "upstream", "gap", "invoice", "calibration", "bypass", "fallback", "unregistered",
    "unstated", "negative_rest", "export", "virtual", "byproduct",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_MOST_NAMED: Final = 5


class Finding(NamedTuple):
    """What is to be told of a period, and what it is about."""

    kind: Kind
    sentence: str


def findings(
    books: Books, ledger: Ledger, start_ns: int, end_ns: int, now_ns: int | None = None,
    *, kinds: Collection[Kind] = KINDS,
) -> list[Finding]:  # fmt: skip
    """Return everything to be told of what the ledger holds from start to end, in the order of `Kind`.

    `now_ns`: by when it should have been booked; None looks at what is booked only. `kinds`: which alone.
    """
    held = Held.of(ledger, start_ns, end_ns)
    told: dict[Kind, Iterator[str]] = {
        "market": _market(books, held),
        "certificate": iter(instruments(books, ledger, None)[1]),
        "upstream": _upstream(books, held),
        "gap": _gaps(books, ledger, start_ns, end_ns, now_ns),
        "invoice": _invoices(books, ledger, start_ns, end_ns),
        "calibration": _calibrations(books, ledger, end_ns),
        "bypass": _bypasses(books, start_ns, end_ns),
        "fallback": _fallbacks(held),
        "unregistered": _unregistered(books, held),
        "unstated": _unstated(held),
        "negative_rest": negative_rests(books, held),
        "export": exported_beyond(ledger, held),
        "virtual": negative_virtual(books, ledger, held),
        "byproduct": _byproducts(books, held),
    }
    return [Finding(kind, sentence) for kind, of_kind in told.items() if kind in kinds for sentence in of_kind]


def _market(books: Books, held: Held) -> Iterator[str]:
    """Yield that no residual mix is known, where electricity was bought at all."""
    if any(held.lines[n].method == "market" for n in held.used):
        yield from Rules(books.config).findings


def _upstream(books: Books, held: Held) -> Iterator[str]:
    lines = [held.lines[n] for n in held.used]
    if not lines:
        return
    if not books.config.accounting.upstream:
        yield "scope 3 category 3 is not counted: accounting.upstream is switched off"
        return
    fuels = {line.carrier for line in lines if line.role == "boundary" and about(line.carrier).fuel}
    yield from omissions(books.config.site.region, fuels)


def _gaps(books: Books, ledger: Ledger, start_ns: int, end_ns: int, now_ns: int | None) -> Iterator[str]:
    """Yield streams of which more than 5 % is missing or substituted, and those that have fallen silent."""
    if now_ns is not None and (sentence := silence(books, ledger, start_ns, end_ns, now_ns)):
        yield sentence
    extent = ledger.extent()
    if extent is None or extent[1] < start_ns or extent[0] >= end_ns:
        return
    period = _period(books, start_ns, end_ns)
    first = max(start_ns, books.interval_of(extent[0]))
    virtual = {key for key, stream in books.streams.items() if stream.virtual is not None}
    found = standings(ledger, books.streams.keys() - virtual, first, end_ns, books.interval_ns)
    for key, known in sorted(found.items()):
        if key not in virtual and (sentence := finding(known, period)):
            yield sentence
    booked = {line.stream for line in ledger.lines.values()}
    for key in sorted((books.streams.keys() & booked) - found.keys() - virtual):
        yield f"{key}: nothing is booked in {period}, although the configuration has it"


def _invoices(books: Books, ledger: Ledger, start_ns: int, end_ns: int) -> Iterator[str]:
    first, last = _day(books, start_ns), _day(books, end_ns - 1)
    filed = [
        row for row in Register.of(ledger.documents()).in_force("invoice")
        if isinstance(said := row.document, Invoice) and said.first <= last and said.last >= first
    ]  # fmt: skip
    account = Account(books.config, books.streams, Rules(books.config).of)
    for c in compare(account, ledger, filed):
        if c.finding:
            yield f"invoice {c.seq}, {c.stream}, {c.first} – {c.last}: {c.finding}"


def _calibrations(books: Books, ledger: Ledger, end_ns: int) -> Iterator[str]:
    """Yield calibrations overdue or soon due at the end of the period, or as far as it is booked."""
    extent = ledger.extent()
    if extent is not None:
        day = _day(books, min(end_ns - 1, extent[1]))
        yield from map(str, calibrations_due(books.config.accounting.meters, day))


def _bypasses(books: Books, start_ns: int, end_ns: int) -> Iterator[str]:
    """Yield since when and until when which meter was bypassed: what it showed meanwhile is no measurement."""
    first, last = _day(books, start_ns), _day(books, end_ns - 1)
    for name, meter in books.config.accounting.meters.items():
        for event, end in bypasses(meter):
            if event.on <= last and (end is None or end > first):
                until = f" until {end}" if end else " and still is"
                yield f"{name} was bypassed from {event.on}{until}; what flowed meanwhile is not measured" + (
                    f" ({event.reason})" if event.reason else ""
                )


def _fallbacks(held: Held) -> Iterator[str]:
    """Yield each factor that stands in for another, and how much of which total rests on it."""
    totals: dict[tuple[int, str], int] = defaultdict(int)
    resting: dict[tuple[str, int, str], int] = defaultdict(int)
    rows = zip(held.sums.line.tolist(), held.sums.factor.tolist(), held.sums.co2e.tolist(), strict=True)
    for line, number, mass in rows:
        known = held.lines[line]
        if known.role != "boundary" or number < 0:
            continue
        totals[known.scope, known.method] += mass
        if held.factors[number].provenance.variant == "fallback":
            resting[held.factors[number].id, known.scope, known.method] += mass
    for (name, scope, method), mass in sorted(resting.items()):
        total = totals[scope, method]
        how = f" ({method})" if method in ("location", "market") else ""
        share = f", {mass / total:.1%} of it" if total else ""
        yield f"{name} stands in as a fallback: {mass / MICRO:,.0f} kg CO₂e of scope {scope}{how} rest on it{share}"


def _unregistered(books: Books, held: Held) -> Iterator[str]:
    """Yield how much metered energy rests on meters the register does not hold: their errors are not counted."""
    metered = {key for key, stream in books.streams.items() if stream.device and stream.role != "memo"}
    energy = {key: abs(parts.energy) for key, parts in held.streams.items() if key in metered}
    silent = sorted(key for key in energy if key not in books.meters and energy[key])
    if silent:
        share = sum(energy[key] for key in silent) / sum(energy.values())
        yield f"{share:.1%} of the metered energy rests on meters without an entry in the register: {_named(silent)}"


def _unstated(held: Held) -> Iterator[str]:
    """Yield how much of each total rests on factors nobody states an uncertainty of: it counts as none."""
    for method in ("location", "market"):
        counted = [n for n in held.used if held.lines[n].role == "boundary" and _counts(held.lines[n], method)]
        rows = held.sums.take(np.isin(held.sums.line, counted))
        silent = {held.factors[n].id for n in np.unique(rows.factor[rows.co2e != 0]).tolist() if _silent(held, n)}
        if share := unstated(rows.co2e, rows.factor, held.factors):
            what = f"{share:.1%} of the {method}-based emissions"
            yield f"{what} rest on factors without a stated uncertainty: {_named(sorted(silent))}"


def _counts(line: Line, method: str) -> bool:
    return line.method in (method, "factor") or line.scope == 3


def _silent(held: Held, number: int) -> bool:
    return number in held.factors and held.factors[number].uncertainty is None


def _byproducts(books: Books, held: Held) -> Iterator[str]:
    """Yield gases whose carbon is counted with the coal they came from; papers bring what no check of meters sees."""
    bought = {name for area in books.config.areas.values() for name, asset in area.assets.items() if asset.bought}
    burnt = {
        line.stream: Source(line.stream, line.carrier, line.asset in bought)
        for line in (held.lines[n] for n in held.used) if about(line.carrier).fuel
    }  # fmt: skip
    yield from (f"{stream} {sentence}" for stream, sentence in counted_twice(burnt.values()))


def _named(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _period(books: Books, start_ns: int, end_ns: int) -> str:
    return f"{_day(books, start_ns)} … {_day(books, end_ns - 1)}"


def _day(books: Books, time_ns: int) -> date:
    return datetime.fromtimestamp(int(np.floor_divide(time_ns, SECOND_NS)), UTC).astimezone(books.zone).date()
