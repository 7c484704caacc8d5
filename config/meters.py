"""What the user writes of meters: who they are, how exact, and every dated event of their lives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.strict import Strict


def _a_ratio(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?(/\d+(\.\d+)?)?", text) or not ratio(text):
        raise ValueError("a transformer ratio is written primary/secondary, e.g. 400/5")
    return text


WARN_DAYS: Final = 60  # how long before it is due a calibration is spoken of

# What stands before the transformers is this quantity of a register times these of their ratios.
TRANSFORMED: Final[Mapping[str, tuple[Literal["ct", "pt"], ...]]] = {
    "current": ("ct",),
    "voltage": ("pt",),
    **dict.fromkeys(("power", "reactive_power", "apparent_power"), ("ct", "pt")),
    **dict.fromkeys(("energy_index", "reactive_energy_index", "apparent_energy_index"), ("ct", "pt")),
}

Ratio = Annotated[str, AfterValidator(_a_ratio)]


def ratio(text: str) -> Fraction:
    """Return the factor of a ratio as it is written: 400/5 → 80, exactly."""
    primary, _, secondary = text.partition("/")
    return Fraction(primary) / Fraction(secondary or "1") if Fraction(secondary or "1") else Fraction(0)


class Transformer(Strict):
    """A current or voltage transformer in front of a meter."""

    ratio: Ratio
    accuracy: Annotated[float, Field(gt=0, le=10)] | None = None  # class, e.g. 0.5


class MeterEvent(Strict):
    """Something that happened to a meter on a day; from its beginning (in the site's zone) the new state holds."""

    on: date
    type: Literal["install", "swap", "calibrate", "ratio", "bypass", "restore"]
    serial: str = ""
    # As tanflow shows the index: in kWh, m3 or t, of a register of secondary values without the transformers' ratio.
    final_index: float | None = None  # swap: what the old one showed when it went
    initial_index: float | None = None  # install, swap: what the new one showed when it came
    certificate: str = ""
    due: date | None = None  # calibrate: next calibration
    ct: Transformer | None = None
    pt: Transformer | None = None
    by: str = ""
    reason: str = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "swap" and (self.final_index is None or self.initial_index is None or not self.serial):
            raise ValueError("a swap needs serial:, final_index: and initial_index:, or its energy cannot be known")
        if self.type == "ratio" and self.ct is None and self.pt is None:
            raise ValueError("a change of ratio needs ct: or pt:")
        if self.type == "calibrate" and not self.certificate:
            raise ValueError("a calibration needs its certificate:")
        return self


class Meter(Strict):
    """A meter of the register; `device` is the asset.device that reads it, none for one read by hand."""

    device: Annotated[str, Field(pattern=r"^[^.\s]+\.[^.\s]+$")] | None = None
    serial: str
    make: str = ""
    model: str = ""
    accuracy: Annotated[float, Field(gt=0, le=10)]  # class: limit of error [%]
    location: str = ""
    certificate: str = ""
    calibrated_on: date | None = None
    due: date | None = None
    ct: Transformer | None = None
    pt: Transformer | None = None
    # What the registers show: primary values already, or values behind the transformers, still to be multiplied.
    shows: Literal["primary", "secondary"] = "primary"
    events: tuple[MeterEvent, ...] = ()

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        days = [event.on for event in self.events]
        if days != sorted(days):
            raise ValueError("events are written in the order of their days")
        return self


# ── in time ───────────────────────────────────────────────────────────────────────────────────────


def after(meter: Meter, event: MeterEvent) -> Meter:
    """Return what the register says of a meter after an event; what a new calibration does not say is unknown."""
    renewed = event.type in ("calibrate", "swap")
    return meter.model_copy(
        update={
            "serial": event.serial or meter.serial,
            "certificate": event.certificate or ("" if renewed else meter.certificate),
            "calibrated_on": event.on if renewed else meter.calibrated_on,
            "due": event.due or (None if renewed else meter.due),
            "ct": event.ct or meter.ct,
            "pt": event.pt or meter.pt,
        }
    )


def on_day(meter: Meter, day: date) -> Meter:
    """Return what the register says of a meter on a day."""
    for event in meter.events:
        meter = after(meter, event) if event.on <= day else meter
    return meter


def bypasses(meter: Meter) -> Iterator[tuple[MeterEvent, date | None]]:
    """Yield each bypass of a meter and the day on which it ended, None where it goes on."""
    begun: MeterEvent | None = None
    for event in meter.events:
        if event.type == "bypass" and begun is None:
            begun = event
        elif event.type == "restore" and begun is not None:
            yield begun, event.on
            begun = None
    if begun is not None:
        yield begun, None


def applied_ratios(meter: Meter, quantity: str) -> Iterator[tuple[date, Fraction]]:
    """Yield from which day on (date.min first) a reading is multiplied by what; nothing where it shows it already."""
    kinds = TRANSFORMED.get(quantity, ()) if meter.shows == "secondary" else ()
    if not kinds:
        return
    state, last = meter, _product(meter, kinds)
    yield date.min, last
    for event in meter.events:
        state = after(state, event)
        if (product := _product(state, kinds)) != last:
            yield event.on, product
            last = product


def _product(meter: Meter, kinds: tuple[Literal["ct", "pt"], ...]) -> Fraction:
    product = Fraction(1)
    for transformer in (meter.ct if kind == "ct" else meter.pt for kind in kinds):
        product *= ratio(transformer.ratio) if transformer else 1
    return product


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration that is overdue (`days` negative) or due within WARN_DAYS."""

    meter: str
    serial: str
    due: date
    days: int

    def __str__(self) -> str:
        name = f"{self.meter} (serial {self.serial})"
        if self.days < 0:
            return f"{name}: calibration overdue since {self.due}, {-self.days} days"
        return f"{name}: calibration due on {self.due}, in {self.days} days"


def calibrations_due(meters: Mapping[str, Meter], today: date) -> list[Calibration]:
    """Return what is overdue or due within WARN_DAYS, in the order of the register."""
    found = []
    for name, meter in meters.items():
        now = on_day(meter, today)
        if now.due is not None and (now.due - today).days <= WARN_DAYS:
            found.append(Calibration(name, now.serial, now.due, (now.due - today).days))
    return found
