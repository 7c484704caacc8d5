"""Invoices and the ledger → what the supplier counted beside what the own meters did, and whether errors explain it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from math import hypot
from typing import Final

import numpy as np

from carbon.entries import MICRO, Entries, Line
from carbon.ledger import Ledger
from carbon.papers.manual import Account, amount, unit_of
from carbon.papers.periods import bounds
from carbon.papers.register import Filed
from carbon.papers.rows import SITE, Invoice
from carbon.uncertainty import half_interval

TYPICAL: Final = 0.005  # half the 95 % interval of a supplier's meter where the invoice states none: class 0.5


@dataclass(frozen=True, slots=True)
class Comparison:
    """One invoice against the meters of its period; amounts in `unit`, `error` half the 95 % interval of both."""

    seq: int
    stream: str
    first: date
    last: date
    unit: str
    invoiced: float
    metered: float
    error: float
    covered: float  # share of the period the ledger's data stands for
    unstated: bool  # the register knows no uncertainty of a meter: the real error is larger

    @property
    def difference(self) -> float:
        """What the meters counted more than the invoice."""
        return self.metered - self.invoiced

    @property
    def finding(self) -> str:
        """What is wrong, "" where both agree within their error."""
        if self.covered == 0:
            return "nothing was metered in this period"
        if abs(self.difference) <= self.error:
            return ""
        share = f"{100 * abs(self.difference) / self.invoiced:.2f} %" if self.invoiced else "all of it"
        more = "more" if self.difference > 0 else "less"
        said = f"metered {share} {more} than invoiced, beyond the combined error of {self.error:.6g} {self.unit}"
        if self.covered < 0.999:
            said += f"; the meters cover {100 * self.covered:.1f} % of the period"
        return said + ("; a meter's uncertainty is not in the register" if self.unstated else "")


def compare(account: Account, ledger: Ledger, invoices: Iterable[Filed]) -> list[Comparison]:
    """Return every invoice held against the ledger's sum of the same stream and days.

    U = √(U_meter² + U_invoice²), U_meter by the entries' meter versions, one meter's error fully correlated over time
    (JCGM 100:2008, 5.1.2 and 5.2.2). An invoice of the site is held against all its boundary meters of the carrier.
    """
    return [
        _compare(account, ledger, row, row.document) for row in invoices if isinstance(row.document, Invoice)
    ]  # fmt: skip


def _compare(account: Account, ledger: Ledger, row: Filed, invoice: Invoice) -> Comparison:
    lines = _lines(ledger.lines, invoice)
    unit = next((ledger.lines[number].unit for number in lines), "") or _unit(account, invoice)
    start, end = bounds(invoice.first, invoice.last, account.zone)
    parts = list(ledger.read(start, end, lines)) if lines else []
    entries = Entries.join(parts) if parts else None
    invoiced = amount(invoice, unit, invoice.quantity, account.reference(invoice, unit)) / MICRO
    share = float(invoice.uncertainty_pct) / 100 if invoice.uncertainty_pct else TYPICAL
    streams = len({ledger.lines[number].stream for number in lines})
    metered, error, covered, unstated = _metered(entries, ledger, streams * (end - start))
    total = hypot(error, invoiced * share)
    return Comparison(
        row.seq, row.stream, invoice.first, invoice.last, unit, invoiced, metered, total, covered, unstated
    )  # fmt: skip


def _metered(entries: Entries | None, ledger: Ledger, time_ns: int) -> tuple[float, float, float, bool]:
    """Return (amount, half its 95 % interval, covered share, whether a meter has no stated uncertainty)."""
    if entries is None or not len(entries):
        return 0.0, 0.0, 0.0, False
    none = np.full(len(entries), -1, np.int32)
    error = half_interval(entries.amount, entries.meter, none, ledger.meters, {}) / MICRO
    covered = min(float(entries.covered_ns.sum()) / time_ns, 1.0)
    return float(entries.amount.sum()) / MICRO, error, covered, bool((entries.meter < 0).any())


def _lines(lines: Mapping[int, Line], invoice: Invoice) -> list[int]:
    """Return the numbers of one line of each stream the invoice is about: all lines of a stream count the same.

    A line has several numbers where the configuration has changed around it.
    """
    mine = {number: line for number, line in lines.items() if _is_about(invoice, line)}
    whole = f"{invoice.asset}.{invoice.carrier}"
    if any(line.stream == whole for line in mine.values()):  # not its parts and virtual meters as well
        mine = {number: line for number, line in mine.items() if line.stream == whole}
    first: dict[str, str] = {}
    for line in mine.values():
        first.setdefault(line.stream, line.key)
    return [number for number, line in mine.items() if first[line.stream] == line.key]


def _is_about(invoice: Invoice, line: Line) -> bool:
    counted = line.role == "boundary" if invoice.asset == SITE else line.asset == invoice.asset
    return counted and line.carrier == invoice.carrier and line.role not in ("export", "memo")


def _unit(account: Account, invoice: Invoice) -> str:
    streams = account.streams.values()
    return next((s.unit for s in streams if s.carrier == invoice.carrier), "") or unit_of(invoice)
