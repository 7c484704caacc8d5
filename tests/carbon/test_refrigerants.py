"""Gas that escaped is what the balance of its stock says, times the potential of its components."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.factors.refrigerants import BLENDS, Stock, gas_factor, lost
from config.gwp import gwp_rows

# UK DESNZ greenhouse gas conversion factors 2025, sheet "Refrigerant & other", AR5 basis [kg CO₂e/kg]: published as
# such, so they check the compositions as well as the potentials of the components.
DESNZ_2025 = {
    "R404A": 3943, "R407A": 1923, "R407C": 1624, "R407F": 1674, "R410A": 1924, "R417A": 2127, "R422D": 2473,
    "R427A": 2024, "R507A": 3985, "R508B": 11698,
}  # fmt: skip


@pytest.mark.parametrize("blend", BLENDS)
def test_blends_are_what_a_government_publishes(blend: str) -> None:
    assert sum(BLENDS[blend].values()) == pytest.approx(1.0, abs=1e-12)
    assert gas_factor(blend, "AR5").total == pytest.approx(DESNZ_2025[blend], abs=0.51)  # they round to whole numbers


def test_410a_by_hand_in_each_report() -> None:
    # half HFC-32, half HFC-125: AR4 (675 + 3500)/2 = 2087.5; AR5 (677 + 3170)/2 = 1923.5; AR6 (771 + 3740)/2 = 2255.5
    assert [gas_factor("R-410A", s).kg[3] for s in ("AR4", "AR5", "AR6")] == [2087.5, 1923.5, 2255.5]


def test_sulphur_and_nitrogen_fluorides() -> None:
    # IPCC AR5 WG1 table 8.A.1: SF₆ 23,500, NF₃ 16,100
    assert gas_factor("SF6", "AR5").kg == (0, 0, 0, 23500, 0)
    assert gas_factor("nf3", "AR5").kg == (0, 0, 0, 16100, 0)
    assert gas_factor("SF6", "AR5", "t").total == 23_500_000
    assert gas_factor("SF6", "AR6").gwp == "AR6"


def test_other_gases_go_to_their_own_column() -> None:
    assert gas_factor("R744", "AR5").kg == (1, 0, 0, 0, 0)
    assert gas_factor("CH4", "AR5").kg == (0, 28, 0, 0, 0)
    assert gas_factor("N2O", "AR5").kg == (0, 0, 265, 0, 0)
    assert gas_factor("R600a", "AR5").total == 0


@pytest.mark.parametrize(("trade", "name"), [("R22", "HCFC22"), ("R-134a", "HFC134a"), ("r 32", "HFC32")])
def test_names_of_the_trade_are_understood(trade: str, name: str) -> None:
    assert gas_factor(trade, "AR5").total == gas_factor(name, "AR5").total == gwp_rows()[name, "AR5"].value


@pytest.mark.parametrize(
    ("species", "gwp_set", "unit", "says"),
    [
        ("R410B", "AR5", "kg", "known for 'R410B'; did you mean 'R410A'"),
        ("HFC134", "AR5", "kg", "did you mean 'HFC134a'"),
        ("CH4_fossil", "AR4", "kg", "no potential in AR4; CH4_fossil is known in AR5, AR6"),
        ("SF6", "AR5", "m3", "weighed in kg or t"),
    ],
)
def test_what_is_unknown_is_told_with_what_comes_near(species: str, gwp_set: str, unit: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        gas_factor(species, gwp_set, unit)


def test_bottles_by_hand() -> None:
    # 40 kg in bottles at New Year, 120 kg bought, 30 kg left at its end, 10 kg sent back: 40 + 120 − 30 − 10 = 120 kg;
    # as R410A (AR5 1,923.5): 230,820 kg CO₂e
    escaped = lost(Stock(opening=40, bought=120, closing=30, given=10))
    assert escaped == 120
    assert escaped * gas_factor("R410A", "AR5").total == pytest.approx(230_820)


def test_switchgear_by_hand() -> None:
    # 40 CFR 98.303 eq. DD-1: (decrease in stored SF₆) + bought − given − (net increase of nameplate capacity):
    # (50 − 35) + 60 − 5 − (80 − 20) = 10 kg; of SF₆ (AR5 23,500): 235 t CO₂e
    escaped = lost(Stock(opening=50, bought=60, closing=35, given=5, filled=80, retired=20))
    assert escaped == 10
    assert escaped * gas_factor("SF6", "AR5").total == 235_000


def test_a_stock_that_grew_from_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grew by 5 kg that nobody bought: .* count again"):
        lost(Stock(opening=10, bought=0, closing=15))
    with pytest.raises(ValueError, match="closing is an amount in kg and cannot be -1"):
        lost(Stock(opening=10, bought=0, closing=-1))
    with pytest.raises(ValueError, match="bought is an amount in kg and cannot be nan"):
        lost(Stock(opening=10, bought=float("nan"), closing=1))
    assert lost(Stock(opening=0.1, bought=0.2, closing=0.3)) == 0  # not a loss of 5e-17 kg, nor a refusal


amounts = st.floats(0, 1e4)


@given(amounts, amounts, amounts, st.integers(2, 9))
def test_the_balance_is_linear_and_closes(opening: float, bought: float, used: float, times: int) -> None:
    used = min(used, opening + bought)
    closing = max(opening + bought - used, 0.0)
    one = lost(Stock(opening, bought, closing))
    assert one == pytest.approx(used, abs=1e-6)
    many = lost(Stock(times * opening, times * bought, times * closing))
    assert many == pytest.approx(times * one, abs=1e-5)
