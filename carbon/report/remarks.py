"""Books, documents and a ledger → what other parts of the account say of a period, for its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from carbon.books import Books
from carbon.findings import Kind, findings
from carbon.ledger import Ledger
from carbon.market.allocation import Instruments, allocate
from carbon.market.blend import instrument_factors
from carbon.market.year import bought_in, instruments, span_of
from carbon.report.model import Period


@dataclass(frozen=True, slots=True)
class Remarks:
    """Sentences for the findings, and the electricity bought that instruments without emissions cover [mWh]."""

    sentences: tuple[str, ...] = ()
    green: int | None = None  # None where no instrument is booked


NONE: Final = Remarks()
# What the report does not tell by itself, in either language, from its tables.
_BESIDE: Final[tuple[Kind, ...]] = (
    "certificate", "upstream", "invoice", "negative_rest", "export", "virtual", "byproduct",
)  # fmt: skip


def remarks(books: Books, ledger: Ledger, period: Period) -> Remarks:
    """Return what is known of a period beside the ledger's sums, of which the report's own tables tell."""
    edges = period.edges_ns
    sentences = tuple(found.sentence for found in findings(books, ledger, edges[0], edges[-1], kinds=_BESIDE))
    booked = any(block.reason is not None and block.reason.kind == "allocation" for block in ledger.blocks())
    green = _green(books, ledger, period, instruments(books, ledger, None)[0]) if booked else None
    return Remarks(sentences, green)


def _green(books: Books, ledger: Ledger, period: Period, held: Instruments) -> int:
    start_ns, bought = bought_in(ledger, *span_of(books, period.year))
    market = books.config.accounting.market
    shared = allocate(start_ns, bought, held, books.zone, vintage=market.vintage, hourly=market.hourly)
    inside = (start_ns >= period.edges_ns[0]) & (start_ns < period.edges_ns[-1])
    factors = instrument_factors(held)
    return sum(int(amounts[inside].sum()) for name, amounts in shared.covered.items() if not factors[name].total)
