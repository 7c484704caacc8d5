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


def counts(table: SeriesTable, latest: Latest, asset: str = "") -> dict[str, int]:
    """Return how many alerts fire by severity, and how many are pending; of one asset or of all."""
    found = dict(_NONE)
    for spec, state in states(table, latest):
        tags = dict(spec.tags)
        if not asset or tags.get("asset") == asset:
            found["pending"] += state == PENDING
            if state == FIRING:
                found[tags["severity"]] += 1
    return found
