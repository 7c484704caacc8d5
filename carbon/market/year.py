"""A year of the ledger, its certificates and contracts → market-based factors, and the entries restated with them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np

from carbon.books import Books
from carbon.difference import Difference
from carbon.entries import Entries, Integers, one_of_each
from carbon.factor import FactorSteps
from carbon.ledger import Ledger, Reason
from carbon.local_time import midnight_ns
from carbon.market.allocation import Allocation, Instruments, allocate, edges
from carbon.market.blend import instrument_factors, market_steps
from carbon.market.certificates import accept
from carbon.market.null_power import null_steps, open_lines
from carbon.papers.register import Register
from carbon.papers.rows import Certificate
from carbon.papers.vetting import as_certificate
from carbon.restate import Progress, Span, restate_factors
from pipeline.batch import Times


@dataclass(frozen=True, slots=True)
class Allocated:
    """What instruments cover of a year: the shares, the factors that follow, and sentences a reader must know.

    start_ns int64[n]: the intervals of `allocation` · null: the factors of own generation whose certificates were
    sold, None where none were.
    """

    start_ns: Times
    allocation: Allocation
    steps: FactorSteps
    null: FactorSteps | None
    findings: tuple[str, ...]


def instruments(books: Books, ledger: Ledger, deadline: date | None) -> tuple[Instruments, list[str]]:
    """Return the contracts of the configuration and the certificates in force that count; why others do not."""
    config = books.config
    filed = Register.of(ledger.documents()).in_force()
    entered = [as_certificate(row.document, row.evidence) for row in filed if isinstance(row.document, Certificate)]
    organisation = config.accounting.organisation.name
    kept, findings = accept(entered, config.site.region, organisation, deadline)
    return Instruments(kept, config.accounting.market.contracts), findings


def allocate_year(books: Books, ledger: Ledger, year: int, deadline: date | None = None) -> Allocated:
    """Share certificates and contracts out over what the site bought in a calendar year of its zone."""
    span = span_of(books, year)
    start_ns, bought = bought_in(ledger, *span)
    held, findings = instruments(books, ledger, deadline)
    market = books.config.accounting.market
    shared = allocate(start_ns, bought, held, books.zone, vintage=market.vintage, hourly=market.hourly)
    cuts = edges(start_ns, market.contracts, books.zone, hourly=market.hourly)
    steps = market_steps(start_ns, shared, cuts, books.uncovered, instrument_factors(held), books.zone)
    null, told = _null(books, ledger, span)
    return Allocated(start_ns, shared, steps, null, (*findings, *shared.findings, *told))


def restate_market(
    books: Books, ledger: Ledger, year: int, allocated: Allocated, by: str,
    *, dry_run: bool = False, progress: Progress | None = None,
) -> Difference:  # fmt: skip
    """Give every market-based entry of the year its allocated factor; nothing else moves, and twice changes nothing."""
    reason = Reason("allocation", f"certificates and contracts of {year}", by, method="market-based")
    span = Span(*span_of(books, year), books.zone)
    if allocated.null is not None and not dry_run:
        open_lines(books, ledger, (span.start_ns, span.end_ns), reason)
    steps: dict[int, FactorSteps] = {}
    for number, line in ledger.lines.items():
        own = books.streams[line.stream].role == "own" if line.stream in books.streams else False
        given = allocated.null if own else allocated.steps if line.carrier == "electricity" else None
        if line.method == "market" and given is not None:
            steps[number] = given
    return restate_factors(ledger, steps, span, reason, dry_run=dry_run, progress=progress)


def span_of(books: Books, year: int) -> tuple[int, int]:
    """Return [start, end) of a calendar year in the site's zone [ns]."""
    return midnight_ns(date(year, 1, 1), books.zone), midnight_ns(date(year + 1, 1, 1), books.zone)


def bought_in(ledger: Ledger, start_ns: int, end_ns: int) -> tuple[Times, Integers]:
    """Return (beginning, amount [mWh]) of every interval in which electricity was bought, all meters together."""
    lines = {
        n for n, line in ledger.lines.items()
        if line.method == "market" and line.role == "boundary" and line.carrier == "electricity"
    }  # fmt: skip
    starts, bought = _summed(ledger, start_ns, end_ns, lines)
    return starts, np.maximum(bought, 0)


def _null(books: Books, ledger: Ledger, span: tuple[int, int]) -> tuple[FactorSteps | None, tuple[str, ...]]:
    """Return the factors of own generation whose certificates were sold, and what is to be said of them."""
    sold = books.config.accounting.market.sold_mwh
    own = {key for key, stream in books.streams.items() if stream.role == "own"}
    if not sold and not any(line.method == "market" and line.stream in own for line in ledger.lines.values()):
        return None, ()
    made, given = (_of_role(books, ledger, span, role) for role in ("own", "export"))
    return null_steps(made, given, sold, books.uncovered, books.zone)


def _of_role(books: Books, ledger: Ledger, span: tuple[int, int], role: str) -> tuple[Times, Integers]:
    """Return (beginning, amount [mWh]) of all measured electricity of a role, each stream once."""
    keys = {key for key, s in books.streams.items() if s.role == role and s.unit == "kWh" and s.virtual is None}
    lines = one_of_each(ledger.lines, [n for n, line in ledger.lines.items() if line.stream in keys])
    return _summed(ledger, *span, {number for numbers in lines.values() for number in numbers})


def _summed(ledger: Ledger, start_ns: int, end_ns: int, lines: Collection[int]) -> tuple[Times, Integers]:
    rows = Entries.join(list(ledger.read(start_ns, end_ns, lines)) if lines else [])
    starts, at = np.unique(rows.start_ns, return_inverse=True)
    total = np.zeros(len(starts), np.int64)
    np.add.at(total, at, rows.amount)
    return starts, total
