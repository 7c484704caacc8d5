"""Entries before a restatement and their new versions → what it changes, by line and month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import MICRO, Entries, Integers, Line
from carbon.ledger import Head, Reason
from carbon.local_time import month_name, months

Rows = npt.NDArray[np.int64]
_SIDES: Final = ("amount", "energy", "co2e", "biogenic")
_UNITS: Final = {"amount": "amount", "energy": "energy_kwh", "co2e": "co2e_kg", "biogenic": "biogenic_kg"}


@dataclass(slots=True)
class Difference:
    """What a restatement changes, by line number and month (from January 1970 = 0) [1e-6 unit, mWh, mg]."""

    reason: Reason
    before: Head
    after: Head
    sums: dict[tuple[int, int], Integers] = field(default_factory=dict)  # entries, changed, sides before, changes

    @property
    def entries(self) -> int:
        """How many entries there were in the span."""
        return sum(int(row[0]) for row in self.sums.values())

    @property
    def changed(self) -> int:
        """How many of them have a new version."""
        return sum(int(row[1]) for row in self.sums.values())

    def add(self, zone: ZoneInfo, before: Entries, changes: list[tuple[Rows, Entries]]) -> None:
        """Count entries as they were and their new versions."""
        columns = np.zeros((len(before), 2 + 2 * len(_SIDES)), np.int64)
        columns[:, 0] = 1
        for i, side in enumerate(_SIDES, 2):
            columns[:, i] = getattr(before, side)
            for rows, after in changes:
                columns[rows, i + len(_SIDES)] = getattr(after, side) - columns[rows, i]
        for rows, _ in changes:
            columns[rows, 1] = 1
        key = months(before.start_ns, zone) * (1 << 32) + before.line
        order = np.argsort(key, kind="stable")
        first = np.flatnonzero(np.append(True, np.diff(key[order]) != 0))
        for at, row in zip(key[order[first]].tolist(), np.add.reduceat(columns[order], first), strict=True):
            where = (at & 0xFFFF_FFFF, at >> 32)
            self.sums[where] = self.sums.get(where, 0) + row

    def rows(self, lines: Mapping[int, Line]) -> list[dict[str, Any]]:
        """Return one row a line and month in which anything changed, values in units, kWh and kg."""
        return [
            {"line": lines[line].key, "month": month_name(month), "unit": lines[line].unit, **_told(row)}
            for (line, month), row in sorted(self.sums.items())
            if row[1]
        ]

    def to_json(self, lines: Mapping[int, Line]) -> dict[str, Any]:
        """Return the difference as JSON-ready data."""
        reason = {"kind": self.reason.kind, "text": self.reason.text, "by": self.reason.by}
        heads = {"head_before": str(self.before), "head_after": str(self.after)}
        return {"reason": reason, **heads, "entries": self.entries, "changed": self.changed, "lines": self.rows(lines)}


def _told(row: Integers) -> dict[str, Any]:
    told: dict[str, Any] = {"entries": int(row[0]), "changed": int(row[1])}
    for i, side in enumerate(_SIDES, 2):
        before, change = int(row[i]), int(row[i + len(_SIDES)])
        told |= {f"{_UNITS[side]}_before": before / MICRO, f"{_UNITS[side]}_after": (before + change) / MICRO}
    return told
