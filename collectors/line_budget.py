"""The lines of a plant and what each device costs on them in; words about each, and what is too much for it, out.

A line is a bus: a serial port of this machine, or what is behind a serial server or a gateway.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from collectors.line_rest import SHARE
from config.protocols.serial import Serial

_BAUD_RATES: Final = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200)

Found = tuple[tuple[str | int, ...], str]  # where in the configuration, and what is wrong there


@dataclass(frozen=True, slots=True)
class Share:
    """What one device uses of its bus: the requests of a cycle and what they cost on a line [s], how often [s]."""

    device: str
    requests: int
    cost_s: Callable[[Serial], float]
    line: Serial
    period_s: float

    @property
    def busy_s(self) -> float:
        """The bus' time for one cycle."""
        return self.cost_s(self.line)

    @property
    def load(self) -> float:
        """The share of the bus' time, 1 = all of it."""
        return self.busy_s / self.period_s


@dataclass(slots=True)
class Bus:
    """A line with its devices; `cycle_s` is how long it takes to read each of them once."""

    name: str
    line: Serial
    connection: str  # the first that uses it
    shares: list[Share] = field(default_factory=list)

    @property
    def cycle_s(self) -> float:
        return sum(share.busy_s for share in self.shares)

    @property
    def load(self) -> float:
        return sum(share.load for share in self.shares)


def overloads(found: Iterable[Bus]) -> Iterator[Found]:
    """Yield the buses that cannot keep the periods asked of them, and what would do."""
    for bus in found:
        if bus.load > 1 - SHARE:
            yield ("connections", bus.connection, "every_s"), f"{_told(bus)}; {_remedy(bus)}"


def words(bus: Bus) -> Iterator[str]:
    """Yield lines for a person: the bus, then what its devices use of it, equal ones together."""
    form = f"{bus.line.baudrate} baud, {bus.line.data_bits}{bus.line.parity}{bus.line.stop_bits}"
    requests = sum(share.requests for share in bus.shares)
    yield (
        f"bus {bus.name} ({form}): {_count(len(bus.shares), 'device')}, {_count(requests, 'request')}, "
        f"cycle {_seconds(bus.cycle_s)}, busy {bus.load:.0%} of the time"
    )
    alike: dict[tuple[int, float, float], list[Share]] = {}
    for share in bus.shares:
        alike.setdefault((share.requests, round(share.busy_s, 6), share.period_s), []).append(share)
    for first, *others in alike.values():
        more = f" and {len(others)} more, each" if others else ""
        cost = f"{_seconds(first.busy_s)} every {first.period_s:g} s, {first.load:.1%}"
        yield f"  {first.device}{more}: {_count(first.requests, 'request')}, {cost}"


def _told(bus: Bus) -> str:
    periods = sorted({share.period_s for share in bus.shares})
    asked = f"every {periods[0]:g} s" if len(periods) == 1 else f"every {periods[0]:g} to {periods[-1]:g} s"
    return (
        f"bus {bus.name} cannot keep this: reading its {_count(len(bus.shares), 'device')} once takes "
        f"{_seconds(bus.cycle_s)} at {bus.line.baudrate} baud, {asked} that is {bus.load:.0%} of its time, and a tenth "
        "is kept for units that do not answer"
    )


def _remedy(bus: Bus) -> str:
    factor = bus.load / (1 - SHARE)
    periods = {share.period_s for share in bus.shares}
    slower = (
        f"every_s: {_rounded_up(periods.pop() * factor):g}"
        if len(periods) == 1
        else f"periods {_rounded_up(factor):g} times as long"
    )
    for rate in _BAUD_RATES:
        faster = bus.line.model_copy(update={"baudrate": rate})
        if rate > bus.line.baudrate and sum(s.cost_s(faster) / s.period_s for s in bus.shares) <= 1 - SHARE:
            return f"{slower} would do, or {rate} baud if all units can, or fewer points"
    return f"{slower} would do, or fewer points, or a second line"


def _rounded_up(value: float) -> float:
    """Return the next number of two digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(round(value / step, 6)) * step, 6)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1000 * value:.0f} ms"
