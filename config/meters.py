"""What the user writes of meters: who they are, how exact, and every dated event of their lives."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from config.strict import Strict


def _a_ratio(text: str) -> str:
    if not re.fullmatch(r"\d+(\.\d+)?(/\d+(\.\d+)?)?", text) or not ratio(text):
        raise ValueError("a transformer ratio is written primary/secondary, e.g. 400/5")
    return text


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
