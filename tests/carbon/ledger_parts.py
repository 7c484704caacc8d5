"""Small lines, factors and entries for tests of the ledger, and everything a ledger can be asked at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from carbon.compute import compute
from carbon.entries import Activity, Entries, Line, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Writing
from pipeline.factors import Provenance

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


def line(asset: str, method: str = "location") -> Line:
    return Line(
        f"{asset}.electricity", asset, "hall", "meter", "electricity", "kWh", "boundary", 2, "purchased_electricity",
        method,  # type: ignore[arg-type]
    )  # fmt: skip


def factor(kg: float = 0.5, year: int = 2023, what: str = "CN-GD/location_average", variant: Any = "exact") -> Factor:
    said = Provenance("mee-nbs", "a publication", year, f"{year + 2}-01-01", "co2", "a source", variant)
    return Factor(f"mee-nbs/{what}/{year}", "kWh", (kg, 0.0, 0.0, 0.0, 0.0), 1.0, said)


def meter(name: str = "M1", ratio: float = 80.0) -> MeterVersion:
    return MeterVersion(name, 1, f"serial of {name}", ratio, 0.01)


def hourly(
    w: Writing, lines: list[Line], start_ns: list[int], amounts: list[int],
    of: Factor | None = None, measured_by: MeterVersion | None = None, quality: int = 0,
) -> Entries:  # fmt: skip
    """Return entries of one hour each; lists run together."""
    activity = Activity.make(start_ns, HOUR, np.zeros(len(start_ns)), amounts, quality=quality)
    numbers = [w.line(one) for one in lines]
    steps = FactorSteps.constant(of or factor())
    return compute(activity, numbers, steps, w.factor, -1 if measured_by is None else w.meter(measured_by))


def as_rows(entries: Entries) -> list[tuple[Any, ...]]:
    """Return entries as comparable rows (NaN as None)."""
    columns = [getattr(entries, name).tolist() for name in Entries.__slots__]
    return [tuple(None if v != v else v for v in row) for row in zip(*columns, strict=True)]


def everything(folder: Path) -> Any:
    """Return the answer to every question a ledger can be asked."""
    with Ledger.open(folder) as ledger:
        read = [row for part in ledger.read() for row in as_rows(part)]
        sums = ledger.sums([0, DAY, 365 * DAY])
        firsts = sorted({(row[2], row[0]) for row in read})
        versions = [(v.seq, v.reason, as_rows(v.entry)) for key in firsts for v in ledger.versions(*key)]
        return (
            ledger.head(), ledger.cursor(), dict(ledger.lines), dict(ledger.factors), dict(ledger.meters),
            orjson.dumps(ledger.documents()), read, versions, list(ledger.blocks()),
            [getattr(sums, name).tolist() for name in type(sums).__slots__ if name != "peak"],
        )  # fmt: skip
