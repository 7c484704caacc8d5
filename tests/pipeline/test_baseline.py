"""A machine's own baseline: found again in what it made, and a drift that the sum of differences shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.baseline import first_beyond, fit


@given(st.floats(10, 500), st.floats(50, 600), st.integers(0, 2**32 - 1))
def test_a_line_is_found_again(idle: float, slope: float, seed: int) -> None:
    product = np.random.default_rng(seed).uniform(1, 8, 24)
    hours = np.ones(24)
    found = fit(idle * hours + slope * product, product, hours)
    assert (found.idle_kw, found.slope_kwh, found.r2) == pytest.approx((idle, slope, 1.0), rel=1e-6)


def test_a_drift_is_the_slope_of_the_cusum() -> None:
    """After 30 even hours a furnace takes 8 % more: from there each hour adds 0.08 · (300 + 250 · 4) = 104 kWh."""
    product, hours = np.tile([3.0, 4.0, 5.0], 20), np.ones(60)
    expected = 300.0 * hours + 250.0 * product
    baseline = fit(expected[:30], product[:30], hours[:30])
    actual = expected * np.where(np.arange(60) < 30, 1.0, 1.08)
    cusum = baseline.cusum(actual, product, hours)
    assert cusum[29] == pytest.approx(0.0, abs=1e-6)
    assert cusum[59] == pytest.approx(30 * 104.0)


def test_what_is_no_baseline_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 12"):
        fit(np.ones(11), np.arange(11.0), np.ones(11))
    with pytest.raises(ValueError, match="different output"):
        fit(np.ones(12), np.full(12, 3.0), np.ones(12))


def test_the_scatter_of_the_cusum_by_hand() -> None:
    """12 hours of product 0 and 2 by turns: XᵀX = ((12, 12), (12, 24)), its inverse ((1/6, −1/12), (−1/12, 1/12)).
    Energy 10 ± 1 at 0 and 30 ± 1 at 2: idle 10, slope 10, σ² = 12 / (12 − 2). Two hours of product 1: s = (2, 2),
    sᵀ(XᵀX)⁻¹s = 4 · (1/6 − 2/12 + 1/12) = 1/3, so σ √(2 + 1/3)."""
    product = np.tile([0.0, 2.0], 6)
    energy = 10 + 10 * product + np.repeat([1.0, -1.0, 1.0, -1.0, 1.0, -1.0], 2)
    found = fit(energy, product, np.ones(12))
    assert (found.idle_kw, found.slope_kwh, found.sigma_kwh) == pytest.approx((10, 10, 1.2**0.5))
    assert found.cusum_sigma(np.ones(2), np.ones(2))[1] == pytest.approx((1.2 * (2 + 1 / 3)) ** 0.5)


def test_a_drift_begins_where_the_cusum_stays_beyond() -> None:
    """2 σ is 2: a chance crossing at the first interval is taken back; from the fourth on it stays."""
    assert first_beyond(np.array([3.0, 1.0, 2.0, 4.0, 5.0]), np.ones(5)) == 3
    assert first_beyond(np.array([-3.0, -4.0]), np.ones(2)) == 0
    assert first_beyond(np.array([3.0, 4.0, 1.0]), np.ones(3)) is None
