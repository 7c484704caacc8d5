"""Emission factors in time: a timeline per (region, kind, carrier), looked up in columns; never a bare number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from pipeline.batch import Times, Values


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who says so: carried beside every step of a timeline."""

    publisher: str
    publication: str
    data_year: int
    published_on: str
    gas: str
    source: str
    variant: Literal["exact", "latest", "fallback"] = "exact"
    uncertainty: float | None = None


@dataclass(frozen=True)
class FactorTimeline:
    """Steps of one factor [kg CO₂e per unit of the amount it multiplies].

    start_ns int64[k] ascending, value float64[k], provenance[k]. Step i holds from start_ns[i] to start_ns[i+1];
    before the first step the first holds.
    """

    name: str
    unit: str
    start_ns: Times
    value: Values
    provenance: tuple[Provenance, ...]

    def step(self, time_ns: Times) -> npt.NDArray[np.int64]:
        """Return the step in force just before each instant, i.e. for an interval ending there."""
        return np.maximum(np.searchsorted(self.start_ns, time_ns, side="left") - 1, 0)

    @cached_property
    def fallback(self) -> npt.NDArray[np.bool_]:
        return np.array([p.variant == "fallback" for p in self.provenance], bool)

    def to_json(self) -> dict[str, Any]:
        distinct = {said: number for number, said in enumerate(dict.fromkeys(self.provenance))}
        return {
            "name": self.name,
            "unit": self.unit,
            "start_ns": self.start_ns.tolist(),
            "value": self.value.tolist(),
            "said": [{f: getattr(p, f) for f in Provenance.__slots__} for p in distinct],
            "provenance": [distinct[p] for p in self.provenance],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        said = [Provenance(**p) for p in data["said"]] if "said" in data else []  # plans once repeated it per step
        return cls(
            data["name"],
            data["unit"],
            np.array(data["start_ns"], np.int64),
            np.array(data["value"], np.float64),
            tuple(said[p] if isinstance(p, int) else Provenance(**p) for p in data["provenance"]),
        )


def weigh(
    timeline: FactorTimeline, time_ns: Times, span_ns: Times, amount: Values
) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Return (emissions [kg], fallback used) of amounts spread evenly over the intervals (time − span, time].

    emissions = Σ_steps amount · overlap(step, interval)/span · value(step). An interval that crosses a step is split
    there; an instant takes the step it ends in.
    """
    last = timeline.step(time_ns)
    first = np.where(span_ns > 0, timeline.step(time_ns - span_ns + 1), last)
    emissions = amount * timeline.value[last]
    fallback = timeline.fallback
    used = fallback[last].copy()
    for row in np.flatnonzero(first != last):
        steps = np.arange(first[row], last[row] + 1)
        edges = np.concatenate(([time_ns[row] - span_ns[row]], timeline.start_ns[steps[1:]], [time_ns[row]]))
        shares = np.diff(edges) / span_ns[row]
        emissions[row] = amount[row] * float(shares @ timeline.value[steps])
        used[row] = bool(fallback[steps].any())
    return emissions, used
