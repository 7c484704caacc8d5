"""Exact integers → printed figures that add up, whatever they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.report.rounding import add_up, nearest, printed
from carbon.report.table import UNITS, Column, Row, Table

STEP = UNITS["mass"].step
masses = st.integers(-(10**13), 10**13)


@given(st.lists(masses, min_size=1, max_size=30))
def test_parts_sum_to_the_rounded_total_and_none_is_a_step_away(parts: list[int]) -> None:
    total = nearest(sum(parts), STEP)
    shown = add_up(parts, total, STEP)
    assert sum(shown) == total
    assert all(abs(s * STEP - p) < 2 * STEP for s, p in zip(shown, parts, strict=True))


def test_three_thirds_are_one() -> None:
    # 0.3334 + 0.3333 + 0.3333 kg = 1 kg: the largest remainder takes the kilogram.
    assert add_up([333_400, 333_300, 333_300], 1, STEP) == [1, 0, 0]
    assert add_up([-500_000, 500_000], 0, STEP) == [0, 0]
    assert (nearest(500_000, STEP), nearest(-500_000, STEP), nearest(499_999, STEP)) == (1, -1, 0)


@given(st.lists(st.tuples(masses, masses, st.lists(st.tuples(masses, masses), max_size=4)), min_size=1, max_size=6))
def test_a_table_adds_up_as_printed(parts: list[tuple[int, int, list[tuple[int, int]]]]) -> None:
    rows = []
    for a, b, below in parts:
        cells = [("part", x, y, x + y) for x, y in below]
        top = (a, b) if not below else (sum(x for x, _ in below), sum(y for _, y in below))
        rows += [Row(("whole", *top, sum(top)), 0), *(Row(c, 1) for c in cells)]
    for rounds in ("total", "rows"):
        columns = Column("source"), Column("co2", "mass"), Column("ch4", "mass"), Column("co2e", "mass", ("co2", "ch4"))
        table = Table("t", columns, tuple(rows), total=True, rounds=rounds)  # type: ignore[arg-type]
        figures = printed(table)
        for place in (1, 2, 3):
            column = [row[place] for row in figures.rows]
            assert figures.total[place] == sum(column[i] for i in table.top())  # type: ignore[misc]
            for above, row in enumerate(table.rows):
                if row.depth == 0 and (below := list(table.children(above))):
                    assert column[above] == sum(column[i] for i in below)  # type: ignore[misc]
        assert all(row[3] == row[1] + row[2] for row in figures.rows)  # type: ignore[operator]


@given(st.lists(st.tuples(masses, masses), min_size=1, max_size=8))
def test_gases_follow_their_sum_where_the_table_rounds_across(parts: list[tuple[int, int]]) -> None:
    columns = Column("source"), Column("co2", "mass"), Column("ch4", "mass"), Column("co2e", "mass", ("co2", "ch4"))
    rows = tuple(Row(("x", a, b, a + b)) for a, b in parts)
    figures = printed(Table("t", columns, rows, total=True, rounds="across"))
    for row, (a, b) in zip(figures.rows, parts, strict=True):
        assert row[3] == nearest(a + b, STEP) == row[1] + row[2]  # type: ignore[operator]


def test_a_difference_is_that_of_what_is_printed() -> None:
    columns = Column("before", "mass"), Column("after", "mass"), Column("change", "mass", ("after", "-before"))
    figures = printed(Table("t", columns, (Row((400_000, 1_600_000, 1_200_000)),)))
    assert figures.rows == ((0, 2, 2),)
