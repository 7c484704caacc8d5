"""Pressure and temperature of water and steam → specific enthalpy, by the IAPWS Industrial Formulation 1997.

Regions 1 (water), 2 (steam) and 4 (the saturation line) of IAPWS R7-97(2012), "Revised Release on the IAPWS
Industrial Formulation 1997 for the Thermodynamic Properties of Water and Steam", www.iapws.org. The tables below are
those of the release, row by row. Pressures are absolute [MPa], temperatures [K]; all functions take columns or scalars.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]

_R: Final = 0.461526  # specific gas constant of water [kJ/(kg·K)], eq. (1)
_COLD, _HOT, _REGION_1, _B23, _CRITICAL = 273.15, 1073.15, 623.15, 863.15, 647.096  # [K]
_TRIPLE_MPA, CRITICAL_MPA, _MOST_MPA = 0.000611213, 22.064, 100.0

# Table 2: I, J, n of γ = Σ n·(7.1 − π)^I·(τ − 1.222)^J
_WATER: Final = np.array([
    (0, -2, 0.14632971213167e0), (0, -1, -0.84548187169114e0), (0, 0, -0.37563603672040e1),
    (0, 1, 0.33855169168385e1), (0, 2, -0.95791963387872e0), (0, 3, 0.15772038513228e0),
    (0, 4, -0.16616417199501e-1), (0, 5, 0.81214629983568e-3), (1, -9, 0.28319080123804e-3),
    (1, -7, -0.60706301565874e-3), (1, -1, -0.18990068218419e-1), (1, 0, -0.32529748770505e-1),
    (1, 1, -0.21841717175414e-1), (1, 3, -0.52838357969930e-4), (2, -3, -0.47184321073267e-3),
    (2, 0, -0.30001780793026e-3), (2, 1, 0.47661393906987e-4), (2, 3, -0.44141845330846e-5),
    (2, 17, -0.72694996297594e-15), (3, -4, -0.31679644845054e-4), (3, 0, -0.28270797985312e-5),
    (3, 6, -0.85205128120103e-9), (4, -5, -0.22425281908000e-5), (4, -2, -0.65171222895601e-6),
    (4, 10, -0.14341729937924e-12), (5, -8, -0.40516996860117e-6), (8, -11, -0.12734301741641e-8),
    (8, -6, -0.17424871230634e-9), (21, -29, -0.68762131295531e-18), (23, -31, 0.14478307828521e-19),
    (29, -38, 0.26335781662795e-22), (30, -39, -0.11947622640071e-22), (31, -40, 0.18228094581404e-23),
    (32, -41, -0.93537087292458e-25),
]).T  # fmt: skip
# Table 10: J, n of γ° = ln π + Σ n·τ^J
_IDEAL: Final = np.array([
    (0, -0.96927686500217e1), (1, 0.10086655968018e2), (-5, -0.56087911283020e-2), (-4, 0.71452738081455e-1),
    (-3, -0.40710498223928e0), (-2, 0.14240819171444e1), (-1, -0.43839511319450e1), (2, -0.28408632460772e0),
    (3, 0.21268463753307e-1),
]).T  # fmt: skip
# Table 11: I, J, n of γʳ = Σ n·π^I·(τ − 0.5)^J
_RESIDUAL: Final = np.array([
    (1, 0, -0.17731742473213e-2), (1, 1, -0.17834862292358e-1), (1, 2, -0.45996013696365e-1),
    (1, 3, -0.57581259083432e-1), (1, 6, -0.50325278727930e-1), (2, 1, -0.33032641670203e-4),
    (2, 2, -0.18948987516315e-3), (2, 4, -0.39392777243355e-2), (2, 7, -0.43797295650573e-1),
    (2, 36, -0.26674547914087e-4), (3, 0, 0.20481737692309e-7), (3, 1, 0.43870667284435e-6),
    (3, 3, -0.32277677238570e-4), (3, 6, -0.15033924542148e-2), (3, 35, -0.40668253562649e-1),
    (4, 1, -0.78847309559367e-9), (4, 2, 0.12790717852285e-7), (4, 3, 0.48225372718507e-6),
    (5, 7, 0.22922076337661e-5), (6, 3, -0.16714766451061e-10), (6, 16, -0.21171472321355e-2),
    (6, 35, -0.23895741934104e2), (7, 0, -0.59059564324270e-17), (7, 11, -0.12621808899101e-5),
    (7, 25, -0.38946842435739e-1), (8, 8, 0.11256211360459e-10), (8, 36, -0.82311340897998e1),
    (9, 13, 0.19809712802088e-7), (10, 4, 0.10406965210174e-18), (10, 10, -0.10234747095929e-12),
    (10, 14, -0.10018179379511e-8), (16, 29, -0.80882908646985e-10), (16, 50, 0.10693031879409e0),
    (18, 57, -0.33662250574171e0), (20, 20, 0.89185845355421e-24), (20, 35, 0.30629316876232e-12),
    (20, 48, -0.42002467698208e-5), (21, 21, -0.59056029685639e-25), (22, 53, 0.37826947613457e-5),
    (23, 39, -0.12768608934681e-14), (24, 26, 0.73087610595061e-28), (24, 40, 0.55414715350778e-16),
    (24, 58, -0.94369707241210e-6),
]).T  # fmt: skip
# Table 34: the saturation line
_LINE: Final = (
    0.11670521452767e4, -0.72421316703206e6, -0.17073846940092e2, 0.12020824702470e5, -0.32325550322333e7,
    0.14915108613530e2, -0.48232657361591e4, 0.40511340542057e6, -0.23855557567849e0, 0.65017534844798e3,
)  # fmt: skip
_BORDER: Final = (0.34805185628969e3, -0.11671859879975e1, 0.10192970039326e-2)  # Table 1: between regions 2 and 3


def saturation_pressure(kelvin: npt.ArrayLike) -> Reals:
    """Return the pressure [MPa] at which water boils at a temperature [K], eq. (30).

    Raises ValueError outside 273.15 … 647.096 K.
    """
    t = _within(kelvin, _COLD, _CRITICAL, "K", "water boils")
    n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 = _LINE
    theta = t + n9 / (t - n10)
    a, b, c = theta**2 + n1 * theta + n2, n3 * theta**2 + n4 * theta + n5, n6 * theta**2 + n7 * theta + n8
    pressure: Reals = (2 * c / (-b + np.sqrt(b**2 - 4 * a * c))) ** 4
    return pressure


def saturation_temperature(mpa: npt.ArrayLike) -> Reals:
    """Return the temperature [K] at which water boils at an absolute pressure [MPa], eq. (31).

    Raises ValueError outside 0.000611213 … 22.064 MPa.
    """
    beta = _within(mpa, _TRIPLE_MPA, CRITICAL_MPA, "MPa", "water boils") ** 0.25
    n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 = _LINE
    e, f, g = beta**2 + n3 * beta + n6, n1 * beta**2 + n4 * beta + n7, n2 * beta**2 + n5 * beta + n8
    d = 2 * g / (-f - np.sqrt(f**2 - 4 * e * g))
    temperature: Reals = (n10 + d - np.sqrt((n10 + d) ** 2 - 4 * (n9 + n10 * d))) / 2
    return temperature


def border_pressure(kelvin: npt.ArrayLike) -> Reals:
    """Return the pressure [MPa] above which steam of 623.15 … 863.15 K is outside region 2, eq. (5)."""
    t = np.asarray(kelvin, np.float64)
    pressure: Reals = _BORDER[0] + _BORDER[1] * t + _BORDER[2] * t**2
    return pressure


def water_enthalpy(mpa: npt.ArrayLike, kelvin: npt.ArrayLike) -> Reals:
    """Return the specific enthalpy [kJ/kg] of liquid water: h = R·T·τ·γ_τ of eq. (7), region 1.

    The saturation line belongs to it. Raises ValueError outside 273.15 … 623.15 K, above 100 MPa and for steam.
    """
    t, p = _within(kelvin, _COLD, _REGION_1, "K", "water's enthalpy is known"), _pressure(mpa)
    boils = saturation_pressure(t)
    _refuse(p < boils * (1 - 1e-9), p, t, "that is steam, not water")
    pi, tau = (p / 16.53)[..., None], (1386 / t)[..., None]
    i, j, n = _WATER
    slope = (n * (7.1 - pi) ** i * j * (tau - 1.222) ** (j - 1)).sum(-1)
    enthalpy: Reals = _R * 1386 * slope  # T·τ = 1386 K
    return enthalpy


def steam_enthalpy(mpa: npt.ArrayLike, kelvin: npt.ArrayLike) -> Reals:
    """Return the specific enthalpy [kJ/kg] of dry steam: h = R·T·τ·(γ°_τ + γʳ_τ) of eqs. (16) and (17), region 2.

    The saturation line belongs to it. Raises ValueError outside 273.15 … 1,073.15 K, above 100 MPa, for water and
    for the neighbourhood of the critical point (region 3), which no heat network reaches.
    """
    t, p = _within(kelvin, _COLD, _HOT, "K", "steam's enthalpy is known"), _pressure(mpa)
    line = t <= _REGION_1
    boils = saturation_pressure(np.where(line, t, _REGION_1))
    _refuse(line & (p > boils * (1 + 1e-9)), p, t, "that is water, not steam")
    _refuse((t > _REGION_1) & (t <= _B23) & (p > border_pressure(t)), p, t, "too near the critical point")
    pi, tau = p[..., None], (540 / t)[..., None]
    j0, n0 = _IDEAL
    i, j, n = _RESIDUAL
    slope = (n0 * j0 * tau ** (j0 - 1)).sum(-1) + (n * pi**i * j * (tau - 0.5) ** (j - 1)).sum(-1)
    enthalpy: Reals = _R * 540 * slope  # T·τ = 540 K
    return enthalpy


def _pressure(mpa: npt.ArrayLike) -> Reals:
    p = np.asarray(mpa, np.float64)
    if not np.all((p > 0) & (p <= _MOST_MPA)):
        worst = p[~((p > 0) & (p <= _MOST_MPA))].flat[0]
        raise ValueError(
            f"{worst:g} MPa is no absolute pressure between 0 and {_MOST_MPA:g} MPa; add 0.1013 to a gauge's"
        )
    return p


def _within(values: npt.ArrayLike, low: float, high: float, unit: str, what: str) -> Reals:
    column = np.asarray(values, np.float64)
    good = (column >= low) & (column <= high)
    if not np.all(good):
        raise ValueError(f"{what} between {low:g} and {high:g} {unit}, not at {column[~good].flat[0]:g} {unit}")
    return column


def _refuse(wrong: npt.NDArray[np.bool_], p: Reals, t: Reals, why: str) -> None:
    if np.any(wrong):
        pressure, temperature = (np.broadcast_to(column, wrong.shape)[wrong].flat[0] for column in (p, t))
        raise ValueError(f"{pressure:g} MPa absolute at {temperature - 273.15:.2f} °C: {why}")
