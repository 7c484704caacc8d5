"""A table of exact integers → the figures printed, such that the parts shown add up to the totals shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbon.report.table import UNITS, Cell, Table


@dataclass(frozen=True, slots=True)
class Printed:
    """What is printed of a table: integers in the last place shown, where a column is of such a kind."""

    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...]


def nearest(value: int, step: int) -> int:
    """Return value / step, rounded to the nearest integer, halves away from zero."""
    whole = (2 * abs(value) + step) // (2 * step)
    return whole if value >= 0 else -whole


def add_up(parts: Sequence[int], total: int, step: int) -> list[int]:
    """Return the parts in steps so that they sum to `total` [steps], each as near as can be (largest remainders).

    Where the exact parts sum to what `total` was rounded from, no part is a whole step away from its own value.
    """
    shown = [part // step for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (shown[i] * step - parts[i], i))
    for turn in range(missing := total - sum(shown)):
        shown[order[turn % len(order)]] += 1
    for turn in range(-missing):
        shown[order[-1 - turn % len(order)]] -= 1
    return shown


def printed(table: Table) -> Printed:
    """Return the figures of a table as they are printed."""
    columns = [_column(table, i) for i in range(len(table.columns))]
    for index, column in enumerate(table.columns):
        if column.across:
            _agree(table, columns, index)
    totals = [
        sum(c for i in table.top() if isinstance(c := cells[i], int)) if table.total and column.adds else None
        for column, cells in zip(table.columns, columns, strict=True)
    ]
    return Printed(tuple(zip(*columns, strict=True)) if table.rows else (), tuple(totals))


def _column(table: Table, index: int) -> list[Cell]:
    column = table.columns[index]
    exact = [row.cells[index] for row in table.rows]
    if column.kind not in UNITS:
        return exact
    step = UNITS[column.kind].step
    cells: list[Cell] = [nearest(c, step) if isinstance(c, int) else c for c in exact]
    if column.adds:
        if table.rounds == "total" and table.total:
            total = dict(table.fixed).get(column.key, nearest(table.exact_total(index), step))
            _share(exact, cells, list(table.top()), total, step)
        for above in range(len(table.rows)):
            below = [i for i in table.children(above) if table.rows[i].counts]
            if below and isinstance(whole := cells[above], int):
                _share(exact, cells, below, whole, step)
    return cells


def _share(exact: Sequence[Cell], cells: list[Cell], places: Sequence[int], total: int, step: int) -> None:
    numbers = [(i, cell) for i in places if isinstance(cell := exact[i], int)]
    for (i, _), value in zip(numbers, add_up([n for _, n in numbers], total, step), strict=True):
        cells[i] = value


def _agree(table: Table, columns: list[list[Cell]], index: int) -> None:
    """Make a column and those it sums agree: its parts follow it where the table rounds across, else it follows."""
    parts = [(table.column(key.removeprefix("-")), -1 if key[0] == "-" else 1) for key in table.columns[index].across]
    step = UNITS[table.columns[index].kind].step
    for row, exact in enumerate(table.rows):
        here = [(p, sign) for p, sign in parts if isinstance(exact.cells[p], int)]
        if not here:
            continue
        if table.rounds == "across" and isinstance(total := columns[index][row], int):
            numbers = [cell for p, _ in here if isinstance(cell := exact.cells[p], int)]
            for (p, _), value in zip(here, add_up(numbers, total, step), strict=True):
                columns[p][row] = value
        else:
            columns[index][row] = sum(sign * c for p, sign in here if isinstance(c := columns[p][row], int))
