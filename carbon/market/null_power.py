"""Own generation whose certificates were sold → the market-based factor of what is generated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np

from carbon.books import Books
from carbon.entries import MICRO, Entries, Integers, one_of_each
from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.ledger import Ledger, Reason
from carbon.local_time import first_day, midnight_ns, month_name, month_number, months
from carbon.market.own_generation import null_power, own_power
from carbon.restate import anew
from pipeline.batch import Times

Amounts = tuple[Times, Integers]  # beginnings of intervals, ascending, and mWh in each


def null_steps(
    made: Amounts, exported: Amounts, sold_mwh: Mapping[str, float], uncovered: FactorSteps, zone: ZoneInfo
) -> tuple[FactorSteps, tuple[str, ...]]:
    """Return (factor of a kWh generated, findings): between two edges kg = kg(uncovered) · null / generated.

    Null power is own use whose attribute was sold (`own_generation.null_power`); as a factor of all that was
    generated its amount × factor is what null power counts, and the energy stays that of own generation.
    """
    starts = np.union1d(made[0], exported[0])
    generated, given = (_on(starts, side) for side in (made, exported))
    own = own_power(np.maximum(generated, 0), np.maximum(given, 0), np.zeros(len(starts), np.int64))
    month = months(starts, zone)
    within = set(np.unique(month).tolist())
    sold = {month_number(name): round(mwh * 1_000 * MICRO) for name, mwh in sold_mwh.items()}
    null, findings = null_power(own, month, {m: amount for m, amount in sold.items() if m in within})
    edges = {midnight_ns(first_day(m + i), zone) for m in within for i in (0, 1)}
    cuts = np.union1d(np.array([EVER, *sorted(edges)], np.int64), uncovered.start_ns)
    period = np.searchsorted(cuts, starts, side="right") - 1
    found: list[tuple[int, Factor]] = []
    for i, cut in enumerate(cuts.tolist()):
        rows = period == i
        rest = uncovered.factors[int(uncovered.at(np.array([cut], np.int64))[0])]
        factor = _share(rest, int(null[rows].sum()), int(own.generated[rows].sum()), month[rows])
        if not found or found[-1][1] != factor:
            found.append((cut, factor))
    return steps(found), findings


def open_lines(books: Books, ledger: Ledger, span: tuple[int, int], reason: Reason) -> int:
    """Book own generation on its market-based line where it is not yet, at nothing; return how many entries.

    That certificates were sold is often learnt after the power was booked.
    """
    opened = 0
    for key, stream in books.streams.items():
        rules = [rule for rule in books.rules[key] if stream.role == "own" and rule[0].method == "market"]
        for line, factors in rules:
            with ledger.writing() as w:
                number, known = w.line(line), one_of_each(ledger.lines, _of(ledger, key, line.key))
                rows = Entries.join(list(ledger.read(*span, known.get(key, []))))
                there = Entries.join(list(ledger.read(*span, {number})))
                rows = rows.take(~np.isin(rows.start_ns, there.start_ns))
                w.entries(replace(anew(rows, factors, w), line=np.full(len(rows), number, np.int32)), reason)
            opened += len(rows)
    return opened


def _of(ledger: Ledger, stream: str, without: str) -> list[int]:
    return [n for n, line in ledger.lines.items() if line.stream == stream and line.key != without]


def _on(starts: Times, side: Amounts) -> Integers:
    amounts = np.zeros(len(starts), np.int64)
    amounts[np.searchsorted(starts, side[0])] = side[1]
    return amounts


def _share(rest: Factor, null: int, generated: int, month: Integers) -> Factor:
    """Return the factor of a kWh generated of which the share null/generated lost its attribute."""
    said = rest.provenance
    if not null:
        about = replace(said, publication="own generation whose attributes were kept", variant="exact")
        return replace(rest.scaled(0.0, "kWh"), id="null_power/none", provenance=about, uncertainty=None)
    share = null / generated
    about = replace(
        said, publication=f"certificates of {null / MICRO / 1_000:,.6f} MWh of own use were sold: {share:.4%} of what "
        f"was generated at {rest.total:g} kg/kWh: {rest.id}, {said.publication}",
    )  # fmt: skip
    made = rest.scaled(share, "kWh")
    return replace(made, kwh=0.0, id=f"null_power/{month_name(int(month[0]))}/{rest.id}", provenance=about)
