"""Books, documents and a ledger → what other parts of the account say of a period, for its report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from carbon.books import Books
from carbon.ledger import Ledger
from carbon.market.allocation import Instruments, allocate
from carbon.market.blend import instrument_factors
from carbon.market.year import bought_in, instruments, span_of
from carbon.papers.invoices import compare
from carbon.papers.manual import Account
from carbon.papers.register import Register
from carbon.report.model import Period


@dataclass(frozen=True, slots=True)
class Remarks:
    """Sentences for the findings, and the electricity bought that instruments without emissions cover [mWh]."""

    sentences: tuple[str, ...] = ()
    green: int | None = None  # None where no instrument is booked


NONE: Final = Remarks()


def remarks(books: Books, account: Account, ledger: Ledger, period: Period) -> Remarks:
    """Return what is known of a period beside the ledger's sums: instruments that do not count, and invoices."""
    held, sentences = instruments(books, ledger, None)
    filed = Register.of(ledger.documents()).in_force("invoice")
    ours = [f for f in filed if _touches(getattr(f.document, "first", None), getattr(f.document, "last", None), period)]
    for c in compare(account, ledger, ours):
        if c.finding:
            sentences.append(f"invoice {c.seq}, {c.stream}, {c.first} – {c.last}: {c.finding}")
    booked = any(block.reason is not None and block.reason.kind == "allocation" for block in ledger.blocks())
    return Remarks(tuple(sentences), _green(books, ledger, period, held) if booked else None)


def _touches(first: date | None, last: date | None, period: Period) -> bool:
    return bool(first and last and first <= period.last and last >= period.first)


def _green(books: Books, ledger: Ledger, period: Period, held: Instruments) -> int:
    start_ns, bought = bought_in(ledger, *span_of(books, period.year))
    market = books.config.accounting.market
    shared = allocate(start_ns, bought, held, books.zone, vintage=market.vintage, hourly=market.hourly)
    inside = (start_ns >= period.edges_ns[0]) & (start_ns < period.edges_ns[-1])
    factors = instrument_factors(held)
    return sum(int(amounts[inside].sum()) for name, amounts in shared.covered.items() if not factors[name].total)
