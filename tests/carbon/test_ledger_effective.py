"""Any order of appends: the last one of a line and start counts, and sums are those of the entries read."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.entries import Entries
from carbon.ledger import Ledger, Reason, verify
from carbon.ledger import effective as module
from carbon.ledger.codec import Body
from tests.carbon.ledger_parts import HOUR, as_rows, factor, hourly, line, meter

# (asset, hour, amount, factor, meter); a block holds each (asset, hour) once
Row = tuple[str, int, int, float, int]
rows = st.tuples(
    st.sampled_from("abc"), st.integers(-3, 30), st.integers(-(10**12), 10**12), st.sampled_from([0.5, 0.4403]),
    st.sampled_from([1, 2]),
)  # fmt: skip
blocks = st.lists(st.lists(rows, min_size=1, max_size=12, unique_by=lambda row: row[:2]), min_size=1, max_size=8)


def append(ledger: Ledger, block: Sequence[Row]) -> None:
    with ledger.writing() as w:
        parts = [
            hourly(w, [line(asset)], [hour * HOUR], [amount], factor(kg), meter(f"M{of}"))
            for asset, hour, amount, kg, of in block
        ]
        w.entries(Entries.join(parts), Reason("live"))


@settings(max_examples=40, deadline=None)
@given(blocks, st.lists(st.integers(-5, 32), min_size=2, max_size=6, unique=True), st.sampled_from([1, 3, 1 << 18]))
def test_last_wins_and_sums_are_of_what_is_read(written: list[list[Row]], edges: list[int], window: int) -> None:
    edges_ns = [edge * HOUR for edge in sorted(edges)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "WINDOW_ROWS", window)
        patch.setattr(module, "_MOST_GROUPS", 3)
        with Ledger.open(Path(folder), write=True) as ledger:
            expected: dict[tuple[int, str], Row] = {}
            for block in written:
                append(ledger, block)
                expected |= {(row[1], row[0]): row for row in block}
            read = [row for part in ledger.read() for row in as_rows(part)]
            names = {number: one.asset for number, one in ledger.lines.items()}
            found = [(row[0] // HOUR, names[row[2]], row[3]) for row in read]
            assert sorted(found) == sorted((hour, asset, row[2]) for (hour, asset), row in expected.items())
            assert [row[0] for row in read] == sorted(row[0] for row in read)
            _check_sums(ledger, edges_ns, read)
            some = [row for part in ledger.read(edges_ns[0], edges_ns[-1], lines={0, 2}) for row in as_rows(part)]
            assert some == [row for row in read if edges_ns[0] <= row[0] < edges_ns[-1] and row[2] in (0, 2)]
        assert verify(Path(folder)).problems == []


def _check_sums(ledger: Ledger, edges: list[int], read: list[tuple[int, ...]]) -> None:
    """Compare with sums made one entry at a time in Python's integers."""
    names = list(Entries.__slots__)
    sums = ledger.sums(edges)
    summed = [
        name for name in type(sums).__slots__ if name in names and name not in ("line", "factor", "meter", "peak")
    ]
    expected: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0] * (len(summed) + 1))
    for row in read:
        for period, (start, end) in enumerate(pairwise(edges)):
            if start <= row[0] < end:
                group = expected[row[2], period, row[names.index("factor")], row[names.index("meter")]]
                group[0] += 1
                for i, name in enumerate(summed, 1):
                    group[i] += row[names.index(name)]
    columns = [getattr(sums, name).tolist() for name in ("line", "period", "factor", "meter", "count", *summed)]
    found = {row[:4]: list(row[4:]) for row in zip(*columns, strict=True)}
    assert found == dict(expected)
    assert list(found) == sorted(found)
    assert all(getattr(sums, name).dtype == np.int64 for name in ("count", "co2e", *summed))


def test_the_highest_peak_of_a_period_is_found(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            entries = hourly(w, [line("a")] * 4, [0, HOUR, 2 * HOUR, 3 * HOUR], [1, 2, 3, 4])
            entries.peak[:] = [np.nan, 7.5, 3.0, np.nan]
            w.entries(entries, Reason("live"))
        np.testing.assert_array_equal(ledger.sums([0, 3 * HOUR, 4 * HOUR]).peak, np.array([7.5, np.nan], np.float32))


def test_a_block_without_winners_costs_its_keys_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        for amount in (1000, 2000):
            with ledger.writing() as w:
                w.entries(
                    hourly(w, [line("a")] * 9, [i * HOUR for i in range(9)], list(range(amount, amount + 9))),
                    Reason("live"),
                )
        decoded: list[str] = []
        plain = Body.column

        def column(body: Body, name: str) -> Any:
            decoded.append(name)
            return plain(body, name)

        monkeypatch.setattr(Body, "column", column)
        assert next(ledger.read()).amount.sum() == sum(range(2000, 2009))
        assert (decoded.count("start_ns"), decoded.count("co2")) == (2 + 1, 1)


def test_windows_hold_about_as_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of an hour, of a day and of a year side by side: no window holds much more than it should."""
    monkeypatch.setattr(module, "WINDOW_ROWS", 1000)
    hours = [(n, 50, n * HOUR, n * HOUR) for n in range(8760)]
    days = [(n, 480, n * 24 * HOUR, (n * 24 + 23) * HOUR) for n in range(365)]
    years = [(n, 8760, 0, 8759 * HOUR) for n in range(30)]
    table = np.array([*hours, *days, *years], np.int64)
    parts = module.windows(table, 0, 8760 * HOUR)
    assert [parts[0][0], parts[-1][1]] == [0, 8760 * HOUR]
    assert all(one[1] == other[0] for one, other in pairwise(parts))
    held = [(end - start) / HOUR * (50 + 20 + 30) for start, end in parts]
    assert max(held) < 1500
    assert len(parts) == pytest.approx(876, rel=0.02)


def test_nothing_is_summed_up_from_nothing(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        assert len(ledger.sums([0, HOUR])) == 0
        assert list(ledger.read()) == []
        append(ledger, [("a", 5, 1, 0.5, 1)])
        assert len(ledger.sums([0, HOUR])) == 0
        assert list(ledger.read(lines=[7])) == []
