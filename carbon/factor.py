"""Emission factors as the account uses them: kilograms by gas per unit, never without who said so and for when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson

from pipeline.batch import Times
from pipeline.factors import Provenance

# kg CO₂e by gas; `mixed` is a factor whose publisher states CO₂e and no split. Biogenic CO₂ stands apart from all.
GASES: Final = ("co2", "ch4", "n2o", "fgas", "mixed")
EVER: Final = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class Factor:
    """What one unit of an activity emits.

    kg [kg CO₂e per unit] by gas in the order of GASES, global warming potentials applied; biogenic [kg CO₂ per unit],
    outside the scopes; kwh [kWh per unit], the energy of one unit by its net calorific value; uncertainty: half the
    95 % interval as a share, None where nobody states it.
    """

    id: str  # <publisher or set>/<what>/<kind>/<year>, e.g. mee-nbs/CN-GD/location_average/2023
    unit: str  # of the activity: kWh, m3, t, kg, L …
    kg: tuple[float, float, float, float, float]
    kwh: float
    provenance: Provenance
    biogenic: float = 0.0
    uncertainty: float | None = None
    gwp: str = ""  # AR4, AR5 or AR6 where a potential was applied

    @property
    def total(self) -> float:
        """All gases together [kg CO₂e per unit]."""
        return float(sum(self.kg))

    def scaled(self, ratio: float, unit: str) -> Self:
        """Return it per another unit, of which one is `ratio` of this one's: 110 kg/GJ, 0.0036, kWh → 0.396 kg/kWh."""
        co2, ch4, n2o, fgas, mixed = (ratio * part for part in self.kg)
        kg = (co2, ch4, n2o, fgas, mixed)
        return replace(self, unit=unit, kg=kg, kwh=ratio * self.kwh, biogenic=ratio * self.biogenic)

    def to_json(self) -> dict[str, Any]:
        """Return the factor as JSON-ready data."""
        said = {name: getattr(self, name) for name in ("id", "unit", "kg", "kwh", "biogenic", "uncertainty", "gwp")}
        return said | {"provenance": {name: getattr(self.provenance, name) for name in Provenance.__slots__}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the factor `to_json` made the data of."""
        kg, provenance = tuple(data["kg"]), Provenance(**data["provenance"])
        return cls(**{**data, "kg": kg, "provenance": provenance})

    @cached_property
    def version(self) -> str:
        """Identity of its content: what changes in value or source has another version."""
        return hashlib.sha256(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


@dataclass(frozen=True)
class FactorSteps:
    """One factor in time: factors[i] holds from start_ns[i] up to start_ns[i + 1]; the first one before it too."""

    start_ns: Times
    factors: tuple[Factor, ...]

    def at(self, start_ns: Times) -> npt.NDArray[np.int64]:
        """Return which step holds for an interval that begins at each instant."""
        return np.maximum(np.searchsorted(self.start_ns, start_ns, side="right") - 1, 0)

    @classmethod
    def constant(cls, factor: Factor) -> Self:
        """Return steps of one factor that holds for ever."""
        return cls(np.array([EVER], np.int64), (factor,))


def steps(parts: Sequence[tuple[int, Factor]]) -> FactorSteps:
    """Return the steps of (start [ns], factor), ascending."""
    return FactorSteps(np.array([start for start, _ in parts], np.int64), tuple(factor for _, factor in parts))
