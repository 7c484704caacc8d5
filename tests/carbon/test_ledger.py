"""Entries, definitions, documents and the cursor in the ledger: what was appended is what is read."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carbon.entries import Entries
from carbon.ledger import Head, Ledger, Reason, verify
from carbon.ledger.codec import MAX_ROWS, Body, encode
from carbon.ledger.file import GENESIS
from carbon.ledger.writing import LONG_ROWS
from config.errors import GatewayError, Unavailable
from tests.carbon.ledger_parts import DAY, HOUR, as_rows, factor, hourly, line, meter

LIVE, LATE = Reason("live"), Reason("late", "came after the hour", "gateway")


def test_reads_what_was_appended_by_start_and_line(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            first = hourly(w, [line("a"), line("b")], [HOUR, 0], [10, 20], measured_by=meter())
            seq = w.entries(first, LIVE)
        # 10 and 20 · 1e-6 kWh at 0.5 kg/kWh are 5 and 10 mg.
        (read,) = ledger.read()
        assert (seq, read.start_ns.tolist(), read.line.tolist(), read.co2.tolist()) == (2, [0, HOUR], [1, 0], [10, 5])
        assert ledger.lines == {0: line("a"), 1: line("b")}
        assert ledger.factors == {0: factor()}
        assert ledger.meters == {0: meter()}
        assert [block.kind for block in ledger.blocks()] == ["define", "entries"]
    with Ledger.open(tmp_path) as again:
        assert as_rows(next(again.read())) == as_rows(read)
        assert again.lines == {0: line("a"), 1: line("b")}


def test_the_latest_block_is_effective_and_older_ones_stay(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            first = w.entries(hourly(w, [line("a")] * 2, [0, HOUR], [10, 20]), LIVE)
        with ledger.writing() as w:
            second = w.entries(hourly(w, [line("a")], [HOUR], [25]), LATE)
        assert [e.amount.tolist() for e in ledger.read()] == [[10, 25]]
        assert [e.amount.tolist() for e in ledger.read(upto=first)] == [[10, 20]]
        versions = ledger.versions(0, HOUR)
        assert [(v.seq, v.reason, v.entry.amount.tolist()) for v in versions] == [
            (first, LIVE, [20]), (second, LATE, [25]),
        ]  # fmt: skip
        assert ledger.versions(0, 2 * HOUR) == []


def test_what_is_equal_has_one_number_in_every_process(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as one, Ledger.open(tmp_path, write=True) as other:
        with one.writing() as w:
            assert [w.line(line("a")), w.line(line("b")), w.line(line("a"))] == [0, 1, 0]
        with other.writing() as w:
            assert [w.line(line("b")), w.line(line("c")), w.factor(factor())] == [1, 2, 0]
        assert one.lines == other.lines == {0: line("a"), 1: line("b"), 2: line("c")}
        assert [block.kind for block in one.blocks()] == ["define", "define"]


def test_an_exception_takes_everything_back(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with pytest.raises(ZeroDivisionError):
            _fail(ledger)
        assert (ledger.head(), ledger.cursor(), dict(ledger.lines)) == (Head(0, GENESIS.hex()), (0, b""), {})
        with ledger.writing() as w:
            assert w.line(line("b")) == 0
    assert verify(tmp_path).ok


def _fail(ledger: Ledger) -> None:
    with ledger.writing() as w:
        w.entries(hourly(w, [line("a")], [0], [10]), LIVE)
        w.cursor(7, b"state")
        raise ZeroDivisionError


def test_the_cursor_is_written_with_its_entries(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        for position in (5, 9):
            with ledger.writing() as w:
                w.cursor(position, b"state %d" % position)
        assert ledger.cursor() == (9, b"state 9")
        assert ledger.head().seq == 0


def test_documents_are_kept_in_order(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            assert [w.document({"what": "invoice"}), w.document({"what": "certificate"})] == [1, 2]
        assert ledger.documents() == [{"what": "invoice", "seq": 1}, {"what": "certificate", "seq": 2}]
        assert next(ledger.blocks()).data() == {"what": "invoice"}


def test_a_line_whose_asset_moved_is_still_one_line(tmp_path: Path) -> None:
    """An hour booked again after the move replaces the one booked before it, though the line has a new number."""
    moved = replace(line("a"), area="yard", role="breakdown")
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            w.entries(hourly(w, [line("a"), line("b"), line("a")], [0, 0, HOUR], [10, 20, 30]), LIVE)
        with ledger.writing() as w:
            w.entries(hourly(w, [moved, moved], [HOUR, 2 * HOUR], [35, 40]), LATE)
        (read,) = ledger.read()
        assert (read.line.tolist(), read.amount.tolist()) == ([0, 1, 2, 2], [10, 20, 35, 40])
        assert ledger.sums([0, DAY]).amount.tolist() == [10, 20, 75]
        for number, amounts in ((0, [[10]]), (2, [[35, 40]]), (7, [])):
            assert [part.amount.tolist() for part in ledger.read(lines=[number])] == amounts
            assert [v.entry.amount.tolist() for v in ledger.versions(number, HOUR)] == ([[30], [35]] if amounts else [])
    assert verify(tmp_path).ok


def test_longer_entries_stand_beside_hourly_ones(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            month = hourly(w, [line("invoice")], [0], [720])
            month.span_ns[:] = month.covered_ns[:] = 30 * DAY
            w.entries(month, Reason("manual", "invoice 7", "Li", "Wang"))
            w.entries(hourly(w, [line("a")] * 3, [0, HOUR, 2 * HOUR], [1, 2, 3]), LIVE)
        assert [e.amount.tolist() for e in ledger.read(0, HOUR)] == [[720, 1]]
        assert [e.amount.tolist() for e in ledger.read(HOUR, DAY)] == [[2, 3]]
    assert verify(tmp_path).ok


def test_many_entries_are_split_over_blocks(tmp_path: Path) -> None:
    rows = MAX_ROWS + 10
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            w.entries(hourly(w, [line("a")] * rows, [i * 1000 for i in range(rows)], list(range(rows))), LIVE)
        assert [block.rows for block in ledger.blocks(1)] == [MAX_ROWS, 10]
        read = Entries.join(list(ledger.read()))
        np.testing.assert_array_equal(read.amount, np.arange(rows))


def test_many_entries_of_a_long_time_stand_in_shorter_blocks(tmp_path: Path) -> None:
    """20 lines have 14,880 entries in a month of 31 days; one has its year in three blocks of at most 4,096."""
    hours = list(range(60 * 24))
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            names = [line(f"m{i}") for i in range(20) for _ in hours]
            w.entries(hourly(w, names, [h * HOUR for h in hours] * 20, [1] * len(names)), LIVE)
        with ledger.writing() as w:
            year = list(range(8760))
            w.entries(hourly(w, [line("m1")] * 8760, [h * HOUR for h in year], year), LATE)
        rows = [block.rows for block in ledger.blocks() if block.kind == "entries"]
        assert rows == [31 * 24 * 20, 29 * 24 * 20, LONG_ROWS, LONG_ROWS, 568]
        assert sum(int(part.amount.sum()) for part in ledger.read(lines=[1])) == sum(year)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("co2", 6, "co2 of a.electricity/2/purchased_electricity/location does not follow"),
        ("energy", 11, "energy of a.electricity/2/purchased_electricity/location does not follow"),
        ("biogenic", 1, "biogenic of"),
        ("line", 1, "names a line that is not defined"),
        ("factor", 3, "names a factor that is not defined"),
        ("meter", -2, "names a meter that is not defined"),
        ("span_ns", 0, "spans no time"),
        ("covered_ns", HOUR + 1, "more time than it spans"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, column: str, value: int, words: str) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            entries = hourly(w, [line("a")], [0], [10])
        getattr(entries, column)[:] = value
        with pytest.raises(ValueError, match=words), ledger.writing() as w:
            w.entries(entries, LIVE)
        assert ledger.head().seq == 1  # the definitions


def test_two_entries_of_one_line_and_start_are_refused(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger, ledger.writing() as w:
        entries = hourly(w, [line("a")] * 2, [0, 0], [1, 2])
        with pytest.raises(ValueError, match="one line and start"):
            w.entries(entries, LIVE)


def test_one_process_writes_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carbon.ledger.file._BUSY_S", 0.01)
    with Ledger.open(tmp_path, write=True) as one, Ledger.open(tmp_path, write=True) as other:
        with one.writing() as w:
            w.line(line("a"))
            with pytest.raises(Unavailable, match="written by another process"), other.writing():
                pass
        with other.writing() as w:
            assert w.line(line("a")) == 0


def test_a_reader_does_not_hold_up_the_writer(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            for hour in range(3):
                w.entries(hourly(w, [line("a")], [hour * HOUR], [10]), LIVE)
        with Ledger.open(tmp_path) as reader:
            parts, blocks = reader.read(), reader.blocks()
            next(parts), next(blocks)
            with ledger.writing() as w:
                w.entries(hourly(w, [line("a")], [9 * HOUR], [10]), LIVE)
            assert list(parts) == []  # as it stood when reading began
            assert [block.seq for block in blocks] == [2, 3, 4]


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "new", write=True):
        assert (tmp_path / "new" / "ledger.db").stat().st_mode & 0o777 == 0o600


def test_what_is_no_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="holds no ledger yet"):
        Ledger.open(tmp_path)
    (tmp_path / "ledger.db").write_bytes(b"")
    with pytest.raises(GatewayError, match="holds no ledger yet"):
        Ledger.open(tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("CREATE TABLE something (x)")
    other.close()
    with pytest.raises(GatewayError, match="is not a ledger"):
        Ledger.open(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    Ledger.open(tmp_path, write=True).close()
    with sqlite3.connect(tmp_path / "ledger.db") as other:
        other.execute("PRAGMA user_version=2")
    other.close()
    with pytest.raises(GatewayError, match="format 2; this version reads 1"):
        Ledger.open(tmp_path, write=True)


def test_columns_of_a_block_are_stored_once() -> None:
    """Constant and repeated columns cost their names only, so that an hour of ten meters stays below a kilobyte."""
    random = np.random.default_rng(1)
    rows, zero = 10, np.zeros(10, np.int64)
    amount = random.integers(10**6, 10**8, rows)
    entries = Entries(
        zero, zero + HOUR, np.arange(rows, dtype=np.int32), amount, amount, zero, zero, zero + HOUR,
        np.zeros(rows, np.int32), np.arange(rows, dtype=np.int32), amount // 2, zero, zero, zero, zero, zero,
        np.zeros(rows, np.uint16), np.full(rows, np.nan, np.float32),
    )  # fmt: skip
    stored = encode(entries, LIVE)
    assert len(stored) < 1024
    assert as_rows(Body(stored).entries()) == as_rows(entries)
