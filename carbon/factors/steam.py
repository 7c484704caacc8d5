"""Mass and state of steam, hot water and chilled water → heat, and the factors of bought heat per GJ, kWh or tonne."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.factor import Factor
from carbon.factors import if97
from carbon.factors.if97 import Reals
from config.points import SteamState, WaterState
from config.quantities import conversion
from pipeline.factors import Provenance

KELVIN: Final = 273.15
FEED_KJ_PER_KG: Final = 83.74  # enthalpy of the water it was made from, at 20 °C, as the guidelines fix it
FEED_CELSIUS: Final = 20.0
WATER_KJ_PER_KG_K: Final = 4.1868
COOLING_KWH_PER_M3_K: Final = 1.163  # 1,000 kg/m³ · 4.1868 kJ/(kg·K) / 3,600 kJ/kWh
_SLACK_K: Final = 3.0  # what a thermometer and a pressure gauge of a steam main may disagree by


def dry_steam(mpa: npt.ArrayLike, celsius: npt.ArrayLike | None = None) -> Reals:
    """Return the specific enthalpy [kJ/kg] of steam at an absolute pressure [MPa] and a temperature [°C].

    Without a temperature the steam is saturated. A reading up to 3 K below the boiling point counts as saturated:
    taken at its word it would be water, with a third of the heat. Raises ValueError for colder steam and outside the
    range of IAPWS-IF97 region 2.
    """
    boils = if97.saturation_temperature(np.minimum(mpa, if97.CRITICAL_MPA))
    if celsius is None:
        return if97.steam_enthalpy(mpa, boils)
    kelvin = np.asarray(celsius, np.float64) + KELVIN
    cold = kelvin < boils - _SLACK_K
    if np.any(cold):
        read, least = (np.broadcast_to(column, cold.shape)[cold].flat[0] - KELVIN for column in (kelvin, boils))
        raise ValueError(
            f"steam of this pressure is at least {least:.1f} °C, yet the temperature is {read:.1f} °C: that is water; "
            "is the pressure absolute, and in MPa? For saturated steam leave the temperature out"
        )
    return if97.steam_enthalpy(mpa, np.maximum(kelvin, boils))


def wet_steam(mpa: npt.ArrayLike, dryness: npt.ArrayLike) -> Reals:
    """Return the specific enthalpy [kJ/kg] of saturated steam of which a share `dryness` is steam and the rest water.

    h = x·h″ + (1 − x)·h′. Raises ValueError for a dryness outside 0 … 1 and a pressure above 16.53 MPa.
    """
    share = np.asarray(dryness, np.float64)
    if not np.all((share >= 0) & (share <= 1)):
        raise ValueError("dryness is the share of steam in wet steam, between 0 and 1")
    boils = if97.saturation_temperature(mpa)
    return share * if97.steam_enthalpy(mpa, boils) + (1 - share) * if97.water_enthalpy(mpa, boils)


def steam_heat(tonnes: npt.ArrayLike, kj_per_kg: npt.ArrayLike, back_kj_per_kg: float = FEED_KJ_PER_KG) -> Reals:
    """Return the heat [GJ] of bought steam: AD = m·(h − 83.74)/1000, m [t], h [kJ/kg].

    `back_kj_per_kg` [kJ/kg] is for condensate that is metered and given back. Source: activity data of bought heat in
    the 24 guidelines of the NDRC (发改办气候〔2013〕2526号, 〔2014〕2920号, 〔2015〕1722号).
    """
    heat: Reals = np.asarray(tonnes, np.float64) * (np.asarray(kj_per_kg, np.float64) - back_kj_per_kg) / 1000
    return heat


def hot_water_heat(tonnes: npt.ArrayLike, celsius: npt.ArrayLike, back_celsius: npt.ArrayLike = FEED_CELSIUS) -> Reals:
    """Return the heat [GJ] of bought hot water: AD = m·(T − 20)·4.1868/1000, m [t], T [°C].

    `back_celsius` [°C] is for water that returns to the supplier. Source: as for steam.
    """
    warmer = np.asarray(celsius, np.float64) - np.asarray(back_celsius, np.float64)
    heat: Reals = np.asarray(tonnes, np.float64) * warmer * WATER_KJ_PER_KG_K / 1000
    return heat


def cooling_energy(m3: npt.ArrayLike, kelvin: npt.ArrayLike) -> Reals:
    """Return the cold [kWh thermal] that V [m³] of chilled water took up while warming by ΔT [K]: 1.163·V·ΔT."""
    return COOLING_KWH_PER_M3_K * np.asarray(m3, np.float64) * np.asarray(kelvin, np.float64)


def per_tonne(heat: Factor, kj_per_kg: float, back_kj_per_kg: float = FEED_KJ_PER_KG) -> Factor:
    """Return a factor of heat as one per tonne of steam of a state that the contract fixes, e.g. 0.8 MPa saturated.

    One tonne carries (h − 83.74)/1000 GJ. Raises ValueError where the steam carries no heat.
    """
    gj = float(steam_heat(1.0, kj_per_kg, back_kj_per_kg))
    if gj <= 0:
        raise ValueError(f"steam of {kj_per_kg:g} kJ/kg carries no heat above the {back_kj_per_kg:g} kJ/kg given back")
    return replace(per_energy(heat, "GJ").scaled(gj, "t"), id=f"{heat.id}@{kj_per_kg:.2f}kJ/kg")


def heat_per_tonne(heat: Factor, state: SteamState | WaterState) -> Factor:
    """Return a factor of heat as one per tonne of steam or hot water in a configured state.

    Raises ValueError for a state that is none of steam, or brings no heat.
    """
    if isinstance(state, WaterState):
        return per_tonne(heat, WATER_KJ_PER_KG_K * state.celsius, WATER_KJ_PER_KG_K * state.back_celsius)
    wet = state.dryness is not None
    return per_tonne(
        heat, float(wet_steam(state.mpa, state.dryness or 1.0) if wet else dry_steam(state.mpa, state.celsius))
    )  # fmt: skip


def mistake_of(state: SteamState | WaterState) -> str:
    """Return why a configured state brings no heat, "" where it does."""
    try:
        heat_per_tonne(Factor("", "GJ", (0.0, 0.0, 0.0, 0.0, 0.0), 0.0, Provenance("", "", 0, "", "", "")), state)
    except ValueError as error:
        return str(error)
    return ""


def per_energy(factor: Factor, unit: str) -> Factor:
    """Return a factor per unit of energy as one per another, e.g. 110 kg/GJ → 0.396 kg/kWh.

    Raises ValueError where one of them is no unit of energy.
    """
    return factor.scaled(conversion(unit, "energy")[0] / conversion(factor.unit, "energy")[0], unit)
