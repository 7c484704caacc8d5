"""Books, ledger and a month → the bill of every supply point by the tariff, and what own power was worth."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from carbon.books import Books
from carbon.entries import MICRO, Entries, Integers, one_of_each
from carbon.ledger import Head, Ledger
from carbon.local_time import first_day, midnight_ns, month_number
from carbon.market.own_generation import own_power
from carbon.money.bill import Bill, bills
from carbon.money.cost import cost
from config.errors import Rejected
from config.tariff import Tariff
from config.tariffs import load_tariff
from pipeline.batch import Times

_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class OwnPart:
    """Own generation of a month [mWh], and what the part used would have cost by energy and fees [1e-6 currency]."""

    generated: int
    used: int
    exported: int
    avoided: int


@dataclass(frozen=True, slots=True)
class MonthCost:
    """What electricity costs in a month: one bill for each supply point, by stream."""

    month: str
    currency: str
    tariff: str
    head: Head
    supplies: tuple[tuple[str, Bill], ...]
    own: OwnPart | None

    @property
    def total(self) -> int:
        """Sum of the bills [1e-6 currency]."""
        return sum(bill.total for _, bill in self.supplies)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-ready data: kWh, and amounts in the currency, exact to its 1e-6."""
        return {
            "month": self.month,
            "currency": self.currency,
            "tariff": self.tariff,
            "head": {"seq": self.head.seq, "hash": self.head.hash},
            "supplies": [{"stream": stream, **_bill(bill)} for stream, bill in self.supplies],
            "total": self.total / MICRO,
            "own": _own(self.own) if self.own else None,
        }


def _bill(bill: Bill) -> dict[str, Any]:
    items = [{**item._asdict(), "amount": item.amount / MICRO} for item in bill.items]
    return {"items": items, "total": bill.total / MICRO, "findings": list(bill.findings)}


def _own(own: OwnPart) -> dict[str, float]:
    energies = {"generated": own.generated, "used": own.used, "exported": own.exported}
    return {f"{name}_kwh": amount / MICRO for name, amount in energies.items()} | {"avoided": own.avoided / MICRO}


def month_cost(books: Books, ledger: Ledger, month: str) -> MonthCost:
    """Return what a local month, e.g. 2025-03, costs as the ledger stands.

    A supply point is a boundary stream of electricity; peaks and reactive energy are those of its meter. Raises
    Rejected for what is no month and where no tariff is configured, ConfigError for a tariff that cannot be read.
    """
    if not _MONTH.fullmatch(month):
        raise Rejected(f"'{month}' is no month; write e.g. 2025-03")
    reference = books.config.accounting.tariff
    if reference is None:
        raise Rejected("no tariff is configured: write accounting: {tariff: tariff.yaml}; docs/cost.md says how")
    tariff = load_tariff(reference, int(books.config.accounting.interval.removesuffix("min")))
    number = month_number(month)
    span = midnight_ns(first_day(number), books.zone), midnight_ns(first_day(number + 1), books.zone)
    streams = one_of_each(ledger.lines, ledger.lines)
    bought = {n for n, line in ledger.lines.items() if line.carrier == "electricity" and line.role == "boundary"}
    supplies = []
    for stream, numbers in sorted(streams.items()):
        rows = _rows(ledger, span, bought.intersection(numbers))
        if len(rows):
            reactive = _rows(ledger, span, streams.get(f"{stream}.reactive", []))
            supplies.append((stream, _billed(books, tariff, rows, reactive)))
    return MonthCost(
        month, tariff.currency, tariff.name, ledger.head(), tuple(supplies), _own_part(books, ledger, tariff, span)
    )


def _rows(ledger: Ledger, span: tuple[int, int], lines: Collection[int]) -> Entries:
    return Entries.join(list(ledger.read(*span, lines)) if lines else [])


def _billed(books: Books, tariff: Tariff, rows: Entries, reactive: Entries) -> Bill:
    """Return the bill of one supply point."""
    kvarh = None  # the power factor is the whole month's: when within it reactive energy flowed does not matter
    if len(reactive):
        kvarh = np.zeros(len(rows), np.int64)
        kvarh[0] = int(reactive.amount.sum())
    (bill,) = bills(
        rows.start_ns, rows.span_ns, rows.amount, tariff, books.zone, peak=rows.peak, reactive=kvarh
    )  # fmt: skip
    return bill


def _own_part(books: Books, ledger: Ledger, tariff: Tariff, span: tuple[int, int]) -> OwnPart | None:
    made, given = (_of_role(books, ledger, span, role) for role in ("own", "export"))
    if not len(made):
        return None
    starts, at = np.unique(np.concatenate([made.start_ns, given.start_ns]), return_inverse=True)
    generated, exported = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    np.add.at(generated, at[: len(made)], np.maximum(made.amount, 0))
    np.add.at(exported, at[len(made) :], np.maximum(given.amount, 0))
    own = own_power(generated, exported, np.zeros(len(starts), np.int64))
    avoided = _worth(starts, own.self_used, books, tariff)
    return OwnPart(int(generated.sum()), int(own.self_used.sum()), int(own.exported.sum()), avoided)


def _worth(starts: Times, used: Integers, books: Books, tariff: Tariff) -> int:
    spans = np.full(len(starts), books.interval_ns, np.int64)
    return int(cost(starts, spans, used, tariff, books.zone).by_interval(len(starts)).sum())


def _of_role(books: Books, ledger: Ledger, span: tuple[int, int], role: str) -> Entries:
    """Return the metered intervals of all electricity of a role, each stream once."""
    keys = {key for key, s in books.streams.items() if s.role == role and s.unit == "kWh" and s.virtual is None}
    found = one_of_each(ledger.lines, [n for n, line in ledger.lines.items() if line.stream in keys])
    return _rows(ledger, span, {number for numbers in found.values() for number in numbers})
