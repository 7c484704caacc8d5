"""The market-based method by hand: who covers what, by how much, and what is left uncovered."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.market.allocation import Instruments, Profile, allocate, edges
from carbon.market.blend import instrument_factors, market_steps, uncovered_steps
from tests.carbon.instruments import (
    CHINA,
    EX_MARKET,
    MEE,
    MWH,
    SPAIN,
    contract,
    covered,
    emitted,
    factors_of,
    gec,
    hours,
)


def test_china_by_hand() -> None:
    # GHG Protocol Scope 2 Guidance, chapter 6; residual of China: ex_market 2023 = 0.6096 kg CO₂/kWh (MEE and NBS).
    # March 2025: 1,000 MWh bought in 100 hours of 10 MWh, GEC of 600 MWh cancelled, green PPA of 150 MWh a month.
    #   (1,000,000 − 600,000 − 150,000) kWh × 0.6096 = 152,400 kg. Location-based nothing changes.
    start, bought = hours(2025, 3, 100), np.full(100, 10 * MWH)
    held = Instruments([gec()], {"ppa": contract(mwh_per_month=150)})
    got = allocate(start, bought, held, CHINA)
    assert int(covered(got, "gec-1").sum()) == 600 * MWH
    assert int(got.covered["ppa"].sum()) == 150 * MWH
    assert int(got.uncovered.sum()) == 250 * MWH
    found = factors_of(start, got, held)
    assert emitted(start, bought, found).sum() == pytest.approx(152_400e6)
    factor = found.factors[int(found.at(start)[0])]
    assert factor.total == pytest.approx(0.1524)
    assert factor.id == (
        "market/2025-03-01/certificate/gec-1 gec-1-00001–gec-1-00600/GEC/2025-03"
        "+contract/ppa/market/2025+mee-nbs/CN/ex_market/2023"
    )
    assert (
        "60.0000% at 0 kg/kWh: certificate/gec-1 gec-1-00001–gec-1-00600/GEC/2025-03" in factor.provenance.publication
    )
    assert "25.0000% at 0.6096 kg/kWh: mee-nbs/CN/ex_market/2023" in factor.provenance.publication
    assert factor.provenance.gas == "co2"
    # April holds no instrument: it takes the residual factor as it is.
    assert found.factors[int(found.at(hours(2025, 4, 1))[0])] == EX_MARKET.factors[0]


def test_a_surplus_of_one_month_covers_the_rest_of_its_year_or_nothing() -> None:
    # 100 MWh in March and 300 in May; certificates of 160 MWh from March: 100 there, 60 in May. By the month: 100.
    start = np.concatenate((hours(2025, 3, 10), hours(2025, 5, 10)))
    bought = np.concatenate((np.full(10, 10 * MWH), np.full(10, 30 * MWH)))
    march = gec(mwh=160)
    held = Instruments([march])
    got = allocate(start, bought, held, CHINA)
    assert covered(got, "gec-1").reshape(2, 10).sum(1).tolist() == [100 * MWH, 60 * MWH]
    assert (got.surplus, got.findings) == ({}, ())
    monthly = allocate(start, bought, held, CHINA, vintage="month")
    assert covered(monthly, "gec-1").reshape(2, 10).sum(1).tolist() == [100 * MWH, 0]
    assert monthly.surplus == {march.name: 60 * MWH}
    assert monthly.findings == (
        f"certificates {march.name} of 2025-03: 60.000000 MWh found no consumption of its vintage and cover nothing",
    )


def test_certificates_of_another_year_cover_nothing() -> None:
    start, bought = hours(2025, 3, 10), np.full(10, 10 * MWH)
    got = allocate(start, bought, Instruments([gec(produced="2024-12", mwh=50)]), CHINA)
    assert int(got.uncovered.sum()) == 100 * MWH
    assert "50.000000 MWh found no consumption of its vintage" in got.findings[0]


def test_more_is_never_covered_than_bought() -> None:
    start, bought = hours(2025, 3, 10), np.full(10, 10 * MWH)
    held = Instruments([gec()], {"ppa": contract(mwh_per_month=150)})
    got = allocate(start, bought, held, CHINA)
    assert int(got.uncovered.sum()) == 0
    assert got.surplus == {gec().name: 500 * MWH, "ppa": 150 * MWH}
    assert len(got.findings) == 2
    assert emitted(start, bought, factors_of(start, got, held)).sum() == 0


def test_the_hour_by_hand() -> None:
    # Three hours: bought 10, 10, 10 MWh; generated 4, 16, 0. By the hour min(10,4) + min(10,16) + 0 = 14 MWh count,
    # the surplus 6 of the second hour covers nothing (Σ max(0, L − C)·EF = 16 MWh × 0.6096 = 9,753.6 kg).
    # By the month all 20 MWh would have counted.
    start, bought = hours(2025, 3, 3), np.full(3, 10 * MWH)
    profile = Profile(start, np.array([4, 16, 0]) * MWH)
    held = Instruments([gec(mwh=20)], profiles={gec(mwh=20).name: profile})
    got = allocate(start, bought, held, CHINA, hourly=True)
    assert covered(got, "gec-1").tolist() == [4 * MWH, 10 * MWH, 0]
    assert got.surplus == {gec(mwh=20).name: 6 * MWH}
    found = factors_of(start, got, held, hourly=True)
    assert emitted(start, bought, found).tolist() == pytest.approx([3_657.6e6, 0, 6_096e6])
    assert int(allocate(start, bought, held, CHINA).uncovered.sum()) == 10 * MWH


def test_by_the_hour_two_meters_share_what_was_generated_and_a_month_alone_is_not_enough() -> None:
    start = np.repeat(hours(2025, 3, 2), 2)
    bought = np.array([30, 10, 30, 10]) * MWH
    held = Instruments(
        [gec(mwh=8), gec("gec-2", mwh=8)],
        profiles={gec(mwh=8).name: Profile(hours(2025, 3, 2), np.array([8, 8]) * MWH)},
    )
    got = allocate(start, bought, held, CHINA, hourly=True)
    assert covered(got, "gec-1").tolist() == [3 * MWH, MWH, 3 * MWH, MWH]  # 16 generated, but certificates of 8 only
    assert not any(name.startswith("gec-2") for name in got.covered)
    assert "gec-2-00008 is not counted: matching by the hour needs the hours" in got.findings[0]


def test_a_suppliers_rate_takes_its_share_of_what_is_left_and_contracts_their_own_days() -> None:
    # 30 days of 24 hours, 1 MWh each = 720 MWh of April; a PPA of 300 MWh a month from the 16th: half a month, 150 MWh;
    # then a supplier at 0.3 kg/kWh for all of it: the other 570 MWh.
    start, bought = hours(2025, 4, 720), np.full(720, MWH)
    held = Instruments(
        contracts={
            "ppa": contract(mwh_per_month=300, valid_from=date(2025, 4, 16)),
            "utility": contract(share=1.0, kg_per_kwh=0.3),
        }
    )
    got = allocate(start, bought, held, CHINA)
    assert got.covered["ppa"].reshape(2, 360).sum(1).tolist() == [0, 150 * MWH]
    assert int(got.covered["utility"].sum()) == 570 * MWH
    found = factors_of(start, got, held)
    assert emitted(start, bought, found).sum() == pytest.approx(570_000 * 0.3 * 1e6)
    assert np.unique(found.at(start)).size == 2


def test_half_a_month_of_a_contract_is_half_of_its_days_however_many_have_readings() -> None:
    # A contract of 300 MWh a month from 16 April; readings of 20 and 21 April only: 150 MWh are there, 2 are bought.
    start = hours(2025, 4, 720)[19 * 24 : 21 * 24]
    held = Instruments(contracts={"ppa": contract(mwh_per_month=300, valid_from=date(2025, 4, 16))})
    got = allocate(start, np.full(48, MWH // 24), held, CHINA)
    assert got.surplus["ppa"] == 150 * MWH - 48 * (MWH // 24)


def test_contracts_for_more_than_everything_are_told() -> None:
    start, bought = hours(2025, 3, 2), np.full(2, MWH)
    held = Instruments(contracts={"a": contract(share=0.7), "b": contract(share=0.6)})
    got = allocate(start, bought, held, CHINA)
    assert [int(got.covered[n].sum()) for n in "ab"] == [1_400_000_000, 600_000_000]
    assert got.findings == ("2025-03: contracts claim more than all that was bought; later ones are cut",)


def test_the_doubled_hour_of_autumn_lies_in_its_month() -> None:
    # Madrid, October 2025: 745 hours. All of them are of October, none of November.
    start = hours(2025, 10, 745, SPAIN)
    got = allocate(
        start, np.full(745, MWH), Instruments([gec(kind="other", produced="2025-10", mwh=745)]), SPAIN, vintage="month"
    )
    assert int(got.uncovered.sum()) == 0


def test_a_residual_factor_that_changes_within_a_month() -> None:
    start, bought = hours(2025, 3, 10), np.full(10, 10 * MWH)
    later = Factor("later", "kWh", (0.5, 0, 0, 0, 0), 1.0, MEE)
    changing = steps([(EVER, EX_MARKET.factors[0]), (int(start[5]), later)])
    held = Instruments([gec(mwh=50)])
    got = allocate(start, bought, held, CHINA)
    found = market_steps(start, got, edges(start, {}, CHINA, hourly=False), changing, instrument_factors(held), CHINA)
    assert emitted(start, bought, found).sum() == pytest.approx(25e9 * 0.6096 + 25e9 * 0.5)


def test_without_a_residual_mix_the_location_average_is_a_disclosed_fallback() -> None:
    location = FactorSteps.constant(Factor("grid", "kWh", (0.4419, 0, 0, 0, 0), 1.0, MEE))
    found, findings = uncovered_steps("residual_mix", None, location)
    assert found.factors[0].provenance.variant == "fallback"
    assert found.factors[0].kg == location.factors[0].kg
    assert "residual_mix is not available" in findings[0]
    assert uncovered_steps("ex_market", EX_MARKET, location) == (EX_MARKET, [])
    assert uncovered_steps("location_average", EX_MARKET, location)[0].factors[0].provenance.variant == "fallback"
