"""Corrected factors and meters: exactly what they concern gets a new version, and doing it twice changes nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.entries import MICRO, Entries
from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.ledger import Ledger, Reason, verify
from carbon.restate import Correction, Span, multiply, restate_activity, restate_factors
from pipeline import quality as q
from tests.carbon.ledger_parts import DAY, HOUR, as_rows, factor, hourly, line, meter

UTC_ZONE, SHANGHAI = ZoneInfo("UTC"), ZoneInfo("Asia/Shanghai")
NEW, RATIO = Reason("restatement", "factor of 2024", "Li"), Reason("restatement", "plate says 300/5", "Li", "Wang")


def at(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc, arg-type]


def book(folder: Path, hours: int, start_ns: int = 0) -> Ledger:
    """Book `hours` of two assets under two methods, measured by one meter each, and one that nobody measures."""
    ledger = Ledger.open(folder, write=True)
    with ledger.writing() as w:
        for hour in range(hours):
            parts = [
                hourly(w, [line(asset, method)], [start_ns + hour * HOUR], [(hour + 1) * 4_000_003], factor(kg), by)
                for asset, by in (("a", meter("A")), ("b", meter("B", 1.0)), ("c", None))
                for method, kg in (("location", 0.5), ("market", 0.6))
            ]
            w.entries(Entries.join(parts), Reason("live"))
    return ledger


def numbers(ledger: Ledger, asset: str = "", method: str = "") -> set[int]:
    return {
        n
        for n, one in ledger.lines.items()
        if one.asset in (asset or one.asset) and one.method in (method or one.method)
    }


def rows(ledger: Ledger, lines: set[int], upto: int | None = None) -> list[tuple[object, ...]]:
    return [row for part in ledger.read(lines=lines, upto=upto) for row in as_rows(part)]


# ── factors ───────────────────────────────────────────────────────────────────────────────────────


def test_a_new_factor_restates_its_lines_and_nothing_else(tmp_path: Path) -> None:
    """Hour 1 of a: 4.000003 kWh · 0.5 kg/kWh = 2.0000015 kg → 2,000,002 mg (half to even); at 0.25: 1,000,001 mg."""
    with book(tmp_path, 48) as ledger:
        before, location = ledger.head(), numbers(ledger, method="location")
        others = numbers(ledger) - location
        kept, old = rows(ledger, others), rows(ledger, location)
        new = FactorSteps.constant(factor(0.25, 2024))
        found = restate_factors(ledger, dict.fromkeys(location, new), Span(0, 24 * HOUR, UTC_ZONE), NEW)
        assert (found.entries, found.changed) == (72, 72)
        assert rows(ledger, others) == kept
        assert rows(ledger, location, upto=before.seq) == old
        assert rows(ledger, location)[72:] == old[72:]
        (first, *_), (second, *_) = (ledger.read(0, HOUR, location), ledger.read(0, HOUR, location, upto=before.seq))
        assert (second.co2.tolist(), first.co2.tolist()) == ([2_000_002] * 3, [1_000_001] * 3)
        for name in ("amount", "energy", "meter", "estimated", "covered_ns"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert ledger.versions(min(location), 0)[-1].reason == NEW
        assert (found.before, found.after) == (before, ledger.head())
    assert verify(tmp_path, before).ok


def test_restating_with_the_same_factors_appends_nothing(tmp_path: Path) -> None:
    with book(tmp_path, 48) as ledger:
        given = {
            n: steps([(EVER, factor(0.5)), (24 * HOUR, factor(0.4, 2024))]) for n in numbers(ledger, method="location")
        }
        span = Span(0, 48 * HOUR, UTC_ZONE)
        assert restate_factors(ledger, given, span, NEW).changed == 72  # the second day; the first has its factor
        head = ledger.head()
        again = restate_factors(ledger, given, span, NEW)
        assert (again.changed, again.entries, ledger.head()) == (0, 144, head)
        assert again.rows(ledger.lines) == []


def test_a_dry_run_tells_the_same_and_writes_nothing(tmp_path: Path) -> None:
    with book(tmp_path, 30) as ledger:
        given = dict.fromkeys(numbers(ledger, "a"), FactorSteps.constant(factor(0.4, 2024)))
        head, span = ledger.head(), Span(0, 30 * HOUR, SHANGHAI)
        tried = restate_factors(ledger, given, span, NEW, dry_run=True)
        assert (ledger.head(), len(ledger.factors)) == (head, 2)
        done = restate_factors(ledger, given, span, NEW)
        assert tried.rows(ledger.lines) == done.rows(ledger.lines)
        assert tried.changed == done.changed == 60


def test_factors_of_their_own_are_kept(tmp_path: Path) -> None:
    with book(tmp_path, 5) as ledger:
        given = dict.fromkeys(numbers(ledger), FactorSteps.constant(factor(0.4, 2024)))

        def replaces(one: Factor) -> bool:
            return one.kg[0] == 0.5

        found = restate_factors(ledger, given, Span(0, DAY, UTC_ZONE), NEW, replaces=replaces)
        assert (found.entries, found.changed) == (30, 15)


@pytest.mark.parametrize(
    ("quality", "before", "after"),
    [
        (q.GOOD, q.FACTOR_FALLBACK | q.UNCERTAIN, q.GOOD),
        (q.LATE, q.FACTOR_FALLBACK | q.LATE | q.UNCERTAIN, q.LATE | q.UNCERTAIN),  # may have been so for being late
        (q.BAD | q.RANGE, q.FACTOR_FALLBACK | q.BAD | q.RANGE, q.BAD | q.RANGE),
    ],
)
def test_the_mark_of_a_fallback_goes_with_the_fallback(tmp_path: Path, quality: int, before: int, after: int) -> None:
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            entries = hourly(w, [line("a")], [0], [10], factor(variant="fallback"), quality=quality)
            w.entries(entries, Reason("live"))
        (booked,) = ledger.read()
        restate_factors(ledger, {0: FactorSteps.constant(factor())}, Span(0, DAY, UTC_ZONE), NEW)
        (restated,) = ledger.read()
        assert (booked.quality.tolist(), restated.quality.tolist()) == ([before], [after])


def test_the_difference_is_told_by_line_and_month_of_the_site(tmp_path: Path) -> None:
    """The last hour before 2025-02-01 in Shanghai begins at 15:00 UTC on January 31st: one hour in each month."""
    with book(tmp_path, 2, at(2025, 1, 31, 15)) as ledger:
        given = dict.fromkeys(numbers(ledger, "a", "location"), FactorSteps.constant(factor(0.25, 2024)))
        found = restate_factors(ledger, given, Span(at(2025, 1, 1), at(2025, 3, 1), SHANGHAI), NEW)
        told = found.to_json(ledger.lines)
    assert [(row["month"], row["co2e_kg_before"], row["co2e_kg_after"]) for row in told["lines"]] == [
        ("2025-01", 2.000002, 1.000001), ("2025-02", 4.000003, 2.000002),
    ]  # fmt: skip
    assert told["lines"][0] == {
        "line": "a.electricity/2/purchased_electricity/location", "month": "2025-01", "unit": "kWh", "entries": 1,
        "changed": 1, "amount_before": 4.000003, "amount_after": 4.000003, "energy_kwh_before": 4.000003,
        "energy_kwh_after": 4.000003, "co2e_kg_before": 2.000002, "co2e_kg_after": 1.000001,
        "biogenic_kg_before": 0.0, "biogenic_kg_after": 0.0,
    }  # fmt: skip
    assert told["head_before"] == str(found.before) != told["head_after"] == str(found.after)


# ── activity ──────────────────────────────────────────────────────────────────────────────────────

THREE_QUARTERS = Fraction(300, 5) / Fraction(400, 5)


def correct(ledger: Ledger, span: Span, name: str = "A", by: Fraction = THREE_QUARTERS):  # type: ignore[no-untyped-def]
    old = {n: m for n, m in ledger.meters.items() if m.meter == name and m.ratio == 80.0}
    corrections = {n: Correction(replace(m, ratio=m.ratio * float(by)), by) for n, m in old.items()}
    return restate_activity(ledger, numbers(ledger), corrections, span, RATIO)


def test_a_ratio_typed_as_400_to_5_for_90_days_becomes_a_quarter_less(tmp_path: Path) -> None:
    days, hours = 120, 120 * 24
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            time, amounts = [h * HOUR for h in range(hours)], [(1000 + h % 24) * 4 * MICRO for h in range(hours)]
            for asset, by in (("a", meter("A")), ("b", meter("B"))):
                for method in ("location", "market"):
                    w.entries(hourly(w, [line(asset, method)] * hours, time, amounts, factor(), by), Reason("live"))
        before, mine = ledger.head(), numbers(ledger, "a")
        span = Span(10 * DAY, 100 * DAY, UTC_ZONE)
        found = correct(ledger, span)
        assert (found.changed, found.entries) == (2 * 90 * 24, 4 * 90 * 24)
        edges = [0, span.start_ns, span.end_ns, days * DAY]
        old, new = ledger.sums(edges, upto=before.seq), ledger.sums(edges)
        for sums, share in ((old, 4), (new, 3)):
            inside = sums.take(np.isin(sums.line, sorted(mine)) & (sums.period == 1))
            reference = old.take(np.isin(old.line, sorted(mine)) & (old.period == 1))
            for name in ("amount", "energy", "co2"):
                assert getattr(inside, name).tolist() == [v * share // 4 for v in getattr(reference, name).tolist()]
        outside = [s.take(~(np.isin(s.line, sorted(mine)) & (s.period == 1))) for s in (old, new)]
        assert outside[0].co2.tolist() == outside[1].co2.tolist()
        assert rows(ledger, mine, upto=before.seq) != rows(ledger, mine)
        versions = ledger.versions(min(mine), 50 * DAY)
        assert [ledger.meters[int(v.entry.meter[0])].ratio for v in versions] == [80.0, 60.0]
        assert [v.entry.amount[0] for v in versions] == [4000 * MICRO, 3000 * MICRO]
        head = ledger.head()
        assert correct(ledger, span).changed == 0
        assert ledger.head() == head
    assert verify(tmp_path, before).ok


def test_an_interrupted_correction_is_finished_by_doing_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.ledger.effective.WINDOW_ROWS", 12)  # two hours a transaction
    whole, halted = tmp_path / "whole", tmp_path / "halted"
    span = Span(0, 12 * HOUR, UTC_ZONE)

    def halt(done: int, of: int) -> None:
        if done == of // 2:
            raise KeyboardInterrupt

    with book(whole, 12) as one, book(halted, 12) as other:
        correct(one, span)
        corrections = {0: Correction(replace(meter("A"), ratio=60.0), THREE_QUARTERS)}
        with pytest.raises(KeyboardInterrupt):
            restate_activity(other, numbers(other), corrections, span, RATIO, progress=halt)
        done = {e.meter.tolist()[0] for e in other.read(lines=numbers(other, "a"))}
        assert done == {0, 2}  # some of both
        correct(other, span)
        assert rows(one, numbers(one)) == rows(other, numbers(other))
    assert verify(halted).ok


def test_parts_stay_within_the_whole(tmp_path: Path) -> None:
    """7 of which 1 estimated and 6 substituted, · 3/4: 5.25 → 5, 0.75 → 1, 4.5 → 4; never 1 + 5."""
    with Ledger.open(tmp_path, write=True) as ledger:
        with ledger.writing() as w:
            entries = hourly(w, [line("a")], [0], [7], measured_by=meter("A"))
            entries.estimated[:], entries.substituted[:], entries.peak[:] = 1, 6, 8.0
            w.entries(entries, Reason("live"))
        correct(ledger, Span(0, DAY, UTC_ZONE))
        (found,) = ledger.read()
        assert [getattr(found, n)[0] for n in ("amount", "estimated", "substituted", "peak")] == [5, 1, 4, 6.0]


fractions = st.fractions(min_value=0, max_value=9_000, max_denominator=10**6)


@settings(deadline=None)
@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=20), fractions)
def test_multiplication_is_exact_and_rounds_half_to_even(amounts: list[int], by: Fraction) -> None:
    found = multiply(np.array(amounts, np.int64), by)
    assert found.tolist() == [round(amount * by) for amount in amounts]  # Fraction rounds half to even


def test_what_is_beyond_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        multiply(np.array([2**62], np.int64), Fraction(3))


amounts = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)


@settings(max_examples=12, deadline=None)
@given(amounts, st.sampled_from([Fraction(3, 4), Fraction(1, 3), Fraction(2)]), st.booleans())
def test_a_correction_commutes_with_a_new_factor(written: list[int], by: Fraction, first: bool) -> None:
    """Amounts and factors are corrected independently: the order does not matter, and no kilogram is lost."""
    span, new = Span(0, 100 * HOUR, UTC_ZONE), FactorSteps.constant(factor(0.4403, 2024))
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder), write=True) as ledger:
        with ledger.writing() as w:
            time = [hour * HOUR for hour in range(len(written))]
            w.entries(hourly(w, [line("a")] * len(written), time, written, measured_by=meter("A")), Reason("live"))
        for step in (first, not first):
            if step:
                restate_factors(ledger, {0: new}, span, NEW)
            else:
                correct(ledger, span, by=by)
        (found,) = ledger.read()
        exact = [round(amount * by) for amount in written]
        assert found.amount.tolist() == exact
        assert found.co2.tolist() == np.rint(np.array(exact) * 0.4403).astype(int).tolist()
        assert verify(Path(folder)).ok
