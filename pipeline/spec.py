"""What is known of one series as it is compiled from config: kind, unit, scale, limits, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from pipeline.ratios import Steps


class Kind(IntEnum):
    """How a series behaves; DELTA is the amount of an interval."""

    GAUGE = 0
    COUNTER = 1
    STATE = 2
    DELTA = 3


NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Like:
    """What alike series share: many thousand points of one template have one object.

    Values are canonical: `(raw · mul / div + offset)`, in `unit`.
    """

    connection: str
    quantity: str
    unit: str
    kind: int
    measurement: str
    field: str
    mul: float = 1.0
    div: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    modulus: float = NAN  # width of the register in `unit`; NaN: it does not roll over
    resolution: float = 0.0  # least step the register can show [unit]
    max_rate: float = NAN  # [unit/h]; NaN: unknown
    max_hold_ns: int = 0  # gauges: longest step integrated; 0: not integrated
    relative: float = 0.0  # a float register's step as a share of its value
    period_ns: int = 0  # how often a reading is expected; 0: unknown
    stratum: int = 0
    # Of what a meter behind transformers shows: (from when on [ns], ratio). Gauges are multiplied themselves, of a
    # counter only its amounts: the index stays what the register shows, and so does all else that is said here of it.
    ratios: Steps = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One series as compiled from config."""

    key: str
    tags: tuple[tuple[str, str], ...]  # database tags, sorted by key
    like: Like
    amount: str = ""  # key of the DELTA series this one yields
    # What else follows from each row by a factor: (key of the product's series, timeline), e.g. kg CO₂e from kWh,
    # kg/h from kW, kWh from m³.
    products: tuple[tuple[str, str], ...] = ()
    place: str = ""  # where it is read, see pipeline.places; "" for what is not, and in plans of earlier versions


@cache
def ratio(scale: float) -> tuple[float, float]:
    """Return (mul, div) of a scale so that 0.1 becomes a division by 10: 2301 reads 230.1, not 230.10000000000002."""
    fraction = Fraction(scale).limit_denominator(10**9)
    if fraction and abs(float(fraction) / scale - 1) < 1e-12:
        return float(fraction.numerator), float(fraction.denominator)
    return scale, 1.0


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that follows by a factor: target series int32[n] and timeline int32[n] by source id, −1 for none."""

    series: npt.NDArray[np.int32]
    timeline: npt.NDArray[np.int32]
