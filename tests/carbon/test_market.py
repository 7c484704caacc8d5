"""The market-based method: who covers what, by how much, and which certificates may not."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from carbon.factor import EVER, Factor, FactorSteps, steps
from carbon.market.allocation import Allocation, Instruments, Profile, allocate, edges
from carbon.market.blend import instrument_factors, market_steps, uncovered_steps
from carbon.market.certificates import Certificate, accept, markets_of
from config.accounting import Contract
from config.errors import GatewayError
from pipeline.factors import Provenance

MWH = 1_000_000_000  # [mWh]
HOUR = 3_600_000_000_000
CHINA, SPAIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Madrid")
MEE = Provenance("MEE+NBS", "公告2025年", 2023, "2025-12-31", "co2", "https://www.mee.gov.cn")
EX_MARKET = FactorSteps.constant(Factor("mee-nbs/CN/ex_market/2023", "kWh", (0.6096, 0, 0, 0, 0), 1.0, MEE))


def hours(year: int, month: int, count: int, zone: ZoneInfo = CHINA) -> np.ndarray:
    first = int(datetime(year, month, 1, tzinfo=zone).timestamp()) * 1_000_000_000
    return first + np.arange(count, dtype=np.int64) * HOUR


def gec(id: str = "gec-1", **changed: Any) -> Certificate:
    said: dict[str, Any] = {
        "id": id, "kind": "GEC", "market": "CN", "technology": "wind", "produced": "2025-03", "mwh": 600,
        "first_id": f"{id}-00001", "cancelled": date(2026, 1, 20), "cancelled_for": "Factory",
    }  # fmt: skip
    said |= changed
    return Certificate.model_validate({"last_id": f"{id}-{int(said['mwh']):05d}"} | said)


def contract(**changed: Any) -> Contract:
    said = {"supplier": "Wind farm", "kg_per_kwh": 0, "valid_from": date(2025, 1, 1), "valid_to": date(2025, 12, 31)}
    return Contract.model_validate(said | changed)


def covered(got: Allocation, id: str) -> np.ndarray:
    (found,) = (amounts for name, amounts in got.covered.items() if name.startswith(f"{id} "))
    return found


def factors_of(start_ns: np.ndarray, got: Allocation, instruments: Instruments, *, hourly: bool = False) -> FactorSteps:
    cuts = edges(start_ns, instruments.contracts, CHINA, hourly=hourly)
    return market_steps(start_ns, got, cuts, EX_MARKET, instrument_factors(instruments), CHINA)


def emitted(start_ns: np.ndarray, amount: np.ndarray, found: FactorSteps) -> np.ndarray:
    return amount * np.array([f.total for f in found.factors])[found.at(start_ns)]


# ── worked examples ───────────────────────────────────────────────────────────────────────────────


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


# ── what is uncovered ─────────────────────────────────────────────────────────────────────────────


def test_without_a_residual_mix_the_location_average_is_a_disclosed_fallback() -> None:
    location = FactorSteps.constant(Factor("grid", "kWh", (0.4419, 0, 0, 0, 0), 1.0, MEE))
    found, findings = uncovered_steps("residual_mix", None, location)
    assert found.factors[0].provenance.variant == "fallback"
    assert found.factors[0].kg == location.factors[0].kg
    assert "residual_mix is not available" in findings[0]
    assert uncovered_steps("ex_market", EX_MARKET, location) == (EX_MARKET, [])
    assert uncovered_steps("location_average", EX_MARKET, location)[0].factors[0].provenance.variant == "fallback"


# ── quality criteria ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"cancelled": None}, "not cancelled"),
        ({"cancelled": date(2026, 5, 1)}, "after the report's deadline of 2026-04-30"),
        ({"cancelled_for": "Neighbour"}, "cancelled for Neighbour, not for Factory"),
        ({"market": "GB", "kind": "REGO"}, "of the market GB, which is not that of consumption in CN-GD"),
        # Two years, the month of production counted: of January 2024 the last day is 2025-12-31.
        ({"produced": "2024-01"}, "expired on 2025-12-31, cancelled on 2026-01-20"),
        ({"issued": date(2026, 2, 1)}, "cancelled before they were issued"),
    ],
)
def test_certificates_that_are_not_counted(changed: dict[str, Any], why: str) -> None:
    kept, findings = accept([gec(**changed)], "CN-GD", "Factory", date(2026, 4, 30))
    assert kept == []
    assert why in findings[0]


def test_certificates_are_used_once() -> None:
    first, again = gec(), gec("gec-9", produced="2025-04", first_id="gec-1-00600", last_id="gec-1-00609", mwh=10)
    kept, findings = accept([again, first], "CN-GD", "factory")
    assert kept == [first]
    assert findings == [
        f"certificates {again.name} are not counted: some of these numbers are those of {first.name} already"
    ]


def test_what_a_refused_statement_claims_stays_free() -> None:
    refused, good = gec(cancelled=None), gec("gec-9", first_id="gec-1-00001", last_id="gec-1-00600")
    assert accept([refused, good], "CN-GD")[0] == [good]


def test_doubts_are_told_and_do_not_refuse() -> None:
    kept, findings = accept([gec(kind="other", cancelled_for="")], "CN-GD", "Factory")
    assert len(kept) == 1
    assert ["for whom" in findings[0], "when they expire" in findings[1]] == [True, True]


def test_guarantees_of_origin_cross_borders_within_the_eea_only() -> None:
    # Directive (EU) 2018/2001, article 19: 18 months after production; of March 2025 up to the end of September 2026.
    norway = gec(kind="GO", market="NO", cancelled=date(2026, 9, 30))
    assert accept([norway], "ES")[0] == [norway]
    assert accept([norway], "GB")[0] == []
    assert accept([gec(kind="GO", market="NO", cancelled=date(2026, 10, 1))], "ES")[0] == []
    assert markets_of("US-CAMX") == {"US"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"last_id": "gec-1-00500"}, "hold 500 certificates of 1 MWh, but mwh says 600"),
        ({"last_id": "gec-2-00600"}, "of one series"),
        ({"produced": "2025-13"}, "match"),
    ],
)
def test_statements_that_contradict_themselves(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        gec(**changed)


def test_one_statement_of_several_series_and_two_instruments_of_one_name() -> None:
    first, second = gec(mwh=10), gec(mwh=5, first_id="gec-1-00011", last_id="gec-1-00015", produced="2025-04")
    start, bought = hours(2025, 3, 10), np.full(10, 10 * MWH)
    got = allocate(start, bought, Instruments(accept([first, second], "CN-GD", "Factory")[0]), CHINA)
    assert {name: int(amounts.sum()) for name, amounts in got.covered.items()} == {
        first.name: 10 * MWH, second.name: 5 * MWH,
    }  # fmt: skip
    with pytest.raises(GatewayError, match="given twice: gec-1 gec-1-00001–gec-1-00010"):
        Instruments([first, first])


# ── properties ────────────────────────────────────────────────────────────────────────────────────

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
