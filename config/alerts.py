"""What the user writes of alerts: one model per kind of rule; docs/alerts.md says what each is for."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from config.strict import NAME, Name, Seconds, Strict

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)[::-1]  # the gravest first
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(gt=0, le=1_000)]
Days = Annotated[int, Field(ge=1, le=366)]
_PLAIN = NAME.removeprefix("^").removesuffix("$")
# A window by its name, or a figure of an asset's type as asset.kpi.
WindowName = Annotated[str, StringConstraints(pattern=rf"^{_PLAIN}(\.{_PLAIN})?$")]
PointName = Annotated[str, StringConstraints(pattern=rf"^{_PLAIN}\.{_PLAIN}$")]  # asset.point
DeviceName = Annotated[str, StringConstraints(pattern=rf"^{_PLAIN}\.{_PLAIN}$")]  # asset.device


class _Rule(Strict):
    """What every rule has: how long it must be true, how grave it is, and what a reader should do about it."""

    hold_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 0.0
    severity: Severity = "warning"
    advice: Annotated[str, StringConstraints(max_length=400)] = ""


class Threshold(_Rule):
    """A figure or a point beyond a limit; clears at `clear_below` or `clear_above` (hysteresis, default the limit)."""

    type: Literal["threshold"] = "threshold"
    window: WindowName | None = None
    point: PointName | None = None
    above: float | None = None
    below: float | None = None
    clear_below: float | None = None
    clear_above: float | None = None
    min_completeness: Share = 0.9
    waste: WindowName | None = None  # a figure or point in kW: what this costs while it lasts

    @property
    def limit(self) -> float:
        return self.above if self.above is not None else self.below if self.below is not None else 0.0

    @property
    def clear(self) -> float:
        """The value at which it is over."""
        given = self.clear_below if self.above is not None else self.clear_above
        return self.limit if given is None else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.window is None) == (self.point is None):
            raise ValueError("say what is watched: either 'window:' or 'point:'")
        if (self.above is None) == (self.below is None):
            raise ValueError("give the limit: either 'above:' or 'below:'")
        if self.above is not None and self.clear > self.above:
            raise ValueError("clear_below must not be higher than above")
        if self.below is not None and self.clear < self.below:
            raise ValueError("clear_above must not be lower than below")
        if self.clear_below is not None and self.above is None:
            raise ValueError("clear_below goes with above")
        if self.clear_above is not None and self.below is None:
            raise ValueError("clear_above goes with below")
        return self


class RateOfChange(_Rule):
    """A point that rises or falls faster than a rate, over `over_s`."""

    type: Literal["rate_of_change"]
    point: PointName
    rising_per_h: Annotated[float, Field(gt=0)] | None = None  # [unit of the point / h]
    falling_per_h: Annotated[float, Field(gt=0)] | None = None
    over_s: Seconds = 300.0

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.rising_per_h is None and self.falling_per_h is None:
            raise ValueError("give rising_per_h or falling_per_h, or both")
        return self


class Stale(_Rule):
    """A device of which nothing good has come for `after_s`."""

    type: Literal["stale"]
    device: DeviceName
    after_s: Seconds = 300.0


class Frozen(_Rule):
    """A device that answers, but none of whose measured values has changed for `after_s`."""

    type: Literal["frozen"]
    device: DeviceName
    after_s: Seconds = 900.0


class Deviation(_Rule):
    """A window's figure beyond what is expected of it.

    `expected: curve`: the median of the same hour on the like days (work day, Saturday, Sunday) of the last
    `learn_days`; `expected: baseline`: idle · hours + slope · driver, fitted over the first `learn_days`.
    """

    type: Literal["deviation"]
    window: WindowName
    expected: Literal["curve", "baseline"] = "curve"
    driver: WindowName | None = None  # of a baseline: what explains it, e.g. a window of tonnes
    over_percent: Percent | None = 20.0
    under_percent: Percent | None = None
    least: Annotated[float, Field(ge=0)] = 0.0  # a smaller difference is none [unit of the figure]
    learn_days: Days = 28
    min_completeness: Share = 0.9
    waste: WindowName | None = None  # a figure or point in kW; not needed where the figure itself is kW or kWh

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.expected == "baseline") != (self.driver is not None):
            raise ValueError("'driver:' goes with 'expected: baseline', and only with that")
        if self.over_percent is None and self.under_percent is None:
            raise ValueError("give over_percent or under_percent, or both")
        return self


class IntensityAlert(_Rule):
    """Energy per product above what this production explains; clears at `clear_percent` (hysteresis).

    Energy of a window is idle_kw · hours + per_unit · product: less product costs more energy each. The limit is that
    baseline over the product, times 1 + over_percent / 100. Stated, or fitted over the first `learn_days`.
    """

    type: Literal["intensity"]
    window: WindowName  # a window of type energy_intensity, or such a figure of an asset's type
    over_percent: Percent = 10.0
    clear_percent: Percent | None = None  # default: half of over_percent
    idle_kw: Annotated[float, Field(ge=0)] | None = None  # given with per_unit; else both are learned
    per_unit: Annotated[float, Field(gt=0)] | None = None  # [kWh/t]
    learn_days: Days = 14
    min_product: Annotated[float, Field(ge=0)] = 0.0  # a window with less says nothing [t]
    min_completeness: Share = 0.95

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.idle_kw is None) != (self.per_unit is None):
            raise ValueError("idle_kw and per_unit go together; leave both out to learn them")
        if self.clear_percent is not None and self.clear_percent > self.over_percent:
            raise ValueError("clear_percent must not be higher than over_percent")
        return self


class Budget(_Rule):
    """An amount of the calendar month whose projection to the month's end crosses `limit`."""

    type: Literal["budget"]
    points: Annotated[tuple[PointName, ...], Field(min_length=1)]  # counters or integrated powers
    quantity: Literal["energy", "co2e"] = "energy"  # kWh or kg
    limit: Annotated[float, Field(gt=0)]
    after_days: Annotated[float, Field(ge=0, le=28)] = 3.0  # of a month, before anything is projected


class Demand(_Rule):
    """The running interval of a power will end above `limit_kw`."""

    type: Literal["demand"]
    power: PointName
    limit_kw: Annotated[float, Field(gt=0)]
    every: Annotated[str, StringConstraints(pattern=r"^(15|30|60)min$")] = "15min"
    after_share: Share = 0.2  # of the interval, before anything is said


class GradeDrop(_Rule):
    """A figure's grade worse than `worse_than`, or than what it mostly was in the last `typical_days`."""

    type: Literal["grade"]
    window: WindowName  # asset.kpi of a figure that has a grade
    worse_than: Annotated[int, Field(ge=1, le=3)] | None = 3
    dropped: bool = True
    typical_days: Days = 30
    min_completeness: Share = 0.9
    waste: WindowName | None = None  # a figure or point in kW: what this costs while it lasts

    @model_validator(mode="after")
    def _either(self) -> Self:
        if self.worse_than is None and not self.dropped:
            raise ValueError("give worse_than, or leave dropped: true")
        return self


class CalibrationDue(_Rule):
    """A meter of the register whose calibration runs out within `days`, or has."""

    type: Literal["calibration"]
    meter: Name
    days: Annotated[int, Field(ge=0, le=365)] = 60


class Health(_Rule):
    """The gateway itself: a part of it is down, behind, or refused what it was given."""

    type: Literal["health"]
    component: Name | Annotated[str, StringConstraints(pattern=r"^[a-z]+\.[\w-]+$")]  # e.g. sink.plant-db
    counter: Literal["down", "backlog", "lag_s", "rejected", "restarts", "free_mb"] = "down"
    above: float | None = None  # rejected and restarts: how many more within `over_s`
    below: float | None = None  # free_mb only
    over_s: Seconds = 3_600.0


_KINDS = {
    "threshold": Threshold, "rate_of_change": RateOfChange, "stale": Stale, "frozen": Frozen, "deviation": Deviation,
    "intensity": IntensityAlert, "budget": Budget, "demand": Demand, "grade": GradeDrop,
    "calibration": CalibrationDue, "health": Health,
}  # fmt: skip


def _type(value: Any) -> str | None:
    """Return the tag of a rule; one without a type is a threshold. Tags are no keys of the file."""
    kind = value.get("type", "threshold") if isinstance(value, dict) else getattr(value, "type", None)
    return f"type {kind}" if isinstance(kind, str) and kind in _KINDS else None


Rule = Annotated[
    Annotated[Threshold, Tag("type threshold")]
    | Annotated[RateOfChange, Tag("type rate_of_change")]
    | Annotated[Stale, Tag("type stale")]
    | Annotated[Frozen, Tag("type frozen")]
    | Annotated[Deviation, Tag("type deviation")]
    | Annotated[IntensityAlert, Tag("type intensity")]
    | Annotated[Budget, Tag("type budget")]
    | Annotated[Demand, Tag("type demand")]
    | Annotated[GradeDrop, Tag("type grade")]
    | Annotated[CalibrationDue, Tag("type calibration")]
    | Annotated[Health, Tag("type health")],
    Discriminator(
        _type,
        custom_error_type="alert_type",
        custom_error_message=f"'type:' must be one of {', '.join(_KINDS)}",
    ),
]
