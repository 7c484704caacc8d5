"""Blocks that replaced entries of a period → what was corrected: when, by whom, why, and by how many kilograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from carbon.entries import Entries, Integers, Line
from carbon.ledger import Block, Ledger, Reason
from carbon.report.table import Cell, Column, Row, Table, word

_CORRECTIONS: Final = ("late", "restatement", "substitution", "allocation", "manual")
_REACH_NS: Final = 24 * 3_600_000_000_000  # entries of a block that lie further apart are compared piece by piece


@dataclass(slots=True)
class Change:
    """What the blocks of one reason and day changed in one month [mg]; location, market and parts of a meter."""

    reason: Reason
    month: int
    first_seq: int
    last_seq: int
    at_ns: int
    entries: int = 0
    before: Integers = field(default_factory=lambda: np.zeros(3, np.int64))
    after: Integers = field(default_factory=lambda: np.zeros(3, np.int64))


def changes(ledger: Ledger, edges_ns: Sequence[int], upto: int, zone: ZoneInfo) -> list[Change]:
    """Return every correction that touches [first edge, last edge), by the number of its first block."""
    found: dict[tuple[Reason, date | None, int], Change] = {}
    counts = _counts(ledger.lines)
    for block in ledger.blocks(0, upto):
        if block.reason is None or block.reason.kind not in _CORRECTIONS:
            continue
        day = None if block.reason.kind == "late" else datetime.fromtimestamp(block.at_ns // 10**9, zone).date()
        for month, count, before, after in _compare(ledger, block, edges_ns, counts):
            if block.reason.kind == "manual" and not before.any():
                continue  # the first word on something is no correction
            new = Change(block.reason, month, block.seq, block.seq, block.at_ns)
            change = found.setdefault((block.reason, day, month), new)
            change.last_seq, change.at_ns = block.seq, block.at_ns
            change.entries += count
            change.before += before
            change.after += after
    return sorted(found.values(), key=lambda c: (c.first_seq, c.month))


def _compare(
    ledger: Ledger, block: Block, edges_ns: Sequence[int], counts: Integers
) -> Iterator[tuple[int, int, Integers, Integers]]:
    """Yield (month, entries, before, after) of a block's entries that lie in the period."""
    new = block.entries()
    new = new.take((new.start_ns >= edges_ns[0]) & (new.start_ns < edges_ns[-1]))
    if not len(new):
        return
    month = np.searchsorted(np.asarray(edges_ns), new.start_ns, side="right") - 1
    after = counts[new.line] * new.co2e[:, None]
    before = np.zeros_like(after)
    ascending = np.sort(new.start_ns)
    breaks = np.flatnonzero(np.diff(ascending) > _REACH_NS) + 1
    for times in np.split(ascending, breaks):
        for old in ledger.read(int(times[0]), int(times[-1]) + 1, set(new.line.tolist()), block.seq - 1):
            _place(before, new, old, counts[old.line] * old.co2e[:, None])
    for number in np.unique(month).tolist():
        mine = month == number
        yield int(number), int(mine.sum()), before[mine].sum(axis=0), after[mine].sum(axis=0)


def _place(before: Integers, new: Entries, old: Entries, masses: Integers) -> None:
    """Put the masses of old entries where the new entry of the same line and start stands."""
    keys = np.empty(len(new), [("start", np.int64), ("line", np.int64)])
    keys["start"], keys["line"] = new.start_ns, new.line
    order = np.lexsort((new.line, new.start_ns))
    wanted = np.empty(len(old), keys.dtype)
    wanted["start"], wanted["line"] = old.start_ns, old.line
    ranked = keys[order]
    at = np.minimum(np.searchsorted(ranked, wanted), len(ranked) - 1)
    hit = ranked[at] == wanted
    before[order[at[hit]]] = masses[hit]


def _counts(lines: Mapping[int, Line]) -> Integers:
    """Return int64[lines, 3]: whether a line is part of the location total, of the market total, of a meter only."""
    counts = np.zeros((max(lines, default=0) + 1, 3), np.int64)
    for number, line in lines.items():
        top = line.role == "boundary" and line.scope > 0
        counts[number] = (
            top and (line.method != "market"),
            top and (line.method != "location" or line.scope != 2),
            line.role == "breakdown" and line.method != "market",
        )
    return counts


def table(found: Sequence[Change], labels: Sequence[Cell]) -> Table:
    """Return corrections by month: both versions of what was replaced, and the difference."""
    rows = []
    for change in found:
        reason = change.reason
        blocks = (
            str(change.first_seq) if change.first_seq == change.last_seq else f"{change.first_seq}–{change.last_seq}"
        )
        cells: tuple[Cell, ...] = (
            blocks, change.at_ns, word(f"reason.{reason.kind}"), labels[change.month], reason.text,
            reason.method, reason.by, reason.approved_by, change.entries,
        )  # fmt: skip
        before, after = change.before.tolist(), change.after.tolist()
        rows.append(Row((*cells, *_versions(before, after))))
    columns = (
        Column("blocks"), Column("written", "time"), Column("kind"), Column("month", "date"), Column("why"),
        Column("method"), Column("by"), Column("approved_by"), Column("entries", "count"),
        *_columns("location"), *_columns("market"), Column("parts_difference", "mass"),
    )  # fmt: skip
    return Table("restatements", columns, tuple(rows), total=False, wide=True, notes=(word("note.restatements"),))


def _versions(before: list[int], after: list[int]) -> list[Cell]:
    cells: list[Cell] = []
    for old, new in zip(before[:2], after[:2], strict=True):
        cells += [old, new, new - old]
    return [*cells, after[2] - before[2]]


def _columns(method: str) -> list[Column]:
    difference = Column(f"{method}_difference", "mass", (f"{method}_after", f"-{method}_before"))
    return [Column(f"{method}_before", "mass"), Column(f"{method}_after", "mass"), difference]
