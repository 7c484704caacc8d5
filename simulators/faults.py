"""A script of faults and the readings of each step enter; what a device shows, and how it answers, leaves.

The physics underneath never notices: the trace stays true and `sequence` goes on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from config.points import Point
from config.strict import Strict
from simulators.registers import modulus


@dataclass(frozen=True, slots=True)
class Link:
    """How a device answers while something is wrong with the way to it."""

    drop: Literal["", "close", "silent"] = ""
    lag_s: float = 0.0
    exception: int = 0  # Modbus exception code, or the error byte of a DL/T 645 meter
    garbage: bytes = b""  # said on Modbus instead of an answer


@dataclass(slots=True)
class Shown:
    """What a device shows at one step: values [canonical units] by point name, the time it claims, its link."""

    time_ns: int
    readings: dict[str, float]
    link: Link | None = None
    status: dict[str, str] = field(default_factory=dict)  # OPC UA status by point name; good where absent

    def but_sequence(self) -> list[str]:
        """Return the points that values can be wrong of; `sequence` stays to tell what was missed."""
        return [name for name in self.readings if not name.endswith("sequence")]


class _Fault(Strict):
    """Something that begins `at_s` after the start of the scenario, on `asset` or `asset.device`."""

    at_s: Annotated[float, Field(ge=0)]
    device: str
    points: tuple[str, ...] = ()  # default: what the fault is about


class _Lasting(_Fault):
    for_s: Annotated[float, Field(gt=0)] = math.inf

    def active(self, elapsed_s: float) -> bool:
        """Return whether the fault is on `elapsed_s` after the start."""
        return self.at_s <= elapsed_s < self.at_s + self.for_s

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        """Change what the device shows at this step."""


class Drop(_Lasting):
    """The device is gone: `close` hangs up (an OPC UA server refuses as well), `silent` never answers or publishes."""

    fault: Literal["drop"]
    how: Literal["close", "silent"] = "silent"

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.link = replace(shown.link or Link(), drop=self.how)


class Freeze(_Lasting):
    """The device answers, but its values and its timestamps stay as they were."""

    fault: Literal["freeze"]


class Lag(_Lasting):
    """Everything comes late: a Modbus answer by wall time, a node's value or a message by whole steps."""

    fault: Literal["lag"]
    lag_s: Annotated[float, Field(gt=0)]

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.link = replace(shown.link or Link(), lag_s=self.lag_s)


class ExceptionCode(_Lasting):
    """Every Modbus request is answered with this exception, every DL/T 645 request with this error byte."""

    fault: Literal["exception"]
    code: Annotated[int, Field(ge=1, le=11)] = 4

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.link = replace(shown.link or Link(), exception=self.code)


class NotANumber(_Lasting):
    """The points (default all but `sequence`) show NaN, or what their register has in its place."""

    fault: Literal["nan"]

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.readings.update(dict.fromkeys(self.points or shown.but_sequence(), math.nan))


class Zero(_Lasting):
    """The points (default the counters) show 0 for a while and then go on where they were."""

    fault: Literal["zero"]

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.readings.update(dict.fromkeys(self.points or counters, 0.0))


class BadStatus(_Lasting):
    """The points (default all but `sequence`) carry an OPC UA status that is not good (Sparkplug: quality bad)."""

    fault: Literal["bad_status"]
    status: Annotated[str, Field(pattern=r"^(Bad|Uncertain)\w*$")] = "BadSensorFailure"

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.status.update(dict.fromkeys(self.points or shown.but_sequence(), self.status))


class ClockSkew(_Lasting):
    """The source timestamps are off by `shift_s`."""

    fault: Literal["clock_skew"]
    shift_s: float

    def apply(self, shown: Shown, counters: Sequence[str]) -> None:
        shown.time_ns += round(self.shift_s * 1e9)


class Rollover(_Fault):
    """The counters (default those with a width) jump to `left` [canonical unit] before their end, and so pass it.

    The jump is seen as a change of index like any other: script it at 0 s, before anyone has read the device.
    """

    fault: Literal["rollover"]
    left: Annotated[float, Field(gt=0)]


class Reset(_Fault):
    """The counters (default all) begin again: the first value after it counts from the step before."""

    fault: Literal["reset"]


Fault = Annotated[
    Drop | Freeze | Lag | ExceptionCode | NotANumber | Zero | BadStatus | ClockSkew | Rollover | Reset,
    Field(discriminator="fault"),
]
# What a fault needs to be seen at all.
_PROTOCOL: Mapping[type[_Fault], tuple[str, ...]] = {
    ExceptionCode: ("modbus", "dlt645"),
    BadStatus: ("opcua", "sparkplug"),
    ClockSkew: ("opcua", "mqtt", "sparkplug"),
}


class DeviceFaults:
    """The faults of one served device, applied to its readings step by step."""

    def __init__(self, faults: Iterable[Fault], points: Mapping[str, Point]) -> None:
        self.points = points
        ordered = sorted(faults, key=lambda f: f.at_s)
        self._lasting = [f for f in ordered if isinstance(f, _Lasting)]
        self._jumps = [f for f in ordered if isinstance(f, Rollover | Reset)]
        self._counters = [n for n, p in points.items() if p.effective_kind == "counter"]
        self._widths = {n: width for n in self._counters if (width := modulus(points[n]))}
        self._offset: dict[str, float] = {}
        self._before: Mapping[str, float] = {}  # true readings of the previous step
        self._last: Shown | None = None

    def problems(self) -> list[str]:
        """Return what of the script cannot happen on this device, as sentences."""
        protocols = {p.protocol for p in self.points.values()}
        found = []
        for fault in (*self._lasting, *self._jumps):
            where = f"fault '{fault.fault}' at {fault.at_s:g} s on {fault.device}"
            if (seen := _PROTOCOL.get(type(fault))) and not protocols & set(seen):
                found.append(f"{where}: only seen over {' or '.join(seen)}; the device is on {', '.join(protocols)}")
            found += [f"{where}: the device has no point '{p}'" for p in fault.points if p not in self.points]
            if isinstance(fault, Rollover) and not self._rolling(fault):
                found.append(f"{where}: no counter in an integer register or with 'digits:' that could roll over")
        return found

    def show(self, elapsed_s: float, time_ns: int, readings: Mapping[str, float]) -> Shown:
        """Return what the device shows `elapsed_s` after the start; `readings` are its true ones."""
        while self._jumps and self._jumps[0].at_s <= elapsed_s:
            self._jump(self._jumps.pop(0), readings)
        shown = Shown(time_ns, {n: v + self._offset.get(n, 0.0) for n, v in readings.items()})
        # A device that itself has no value says so; one that is made to show NaN swears that it is good.
        shown.status = {n: "BadNoData" for n, v in readings.items() if math.isnan(v)}
        self._before = dict(readings)
        active = [f for f in self._lasting if f.active(elapsed_s)]
        for fault in active:
            fault.apply(shown, self._counters)
        if self._last and any(isinstance(f, Freeze) for f in active):
            shown = replace(self._last, link=shown.link)
        self._last = shown
        return shown

    def _rolling(self, fault: Rollover) -> set[str]:
        return set(fault.points or self._widths) & set(self._widths)

    def _jump(self, fault: Rollover | Reset, readings: Mapping[str, float]) -> None:
        if isinstance(fault, Rollover):
            for name in self._rolling(fault):
                self._offset[name] = self._widths[name] - fault.left - readings.get(name, 0.0)
        else:
            for name in fault.points or self._counters:
                self._offset[name] = -self._before.get(name, readings.get(name, 0.0))
