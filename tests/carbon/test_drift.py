"""What carries no baseline is refused with the reason: energy that hardly follows production, or falls with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from carbon.drift import Days, baseline
from config.errors import GatewayError


def days(energy: Sequence[float], product: Sequence[float]) -> Days:
    day = tuple(date(2025, 1, 1) + timedelta(n) for n in range(len(energy)))
    return Days(day, np.array(energy), np.array(product), np.full(len(energy), 24.0), 0)


def test_energy_that_hardly_follows_production() -> None:
    """Product 0 and 2 by turns, energy 100 and 120 with ± 10 in turns of two: Σ² about the mean is 12 · 10², of the
    residuals 12 · 10²; with both 2400, so R² = 0.50."""
    energy = [100.0 + 10 * (n % 2) * 2 + (10 if n // 2 % 2 else -10) for n in range(12)]
    with pytest.raises(GatewayError, match=r"explains only 50 % .* 12 days .*R² 0\.50, at least 0\.75"):
        baseline(days(energy, [2.0 * (n % 2) for n in range(12)]))


def test_energy_that_falls_with_production_never_differs_or_whose_product_never_does() -> None:
    product = [float(n) for n in range(12)]
    with pytest.raises(GatewayError, match="energy falls with production"):
        baseline(days([100 - p for p in product], product))
    with pytest.raises(GatewayError, match="different output"):
        baseline(days(product, [3.0] * 12))
    with pytest.raises(GatewayError, match="R² nan"):
        baseline(days([0.0] * 12, product))
