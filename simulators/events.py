"""What goes wrong with machines: a scenario's events and a time enter, changed physics leaves.

Where faults change what is shown, events change what is: the truth and every reading that follows from it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from config.strict import Name, Strict
from simulators.chiller import WaterCooledChiller
from simulators.compressed_air import CompressedAir
from simulators.electric_meter import MainMeter
from simulators.furnace import GasFurnace

_DAY_S = 86_400.0


class _Event(Strict):
    """One quantity of one machine, moved by an amount of time's: from `at_s` after the first step, for `for_s`."""

    machine: ClassVar[type]
    quantity: ClassVar[str]

    at_s: Annotated[float, Field(ge=0)]
    for_s: Annotated[float, Field(gt=0)] = math.inf  # then it is mended
    asset: Name

    @abstractmethod
    def amount(self, since_s: float) -> float:
        """Return by how much the quantity is moved `since_s` after the event began."""

    def at(self, elapsed_s: float) -> float:
        """Return by how much the quantity is moved `elapsed_s` after the first step."""
        since_s = elapsed_s - self.at_s
        return self.amount(since_s) if 0.0 <= since_s < self.for_s else 0.0


def _grown(per_day: float, most: float, since_s: float) -> float:
    return min(most, per_day * since_s / _DAY_S)


class Leak(_Event):
    """A hole in the compressed-air net that grows."""

    machine = CompressedAir
    quantity = "leak_m3_min"

    event: Literal["leak"]
    m3_min_per_day: Annotated[float, Field(gt=0)]
    most_m3_min: Annotated[float, Field(gt=0)] = 5.0

    def amount(self, since_s: float) -> float:
        return _grown(self.m3_min_per_day, self.most_m3_min, since_s)


class Fouling(_Event):
    """A condenser whose tubes foul: its approach grows by the share reached, 1 doubles it."""

    machine = WaterCooledChiller
    quantity = "fouling"

    event: Literal["fouling"]
    per_day: Annotated[float, Field(gt=0)]
    most: Annotated[float, Field(gt=0)] = 1.0

    def amount(self, since_s: float) -> float:
        return _grown(self.per_day, self.most, since_s)


class Idle(_Event):
    """A furnace kept hot for nothing: the mill takes no pieces, the burner holds the temperature."""

    machine = GasFurnace
    quantity = "wanted"

    event: Literal["idle"]

    def amount(self, since_s: float) -> float:
        return -1.0


class ExtraLoad(_Event):
    """A consumer that runs and should not; behind no meter but the main one."""

    machine = MainMeter
    quantity = "extra_kw"

    event: Literal["extra_load"]
    kw: Annotated[float, Field(gt=0)]

    def amount(self, since_s: float) -> float:
        return self.kw


Event = Annotated[Leak | Fouling | Idle | ExtraLoad, Field(discriminator="event")]
_CAN = {Leak: "leak", Fouling: "foul", Idle: "idle hot", ExtraLoad: "carry a load nobody meters"}


def problem(event: Event, machines: Mapping[str, object]) -> str | None:
    """Return why an event cannot happen to these machines, None where it can."""
    if isinstance(machines.get(event.asset), event.machine):
        return None
    able = ", ".join(f"'{name}'" for name, machine in machines.items() if isinstance(machine, event.machine))
    what = f"'{event.asset}' cannot {_CAN[type(event)]}" if event.asset in machines else f"there is no '{event.asset}'"
    return f"{what}; what can here: {able or 'nothing'}"


class Events:
    """The events of a plant on their way; each moves its machine by the difference since the last step.

    Raises ValueError for an event that cannot happen to these machines.
    """

    def __init__(self, events: Iterable[Event], machines: Mapping[str, object]) -> None:
        self._moved: list[tuple[Event, object, float]] = []
        for event in events:
            if why := problem(event, machines):
                raise ValueError(f"event '{event.event}' at {event.at_s:g} s: {why}")
            self._moved.append((event, machines[event.asset], 0.0))

    def step(self, elapsed_s: float) -> None:
        """Move every machine to `elapsed_s` after the first step."""
        for n, (event, machine, before) in enumerate(self._moved):
            now = event.at(elapsed_s)
            setattr(machine, event.quantity, getattr(machine, event.quantity) + now - before)
            self._moved[n] = (event, machine, now)
