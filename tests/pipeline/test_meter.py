"""Meter arithmetic against published register reads, a recorded year and properties that must always hold."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline.batch import Batch
from pipeline.meter import MeterState, Register, advance, fold
from tests.pipeline.journal import assert_same_state
from tests.pipeline.tables import HOUR, SECOND, START, meter_table, readings

DATA = Path(__file__).parent.parent / "data"


def amounts(table, *batches: Batch) -> list[tuple[float, float, float, int]]:
    """Return (end [s], span [s], amount, quality) of everything the batches complete, one after the other."""
    state, rows = MeterState.fresh(len(table)), []
    for batch in batches:
        folded = fold(table, state, batch)
        state, out = folded.state, folded.amounts
        ends, spans = (out.time_ns - START) / SECOND, out.span_ns / SECOND
        rows += list(zip(ends.tolist(), spans.tolist(), out.value.tolist(), out.quality.tolist(), strict=True))
    return rows


def nem13_pairs() -> list[dict[str, str]]:
    with (DATA / "nem13" / "register_reads.csv").open() as file:
        return list(csv.DictReader(file))


def _advance(pair: dict[str, str]) -> tuple[float, bool]:
    last, value = float(pair["previous_read"]), float(pair["current_read"])
    digits = len(pair["previous_read"].split(".")[0])
    one = np.ones(1)
    register = Register(one * 10.0**digits, one * np.nan, one * 0.0)
    amount, rolled = advance(one * last, one * value, one, register)
    return float(amount[0]), bool(rolled[0])


def test_the_nine_published_rollovers_are_found_with_the_published_quantity() -> None:
    rolled = [pair for pair in nem13_pairs() if _advance(pair)[1]]
    assert len(rolled) == 9
    for pair in rolled:
        assert _advance(pair)[0] == pytest.approx(float(pair["quantity"])), pair["nmi"]


def test_no_other_published_read_is_taken_for_a_rollover() -> None:
    """111 pairs are plain differences, or a register that ran backwards: in doubt, and never over the top."""
    plain = [pair for pair in nem13_pairs() if not _advance(pair)[1]]
    assert len(plain) == 111
    unlike = 0
    for pair in plain:
        step = float(pair["current_read"]) - float(pair["previous_read"])
        amount, _ = _advance(pair)
        assert math.isnan(amount) if step < 0 else amount == pytest.approx(step), pair["nmi"]
        unlike += abs(step - float(pair["quantity"])) > 1.0
    assert unlike == 7  # booked negative, run backwards, one odd: what the provider states is not what the index says


def steel_kwh() -> list[float]:
    with gzip.open(DATA / "steel" / "steel_2018_15min.csv.gz", "rt", encoding="utf-8-sig") as file:
        return [float(row["Usage_kWh"]) for row in csv.DictReader(file)]


def test_steel_year_through_a_32_bit_register_with_a_rollover_and_a_reset() -> None:
    """Σ is 959,636.71 kWh. Register steps are 0.01 kWh; it starts 100,000 kWh before the top and is reset on the way.

    The reset falls between two reads and the register counts on from 0, so nothing is lost but what was used before the
    reset within that quarter of an hour: here none, for the meter is read when it is exchanged.
    """
    steps = np.rint(np.array(steel_kwh()) * 100).astype(np.int64)
    index = np.concatenate(([2**32 - 10_000_000], 2**32 - 10_000_000 + np.cumsum(steps))) % 2**32
    reset_at = 20_000
    index[reset_at + 1 :] = np.cumsum(steps[reset_at:])
    table = meter_table(modulus=2**32 / 100, resolution=0.01, max_rate=1_000.0, period_ns=HOUR // 4)
    rows = amounts(table, readings([i * 900 for i in range(len(index))], index / 100))
    assert sum(r[2] for r in rows) == pytest.approx(959_636.71, abs=0.005)
    assert sum(bool(r[3] & q.ROLLOVER) for r in rows) == 1
    assert sum(bool(r[3] & q.RESET) for r in rows) == 1


def test_a_transient_zero_is_not_a_reset() -> None:
    table = meter_table(modulus=1e6, max_rate=100.0)
    rows = amounts(table, readings([0, 60, 120, 180], [5000.0, 0.0, 5001.0, 5002.0]))
    assert rows == [(120, 120, 1.0, 0), (180, 60, 1.0, 0)]


@pytest.mark.parametrize("known", [{"max_rate": 100.0}, {}, {"modulus": 1e6}], ids=["rate", "nothing", "six digits"])
@pytest.mark.parametrize("zeros", [1, 2, 30])
def test_a_device_that_shows_zero_while_it_starts_adds_nothing(zeros: int, known: dict[str, float]) -> None:
    table = meter_table(**known)
    values = [600_000.0, *[0.0] * zeros, 600_001.0, 600_002.0]
    rows = amounts(table, readings([60 * i for i in range(len(values))], values))
    assert [(r[1], r[2], r[3]) for r in rows] == [(60 * (zeros + 1), 1.0, 0), (60, 1.0, 0)]


def test_a_reset_counter_at_rest_is_confirmed_when_it_moves() -> None:
    table = meter_table(max_rate=100.0)
    rows = amounts(table, readings([0, 60, 120, 180, 240], [5000.0, 0.0, 0.0, 0.5, 1.0]))
    assert [(r[0], r[1], r[2]) for r in rows] == [(180, 180, 0.5), (240, 60, 0.5)]
    assert rows[0][3] == q.RESET | q.QUANTITY_ESTIMATED | q.UNCERTAIN


def test_a_held_reading_is_marked_in_the_measured_rows() -> None:
    table = meter_table(modulus=1e6, max_rate=100.0)
    folded = fold(table, MeterState.fresh(len(table)), readings([0, 60], [5000.0, 0.0]))
    assert folded.quality.tolist() == [0, q.RANGE | q.UNCERTAIN]


def test_a_fold_leaves_the_state_it_begins_with_and_may_take_the_memory_of_one_before() -> None:
    table = meter_table(modulus=1e6, max_rate=100.0)
    first = fold(table, MeterState.fresh(len(table)), readings([0, 60], [5000.0, 5001.0])).state
    kept, spare, later = first.copy(), MeterState.fresh(len(table)), readings([120, 180], [0.0, 5002.0])
    anew, reused = fold(table, first, later), fold(table, first, later, spare)
    assert reused.state is spare
    assert_same_state(first, kept)
    assert_same_state(reused.state, anew.state)
    assert reused.amounts.value.tolist() == anew.amounts.value.tolist() == [1.0]
    assert reused.quality.tolist() == anew.quality.tolist()


def test_a_reset_counts_what_was_used_since() -> None:
    table = meter_table(max_rate=100.0)
    rows = amounts(table, readings([0, 60, 120, 180], [5000.0, 0.5, 1.5, 2.0]))
    assert [(r[0], r[1], r[2]) for r in rows] == [(120, 120, 1.5), (180, 60, 0.5)]
    assert rows[0][3] == q.RESET | q.QUANTITY_ESTIMATED | q.UNCERTAIN


def test_a_counter_of_pieces_may_step_faster_than_its_rate() -> None:
    table = meter_table(max_rate=60.0, resolution=0.25)
    rows = amounts(table, readings([0, 2, 4, 6], [10.0, 10.25, 10.25, 10.75]))
    assert [(r[2], r[3]) for r in rows] == [(0.25, 0), (0.0, 0), (0.5, 0)]


@pytest.mark.parametrize(
    ("shows", "known"),
    [(lambda s, kwh: kwh[s // 60 * 60], {"resolution": 0.001}), (lambda s, kwh: math.floor(kwh[s]), {})],
    ids=["refreshed once a minute", "whole kWh of a register nothing is known of"],
)
def test_a_register_that_shows_less_often_than_it_is_read_loses_nothing(shows, known) -> None:
    """A steady 80 kW of 100, read every second for an hour: each step shown is beyond a second's reach."""
    table = meter_table(max_rate=120.0, **known)
    kwh = [5000 + s * 80 / 3600 for s in range(3601)]
    values = [float(shows(s, kwh)) for s in range(3601)]
    rows = amounts(table, readings(range(3601), values))
    assert sum(r[2] for r in rows) == pytest.approx(80.0)
    assert {r[3] for r in rows} == {0}


def test_another_meter_continues_from_its_own_index() -> None:
    table = meter_table(max_rate=100.0)
    rows = amounts(table, readings([0, 60, 120], [5000.0, 77_000.0, 77_001.0]))
    assert [(r[0], r[1], r[2]) for r in rows] == [(120, 60, 1.0)]
    assert rows[0][3] == q.SWAP | q.QUANTITY_ESTIMATED | q.UNCERTAIN


def test_an_outage_is_one_row_with_an_estimated_course() -> None:
    table = meter_table(max_rate=100.0, period_ns=60 * SECOND)
    rows = amounts(table, readings([0, 60, 3660], [10.0, 11.0, 71.0]))
    assert rows == [(60, 60, 1.0, 0), (3660, 3600, 60.0, q.PROFILE_ESTIMATED)]


def test_a_float_register_too_coarse_for_its_interval_has_an_estimated_course() -> None:
    # 10⁹ Wh in a float32: steps of 64 Wh; 3.6 kW use 1 Wh a second.
    table = meter_table(max_rate=3.6, relative=2.0**-23)
    rows = amounts(table, readings([0, 1], [1_000_000.0, 1_000_000.0]))
    assert rows == [(1, 1, 0.0, q.PROFILE_ESTIMATED)]


def test_late_rows_are_kept_marked_and_not_folded() -> None:
    table = meter_table()
    state = fold(table, MeterState.fresh(len(table)), readings([0, 120], [10.0, 12.0])).state
    folded = fold(table, state, readings([60, 120, 180], [11.0, 12.0, 13.0]))
    assert folded.quality.tolist() == [q.LATE, q.LATE, 0]
    assert folded.amounts.value.tolist() == [1.0]


def test_bad_and_untrusted_rows_are_not_folded() -> None:
    table = meter_table()
    batches = [
        readings([0], [10.0]),
        readings([60], [99.0], quality=q.BAD | q.COMM),
        readings([90], [98.0], quality=q.UNCERTAIN | q.CLOCK),
        readings([120], [12.0]),
    ]
    assert amounts(table, *batches) == [(120, 120, 2.0, 0)]


def test_power_is_integrated_by_the_trapezoid_and_not_over_gaps() -> None:
    table = meter_table()
    rows = amounts(table, readings([0, 60, 120, 3720, 3780], [60.0, 120.0, 120.0, 60.0, 60.0], series=3))
    assert rows == [
        (60, 60, pytest.approx(1.5), q.INTEGRATED),
        (120, 60, pytest.approx(2.0), q.INTEGRATED),
        (3780, 60, pytest.approx(1.0), q.INTEGRATED),
    ]


indices = st.lists(st.integers(0, 500), min_size=2, max_size=40)


@given(indices, st.integers(0, 2**16 - 1))
def test_what_a_healthy_counter_counts_is_what_its_meter_used(steps: list[int], start: int) -> None:
    index = [(start + sum(steps[:i])) % 2**16 for i in range(len(steps) + 1)]
    table = meter_table(modulus=2.0**16, resolution=1.0, max_rate=500 * 60.0)
    rows = amounts(table, readings([60 * i for i in range(len(index))], index))
    assert sum(r[2] for r in rows) == sum(steps)
    assert sum(r[1] for r in rows) == 60 * len(steps)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 3]),
            st.integers(-5, 400),
            st.sampled_from([0.0, 1.0, 2.5, 100.0, 65_530.0, math.nan]),
            st.sampled_from([0, q.BAD | q.COMM, q.UNCERTAIN | q.STALE]),
        ),
        max_size=60,
    ),
    st.data(),
)
def test_any_split_into_batches_gives_the_same_amounts(rows: list[tuple[int, int, float, int]], data) -> None:
    """Series, times (some late), values (some not numbers) and qualities at random; cut anywhere."""
    table = meter_table(modulus=2.0**16, resolution=1.0, max_rate=1_000.0)
    at, whole = 0, []
    for series, after, value, quality in rows:
        at += after
        whole.append(readings([at], [value], series=series, quality=quality))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    edges = [0, *cuts, len(rows)]
    one_by_one = amounts(table, *whole)
    chunks = [join(whole[a:b]) for a, b in itertools.pairwise(edges) if a < b]
    split = amounts(table, *chunks)
    assert sorted(split, key=repr) == sorted(one_by_one, key=repr)


def join(batches: list[Batch]) -> Batch:
    from pipeline.batch import concat

    return concat(batches[0].header, batches)


@given(years=st.integers(2, 60), load=st.floats(0.0, 0.99))
def test_a_year_is_the_longest_that_is_credited_to_a_meter(years: int, load: float) -> None:
    """What full load makes in a year is taken after any time, with a course nobody knows; more must be confirmed."""
    table, end_s = meter_table(max_rate=100.0), years * 8_766 * 3_600
    in_a_year = 100.0 * 8_766
    [(_, span_s, amount, quality)] = amounts(table, readings([0, end_s], [0.0, load * in_a_year]))
    assert (span_s, amount, quality) == (end_s, load * in_a_year, q.PROFILE_ESTIMATED)
    jump = readings([0, end_s, end_s + 3_600], [0.0, (1.01 + load) * in_a_year, (1.01 + load) * in_a_year + 80])
    [(_, span_s, amount, quality)] = amounts(table, jump)
    assert (span_s, round(amount, 3)) == (3_600, 80.0)
    assert quality & q.SWAP
