"""What always holds of the market-based method, whatever is held and used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.market.allocation import Instruments, Profile, allocate
from carbon.market.blend import instrument_factors
from tests.carbon.instruments import CHINA, HOUR, contract, covered, emitted, factors_of, gec, hours

AMOUNTS = st.lists(st.integers(0, 10**11), min_size=1, max_size=40)


def year(amounts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Spread amounts over the year, one every nine days."""
    start = int(datetime(2025, 1, 3, tzinfo=UTC).timestamp()) * 1_000_000_000
    return start + np.arange(len(amounts), dtype=np.int64) * 9 * 24 * HOUR, np.array(amounts, np.int64)


HELD = st.builds(
    lambda certificates, monthly, share: Instruments(
        [gec(f"c{i}", mwh=mwh, produced=f"2025-{month:02d}") for i, (month, mwh) in enumerate(certificates)],
        {"ppa": contract(mwh_per_month=monthly), "rate": contract(share=share, kg_per_kwh=0.2)},
    ),
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 900)), max_size=4),
    st.floats(0.01, 50),
    st.floats(0.01, 1),
)


@given(AMOUNTS, HELD, st.sampled_from(["year", "month"]))
def test_parts_sum_exactly_and_nobody_covers_more_than_there_is(amounts: list[int], held: Instruments, by: Any) -> None:
    start, bought = year(amounts)
    got = allocate(start, bought, held, CHINA, vintage=by)
    assert np.all(got.uncovered >= 0)
    assert all(np.all(c >= 0) for c in got.covered.values())
    assert np.array_equal(sum(got.covered.values()) + got.uncovered, bought)
    for certificate in held.certificates:
        used = int(got.covered[certificate.name].sum())
        assert used + got.surplus.get(certificate.name, 0) == certificate.amount
    if by == "year":  # certificates of the year and what it bought: all of the smaller one is used
        used = sum(int(got.covered[c.name].sum()) for c in held.certificates)
        assert used == min(sum(c.amount for c in held.certificates), int(bought[start < hours(2026, 1, 1)[0]].sum()))


@given(AMOUNTS, HELD)
def test_amount_times_factor_is_what_the_parts_emit(amounts: list[int], held: Instruments) -> None:
    start, bought = year(amounts)
    got, named = allocate(start, bought, held, CHINA), instrument_factors(held)
    parts = got.uncovered * 0.6096 + sum(c * named[n].total for n, c in got.covered.items())
    blended = emitted(start, bought, factors_of(start, got, held))
    # Whole mWh: each of two steps of an instrument may differ by one in an interval, at most 0.61 mg each.
    assert np.all(np.abs(blended - parts) <= 2 * (len(got.covered) + 1))
    assert blended.sum() == pytest.approx(parts.sum(), rel=1e-9, abs=1.0)


@given(AMOUNTS, HELD, st.integers(1, 12), st.integers(1, 900))
def test_more_certificates_never_raise_emissions(amounts: list[int], held: Instruments, month: int, mwh: int) -> None:
    start, bought = year(amounts)
    more = Instruments([*held.certificates, gec("more", produced=f"2025-{month:02d}", mwh=mwh)], held.contracts)

    def total(instruments: Instruments) -> float:
        got, named = allocate(start, bought, instruments, CHINA), instrument_factors(instruments)
        return float(got.uncovered.sum()) * 0.6096 + sum(
            float(c.sum()) * named[n].total for n, c in got.covered.items()
        )

    assert total(more) <= total(held) + 100  # [mg]: shares of a month are rounded to whole mWh


@given(st.lists(st.tuples(st.integers(0, 10**11), st.integers(0, 10**11)), min_size=1, max_size=30))
def test_by_the_hour_exactly_the_smaller_of_load_and_generation_counts(rows: list[tuple[int, int]]) -> None:
    load, generation = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    start = hours(2025, 3, len(rows))
    held = Instruments([gec(mwh=9_999)], profiles={gec(mwh=9_999).name: Profile(start, generation)})
    got = allocate(start, load, held, CHINA, hourly=True)
    assert np.array_equal(covered(got, "gec-1"), np.minimum(load, generation))
