"""Meters err together over time, one factor errs for all its meters; different meters do not."""

from __future__ import annotations

import numpy as np
import pytest

from carbon.entries import MeterVersion
from carbon.factor import Factor
from carbon.market.blend import blend
from carbon.uncertainty import half_interval, unstated
from pipeline.factors import Provenance

SAID = Provenance("MEE", "notice", 2023, "2025-12-31", "co2", "a table")


def meter(name: str, number: int = 1, uncertainty: float = 0.01) -> MeterVersion:
    return MeterVersion(name, number, "s", 1.0, uncertainty)


def factor(year: int, uncertainty: float | None) -> Factor:
    return Factor(f"mee/CN/location_average/{year}", "kWh", (0.5, 0, 0, 0, 0), 1.0, SAID, uncertainty=uncertainty)


def test_class_1_stays_one_percent_over_a_year() -> None:
    amount = np.full(8760, 1_000)
    share = half_interval(amount, np.ones(8760, np.int32), np.full(8760, -1, np.int32), {1: meter("m")}, {})
    assert share / amount.sum() == pytest.approx(0.01)  # independent hours would give 0.01/√8760 = 0.0107 %


def test_a_recalibrated_meter_is_the_same_meter() -> None:
    both = {1: meter("m", 1), 2: meter("m", 2)}
    got = half_interval(np.array([500, 500]), np.array([1, 2], np.int32), np.array([-1, -1], np.int32), both, {})
    assert got == pytest.approx(10)


def test_a_hundred_meters_are_independent_and_their_factor_is_not() -> None:
    # Σ = 100 · 1,000. Meters: √(100 · (1,000 · 1 %)²) = 100. Factor 5 % on all of it: 5,000. √(100² + 5,000²) = 5,001.
    meters = {n: meter(f"m{n}") for n in range(100)}
    got = half_interval(np.full(100, 1_000), np.arange(100, dtype=np.int32), np.zeros(100, np.int32), meters,
                        {0: factor(2023, 0.05)})  # fmt: skip
    assert got == pytest.approx(np.hypot(100, 5_000))


def test_two_years_of_one_factor_err_together() -> None:
    years = {0: factor(2022, 0.05), 1: factor(2023, 0.05)}
    got = half_interval(np.array([1_000, 1_000]), np.array([-1, -1], np.int32), np.array([0, 1], np.int32), {}, years)
    assert got == pytest.approx(100)


def test_months_of_a_market_blend_rest_on_one_uncovered_factor() -> None:
    # Each month 20 % under certificates of 0 kg/kWh: U = 5 % of every month, of all and not of one: Σ 12,000 · 5 %.
    # The second half of the year has nothing to cover it.
    green = Factor("certificate/GEC 7+8/GEC/2025-01", "kWh", (0.0, 0, 0, 0, 0), 1.0, SAID)
    year = {m: blend(f"market/2025-{m:02d}-01", [(green, 20), (factor(2023, 0.05), 80)]) for m in range(1, 7)}
    year |= {m: factor(2023, 0.05) for m in range(7, 13)}
    got = half_interval(np.full(12, 1_000), np.full(12, -1, np.int32), np.arange(1, 13, dtype=np.int32), {}, year)
    assert got == pytest.approx(600)  # independent months would give 324


def test_what_rests_on_factors_without_an_uncertainty_is_told() -> None:
    known = {0: factor(2022, 0.05), 1: factor(2023, None)}
    assert unstated(np.array([750, 250]), np.array([0, 1], np.int32), known) == 0.25
    assert unstated(np.array([], np.int64), np.array([], np.int32), known) == 0.0
