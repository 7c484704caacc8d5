"""What the user writes of an electricity tariff: dated prices by the hour, demand, capacity and power factor."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise, product
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from config.strict import Name, Strict

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY: Final = 1_440  # minutes
Loc = tuple[str | int, ...]
_HOURS: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?")


def minutes(hours: str) -> tuple[int, int]:
    """Return the minutes of the day hours run from and to: 10-12 or 10:00-12:00 is (600, 720); a day ends at 24."""
    found = _HOURS.fullmatch(hours)
    if found is None:
        raise ValueError("hours are written from-to, e.g. 10-12 or 10:30-12:00")
    hour, minute, end_hour, end_minute = (int(part or 0) for part in found.groups())
    begins, ends = hour * 60 + minute, end_hour * 60 + end_minute
    if minute > 59 or end_minute > 59 or not begins < ends <= DAY:
        raise ValueError("hours run forwards within a day, at most to 24; split what runs over midnight in two")
    return begins, ends


def _hours(text: str) -> str:
    minutes(text)
    return text


Hours = Annotated[str, AfterValidator(_hours)]
Price = Annotated[float, Field(ge=0, le=1_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class DayKind(Strict):
    """Days with the same hours: those of its months and weekdays (none said: all), and listed ones before all else."""

    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    weekdays: tuple[Weekday, ...] = ()
    days: tuple[date, ...] = ()
    hours: Annotated[dict[Name, tuple[Hours, ...]], Field(min_length=1)]  # price period → when

    def holds(self, month: int, weekday: Weekday) -> bool:
        """Return whether its months and weekdays say so; listed days are looked at before."""
        return (not self.months or month in self.months) and (not self.weekdays or weekday in self.weekdays)


class Schedule(Strict):
    """The hours and the ratios of prices a public notice lays down; without a price, which the user's contract has."""

    id: Name
    name: str
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    published_on: str
    source: Annotated[str, StringConstraints(min_length=1)]
    confidence: str
    notes: str = ""
    ratios: Annotated[dict[Name, Annotated[float, Field(gt=0)]], Field(min_length=1)]  # to the base price
    kinds: Annotated[dict[Name, DayKind], Field(min_length=1)]  # the first that holds


class Demand(Strict):
    """A charge a month for the highest quarter-hour mean.

    billed = min(contract, max(peak, floor · contract)) + excess_factor · max(0, peak − allowed · contract); without a
    contract the peak itself.
    """

    price: Price  # per kW and month
    contract_kw: Annotated[float, Field(gt=0)] | None = None
    floor: Share | None = None  # of the contract that is billed at least
    allowed: Annotated[float, Field(ge=1)] | None = None  # of the contract, before more is excess
    excess_factor: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        rule = (self.contract_kw, self.floor, self.allowed, self.excess_factor)
        if len({part is None for part in rule}) > 1:
            raise ValueError("a contracted demand needs contract_kw:, floor:, allowed: and excess_factor: together")
        return self


class Capacity(Strict):
    """A charge a month for what is connected, whatever is used."""

    price: Price  # per kVA and month
    kva: Annotated[float, Field(gt=0)]


class Adjustment(Strict):
    """From a power factor on, the share by which the bill rises (or falls, below 0)."""

    at_least: Share
    share: Annotated[float, Field(gt=-1, le=5)]


class PowerFactor(Strict):
    """The table a month's power factor is looked up in; there is none by default, it is the user's with its source."""

    source: Annotated[str, StringConstraints(min_length=1)]
    table: Annotated[tuple[Adjustment, ...], Field(min_length=1)]
    digits: Annotated[int, Field(ge=1, le=4)] = 2  # the power factor is rounded to, half up
    fees: bool = False  # whether fees are adjusted like energy, demand and capacity

    @model_validator(mode="after")
    def _descending(self) -> Self:
        bounds = [row.at_least for row in self.table]
        if bounds != sorted(set(bounds), reverse=True) or bounds[-1] != 0:
            raise ValueError("the table goes down, each at_least: once, and ends with at_least: 0")
        return self


class Version(Strict):
    """What holds from one day to another, in the site's zone."""

    valid_from: date
    valid_to: date | None = None  # its last day; none: until further notice
    like: Name | None = None  # a shipped schedule: its hours and ratios
    kinds: dict[Name, DayKind] = {}  # or hours of its own
    ratios: dict[Name, Annotated[float, Field(gt=0)]] = {}
    base_price: Price | None = None  # per kWh, what ratios multiply
    prices: dict[Name, Price] = {}  # or a price per kWh of each period
    extra_days: dict[Name, tuple[date, ...]] = {}  # kind of day → days that turned out to be such
    fees: dict[Name, Price] = {}  # per kWh at all hours: transmission, levies, surcharges
    demand: Demand | None = None
    capacity: Capacity | None = None
    power_factor: PowerFactor | None = None

    @model_validator(mode="after")
    def _stated(self) -> Self:
        if (self.like is None) == (not self.kinds):
            raise ValueError("say the hours: exactly one of like: (a shipped schedule) or kinds:")
        if (self.base_price is None) == (not self.prices):
            raise ValueError("say what a kWh costs: base_price: for ratios, or prices: of each period")
        if self.valid_to is not None and self.valid_from > self.valid_to:
            raise ValueError("valid_from must not be later than valid_to")
        return self

    @property
    def monthly(self) -> bool:
        """Whether it charges or adjusts by the month."""
        return bool(self.demand or self.capacity or self.power_factor)


class Tariff(Strict):
    """The versions of one contract, back to back."""

    name: str
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    source: Annotated[str, StringConstraints(min_length=1)]  # contract, bill or notice the figures are from
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]


def complete(version: Version, schedules: Mapping[str, Schedule]) -> Version:
    """Return a version with hours and prices in place of what it refers to."""
    base = schedules[version.like] if version.like else None
    ratios = {**(base.ratios if base else {}), **version.ratios}
    kinds = {
        name: kind.model_copy(update={"days": kind.days + version.extra_days.get(name, ())})
        for name, kind in (base.kinds if base else version.kinds).items()
    }
    prices = version.prices or {name: _product(version.base_price, ratio) for name, ratio in ratios.items()}
    return version.model_copy(update={"kinds": kinds, "prices": prices, "ratios": ratios})


def _product(base: float | None, ratio: float) -> float:
    """Return a price as it is worked out on paper: 0.6712 · 2.125 = 1.4263, without what binary fractions add."""
    return float(Decimal(str(base or 0.0)) * Decimal(str(ratio)))


def check(tariff: Tariff, schedules: Mapping[str, Schedule], interval_minutes: int) -> Iterator[tuple[Loc, str]]:
    """Yield (path, sentence) of what does not fit together; no period may change within an accounting interval."""
    for index, version in enumerate(tariff.versions):
        at: Loc = ("versions", index)
        if version.like is not None and version.like not in schedules:
            yield (*at, "like"), f"'{version.like}' is not shipped; there is {', '.join(sorted(schedules))}"
            continue
        if version.like and schedules[version.like].currency != tariff.currency:
            yield (*at, "like"), f"'{version.like}' is in {schedules[version.like].currency}, not {tariff.currency}"
        whole = complete(version, schedules)
        yield from ((at + loc, said) for loc, said in check_kinds(whole.kinds, set(whole.prices), interval_minutes))
        for name in version.extra_days.keys() - whole.kinds.keys():
            yield (*at, "extra_days", name), f"there is no kind of day '{name}'; there is {', '.join(whole.kinds)}"
        if version.monthly and index and version.valid_from.day != 1:
            yield (*at, "valid_from"), "what is charged by the month can change only on the first of one"
    yield from _back_to_back(tariff)


def check_kinds(kinds: Mapping[str, DayKind], priced: set[str], interval_minutes: int) -> Iterator[tuple[Loc, str]]:
    """Yield what is wrong with the hours: each kind fills its day exactly once, and every day is of a kind."""
    for name, kind in kinds.items():
        at: Loc = ("kinds", name, "hours")
        ranges = sorted((minutes(text), period) for period, texts in kind.hours.items() for text in texts)
        for period in kind.hours.keys() - priced:
            yield (*at, period), f"'{period}' has no price; there is {', '.join(sorted(priced))}"
        edges = [0, *(edge for (begins, ends), _ in ranges for edge in (begins, ends)), DAY]
        for one, other in zip(edges[::2], edges[1::2], strict=True):
            if one != other:
                what = "belong to no period" if one < other else "belong to two periods"
                yield at, f"{_clock(min(one, other))} to {_clock(max(one, other))} {what}; the hours fill a day once"
        for edge in sorted(edge for edge in set(edges) if edge % interval_minutes):
            yield at, f"{_clock(edge)} lies within an accounting interval of {interval_minutes} min; make that shorter"
    free = next(
        (pair for pair in product(range(1, 13), WEEKDAYS) if not any(k.holds(*pair) for k in kinds.values())), None
    )
    if free is not None:
        yield ("kinds",), f"no kind holds on a {free[1]} of month {free[0]}; end with one without months and weekdays"


def _back_to_back(tariff: Tariff) -> Iterator[tuple[Loc, str]]:
    for index, (before, after) in enumerate(pairwise(tariff.versions), 1):
        at: Loc = ("versions", index, "valid_from")
        if before.valid_to is None:
            yield at, "the version before has no valid_to; enter its last day"
        elif after.valid_from > before.valid_to + timedelta(days=1):
            first, last = before.valid_to + timedelta(days=1), after.valid_from - timedelta(days=1)
            yield at, f"nothing holds from {first} to {last}; versions follow each other without a gap"
        elif after.valid_from <= before.valid_to:
            yield at, f"begins before the version before is over ({before.valid_to}); two cannot hold on one day"


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
