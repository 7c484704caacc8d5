"""What the user writes of figures over windows: energy per tonne, and formulas over points."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from config.strict import Name, Seconds, Strict

Every = Annotated[str, StringConstraints(pattern=r"^(15min|30min|60min|shift|day|month)$")]
During = Literal["always", "shifts", "off_shift"]  # windows that begin within a shift, or outside all of them
Keep = Annotated[float, Field(ge=0, le=40 * 24)]
KEEP_H = 26.0


def fits(every: str, during: str) -> None:
    """Raise ValueError where windows are no part of a shift."""
    if during != "always" and every not in ("15min", "30min", "60min"):
        raise ValueError(f"'during: {during}' goes with windows of 15min, 30min or 60min, not with every: {every}")


def minutes(begin: time, end: time) -> set[int]:
    """Return the minutes of the day a shift takes, over midnight where its end is not after its begin."""
    first, last = (t.hour * 60 + t.minute for t in (begin, end))
    return {m % 1_440 for m in range(first, last if last > first else last + 1_440)}


class EnergyIntensity(Strict):
    """Energy per tonne of product over each window of the site's hours, with its completeness."""

    type: Literal["energy_intensity"]
    energy: Annotated[tuple[str, ...], Field(min_length=1)]  # asset.point of counters or integrated power
    product: str  # asset.point of a mass counter
    every: Annotated[str, StringConstraints(pattern=r"^(15|30|60)min$")] = "60min"
    shifts_only: bool = False  # leave out windows outside the site's shifts
    grace_s: Seconds = 30.0
    keep_h: Keep = KEEP_H  # how long what comes late is still counted


class Formula(Strict):
    """A figure of one asset, made of its points over each window; see docs/kpis.md for the language."""

    type: Literal["formula"]
    asset: Name
    formula: Annotated[str, StringConstraints(min_length=1)]
    unit: Annotated[str, StringConstraints(min_length=1)]  # of the result, e.g. kWh/t; checked against the formula
    every: Every = "60min"
    during: During = "always"
    sane: tuple[float, float] | None = None  # a value outside is told as uncertain [unit]
    grace_s: Seconds = 30.0
    keep_h: Keep = KEEP_H

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        fits(self.every, self.during)
        if self.sane and self.sane[0] >= self.sane[1]:
            raise ValueError("sane: [low, high] needs low < high")
        return self


def _type(value: Any) -> str | None:
    """Return the tag of a window; tags are no keys, so that they never pass for a place in the file."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"type {kind}" if kind in ("energy_intensity", "formula") else None


Window = Annotated[
    Annotated[EnergyIntensity, Tag("type energy_intensity")] | Annotated[Formula, Tag("type formula")],
    Discriminator(
        _type, custom_error_type="window_type", custom_error_message="needs 'type:' energy_intensity or formula"
    ),
]
