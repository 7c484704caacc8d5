"""The newest states of all alerts → how many fire by severity, and how many may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.latest import Latest
from pipeline.series import SeriesTable, Spec

PENDING: Final = 1
FIRING: Final = 2
_NONE: Final = {"critical": 0, "warning": 0, "info": 0, "pending": 0}


def states(table: SeriesTable, latest: Latest) -> Iterator[tuple[Spec, int]]:
    """Yield the series of each alert with its state, 0 for one that has never turned."""
    for number, spec in enumerate(table.specs):
        if spec is not None and spec.like.quantity == "alert":
            yield spec, int(latest.value[number]) if latest.time_ns[number] else 0


def counts(table: SeriesTable, latest: Latest) -> dict[str, int]:
    """Return how many alerts fire by severity, and how many are pending."""
    total = dict(_NONE)
    for of_asset in counts_by_asset(table, latest).values():
        for name, number in of_asset.items():
            total[name] += number
    return total


def counts_by_asset(table: SeriesTable, latest: Latest) -> dict[str, dict[str, int]]:
    """Return the same of each asset that has alerts."""
    found: dict[str, dict[str, int]] = {}
    for spec, state in states(table, latest):
        tags = dict(spec.tags)
        mine = found.setdefault(tags["asset"], dict(_NONE))
        mine["pending"] += state == PENDING
        if state == FIRING:
            mine[tags["severity"]] += 1
    return found
