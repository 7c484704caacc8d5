"""Scope 3 category 3: losses of the grid by published figure or by share, and what is left out in words."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from carbon.factor import Factor, FactorSteps
from carbon.factors.upstream import losses_steps, omissions
from config.accounting import Market
from config.coefficients import LossRow
from config.factor_tables import shipped
from pipeline.factors import Provenance

SAID = Provenance("US EPA", "eGRID2023", 2023, "2025-06-12", "co2e", "subregion.json")
GRID = FactorSteps.constant(Factor("us-epa/US-CAMX", "kWh", (0.2, 0.001, 0.001, 0.0, 0.0), 1.0, SAID, biogenic=0.02))


def ns(year: int, month: int = 1, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1_000_000_000


def at(region: str, when: int, rows: list[LossRow] | None = None) -> Factor:
    found = losses_steps(region, GRID, rows)
    assert found is not None
    return found.factors[int(found.at(when)[()])]  # type: ignore[arg-type]


def row(**changed: Any) -> LossRow:
    said = {
        "region": "XX", "kind": "loss_share", "value": 0.2, "unit": "1", "data_year": 2024, "publisher": "p",
        "publication": "q", "published_on": "2025", "source": "s", "confidence": "high",
        "valid_from": date(2024, 1, 1), "valid_to": date(2024, 12, 31),
    }  # fmt: skip
    return LossRow.model_validate(said | changed)


def test_the_uk_figure_per_kwh_consumed() -> None:
    # DESNZ GHG conversion factors 2025, sheet "Transmission and distribution": 0.01853 kg CO₂e per kWh.
    # 1,000,000 kWh consumed → 18.53 t.
    factor = at("GB", ns(2025, 7))
    assert factor.kg == (0.0, 0.0, 0.0, 0.0, 0.01853)
    assert factor.provenance.variant == "exact"
    assert factor.total * 1_000_000 == pytest.approx(18_530)
    assert at("GB", ns(2019, 6)).total == 0.0217


def test_a_share_of_what_is_fed_in() -> None:
    # 5 % of what is fed in is lost: for 0.95 kWh that arrive 0.05 are lost, 0.05/0.95 = 0.052632 kWh per kWh consumed.
    # At 0.202 kg CO₂e/kWh generated that is 0.010632 kg per kWh consumed; gas by gas, biogenic apart.
    factor = at("XX", ns(2024, 6), [row(value=0.05)])
    assert factor.kg == pytest.approx((0.2 * 0.05 / 0.95, 0.001 * 0.05 / 0.95, 0.001 * 0.05 / 0.95, 0.0, 0.0))
    assert factor.total == pytest.approx(0.010632, abs=5e-7)
    assert factor.biogenic == pytest.approx(0.02 * 0.05 / 0.95)
    assert factor.kwh == 0.0


def test_egrid_names_both_sources() -> None:
    factor = at("US-CAMX", ns(2023, 6))
    assert factor.total == pytest.approx(0.202 * 0.041 / (1 - 0.041))
    assert "loss of 4.10%" in factor.provenance.publication
    assert "generation: eGRID2023" in factor.provenance.publication


def test_outside_its_period_a_figure_says_so() -> None:
    rows = [row(), row(value=0.1, data_year=2025, valid_from=date(2025, 1, 1), valid_to=date(2025, 12, 31))]
    variants = [at("XX", ns(year, 7), rows).provenance.variant for year in (2023, 2024, 2025, 2026)]
    assert variants == ["fallback", "exact", "exact", "latest"]
    assert [at("XX", ns(year, 7), rows).total for year in (2023, 2024, 2025, 2026)] == pytest.approx(
        [0.202 / 4, 0.202 / 4, 0.202 / 9, 0.202 / 9]
    )


def test_what_nobody_publishes_is_an_omission_and_never_zero() -> None:
    assert losses_steps("CN-GD", GRID) is None
    said = omissions("CN-GD", ["natural_gas"])
    assert [s.partition(" leaves out ")[2].partition(":")[0] for s in said] == [
        "losses of the grid of CN-GD", "the way of fuels to the power stations", "upstream of natural_gas",
    ]  # fmt: skip
    assert omissions("AU-VIC", []) == []  # the NGA figure is of losses and fuels' way together
    assert len(omissions("GB", [])) == 1


def test_chinas_life_cycle_figures_are_of_no_kind_scope_2_can_ask_for() -> None:
    # 0.5777 (2024) and 0.6205 (2023) are life-cycle factors, for the footprint of products (MEE, NBS, NEA, 2025-10-23).
    for kind in ("location_average", "ex_market", "residual_mix"):
        values = {r.value for r in shipped() if r.region == "CN" and r.kind == kind}
        assert not values & {0.5777, 0.6205}
    with pytest.raises(ValidationError):
        Market(uncovered="life_cycle")  # type: ignore[arg-type]
