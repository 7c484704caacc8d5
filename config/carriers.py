"""What each carrier of energy is: its scope and category in the account, and in which state it is bought."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from config.points import Point

State = Literal["", "gas", "liquid", "solid"]


class About(NamedTuple):
    """Facts of a carrier; scope 0 is what carries no emissions of its own in the account."""

    scope: Literal[0, 1, 2]
    category: str
    electric: bool = False  # multiplied by the grid's factor
    state: State = ""
    biogenic: bool = False  # its CO₂ is told apart from the scopes

    @property
    def fuel(self) -> bool:
        """Whether it is burnt."""
        return self.category == "stationary_combustion"


def _fuels(names: str, state: State, *, biogenic: bool = False) -> dict[str, About]:
    return {name: About(1, "stationary_combustion", state=state, biogenic=biogenic) for name in names.split()}


NOTHING: Final = About(0, "")
CARRIERS: Final[dict[str, About]] = {
    "electricity": About(2, "purchased_electricity", electric=True),
    **{name: About(1, "own_generation") for name in ("solar", "wind", "hydro")},
    "heat": About(2, "purchased_heat"),
    "hot_water": About(2, "purchased_heat"),
    "steam": About(2, "purchased_steam"),
    "cooling": About(2, "purchased_cooling"),
    **_fuels(
        "natural_gas coke_oven_gas blast_furnace_gas converter_gas calcium_carbide_gas other_coal_gas refinery_gas "
        "hydrogen",
        "gas",
    ),
    **_fuels("biogas", "gas", biogenic=True),
    **_fuels(
        "lng lpg diesel petrol kerosene fuel_oil crude_oil naphtha waste_oil coal_tar crude_benzol", "liquid"
    ),
    **_fuels("biodiesel biogasoline", "liquid", biogenic=True),
    **_fuels(
        "anthracite bituminous subbituminous lignite coking_coal washed_coal other_washed_coal briquette coke petcoke "
        "peat industrial_waste msw_fossil",
        "solid",
    ),
    **_fuels("wood solid_biomass charcoal", "solid", biogenic=True),
    **dict.fromkeys(("compressed_air", "water", "product", "none"), NOTHING),
}  # fmt: skip


def counted_in(point: Point, asset_carrier: str) -> str:
    """Return the unit (m3, t, kWh) in which a point counts its carrier, "" where it counts something else.

    A mass beside a gas burner is its product, unless the point says that it is the fuel.
    """
    kind = about(point.carrier or asset_carrier)
    if point.quantity in ("energy_index", "power"):
        return "kWh"
    if point.quantity == "volume_index" and kind.state in ("gas", "liquid"):
        return "m3"
    fuel = kind.state in ("liquid", "solid") or (kind.state == "gas" and point.carrier is not None)
    return "t" if point.quantity == "mass_index" and fuel else ""


def about(carrier: str) -> About:
    """Return what a carrier is; one nobody knows counts nothing."""
    return CARRIERS.get(carrier, NOTHING)
