"""The machines of a station and a flow that is wanted → which of them should run, and at what cost of power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import numpy as np

MAX_MACHINES: Final = 12  # 2¹² · 12 choices are tried one by one


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine takes to deliver a flow: straight lines between (flow [m³/min], power [kW]) points.

    The first point is at flow 0: what it takes unloaded. Between it and the next a machine that cannot go so low
    loads and unloads.
    """

    name: str
    curve: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        flows = [flow for flow, _ in self.curve]
        if len(flows) < 2 or flows[0] != 0.0 or any(a >= b for a, b in pairwise(flows)):
            raise ValueError(f"the curve of '{self.name}' must begin at flow 0 and rise")

    @property
    def full(self) -> tuple[float, float]:
        """The most it delivers [m³/min], and what that takes [kW]."""
        return self.curve[-1]

    def power(self, flow: float) -> float:
        """Return the power at a flow [kW]."""
        flows, powers = zip(*self.curve, strict=True)
        return float(np.interp(flow, flows, powers))


@dataclass(frozen=True, slots=True)
class Choice:
    """Machines that run full, the one that follows the demand ("" for none), and the power of all [kW]."""

    full: tuple[str, ...]
    trim: str
    power_kw: float
    flow_m3_min: float

    @property
    def specific_power(self) -> float:
        """Power over flow [kW/(m³/min)]."""
        return self.power_kw / self.flow_m3_min if self.flow_m3_min else float("nan")


def together(machines: Sequence[Machine], demand_m3_min: float) -> float | None:
    """Return the power when all of them run, each at the same share of its full flow [kW]; None beyond what they can.

    So they share where all hang at one pressure. P = Σ Pᵢ(s · Vᵢ), s = V / Σ Vᵢ.
    """
    share = demand_m3_min / sum(m.full[0] for m in machines)
    return None if share > 1 + 1e-9 else sum(m.power(share * m.full[0]) for m in machines)


def best(machines: Sequence[Machine], demand_m3_min: float) -> Choice | None:
    """Return the choice that delivers a demand with the least power; None where all together cannot.

    As a station's controller works: some machines run full, at most one follows the demand, the others stand. Every
    such choice is tried. Of equal ones the one with fewer machines is taken. Raises ValueError for more than
    MAX_MACHINES or a negative demand.
    """
    if len(machines) > MAX_MACHINES or demand_m3_min < 0:
        raise ValueError(f"at most {MAX_MACHINES} machines, and no negative demand")
    if demand_m3_min == 0:
        return Choice((), "", 0.0, 0.0)
    found: Choice | None = None
    for count in range(len(machines) + 1):
        for full in combinations(machines, count):
            rest = demand_m3_min - sum(m.full[0] for m in full)
            if rest < -1e-9:
                continue
            base = sum(m.full[1] for m in full)
            names = tuple(m.name for m in full)
            options = [(base, "")] if abs(rest) <= 1e-9 else [
                (base + m.power(rest), m.name) for m in machines if m not in full and m.full[0] >= rest - 1e-9
            ]  # fmt: skip
            for power, trim in options:
                if found is None or power < found.power_kw - 1e-9:
                    found = Choice(names, trim, power, demand_m3_min)
    return found
