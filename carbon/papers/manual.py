"""Documents of a stream → the entries they make: what was delivered, lost, read or produced, in its own periods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

import numpy as np

from carbon.books import Books, Numbers
from carbon.compute import compute
from carbon.entries import MICRO, Activity, Entries, Line, MeterVersion, Role
from carbon.factor import EVER, FactorSteps
from carbon.factors.laboratory import by_laboratory
from carbon.factors.refrigerants import gas_factor
from carbon.lines import Rule, Rules
from carbon.local_time import midnight_ns
from carbon.meters import MeterSteps, meter_steps
from carbon.papers.periods import ONE_DAY, Part, bounds, month_starts, split
from carbon.papers.register import Filed
from carbon.papers.rows import SITE, Delivery, Document, Index, Production, Stock
from carbon.papers.units import Mistaken, gas_ratio, reference_of, scale
from carbon.streams import Stream, place, role_of
from config.carriers import CARRIERS, about
from config.errors import Rejected
from config.model import Gateway
from config.points import DeviceMap, GasReference
from pipeline.quality import MANUAL

NORMAL: Final = GasReference(celsius=0)  # state that volumes of documents are kept in
BOOKED: Final = ("delivery", "stock", "production", "index")  # kinds that make entries
_OWN: Final = ("solar", "wind", "hydro")
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class Account:
    """What documents are booked by: the site, the streams meters bring, and the rules of any stream."""

    config: Gateway
    streams: Mapping[str, Stream]
    rules: Callable[[Stream], Iterable[Rule]]
    _meters: dict[str, MeterSteps] = field(default_factory=dict)
    _rules: dict[Stream, list[Rule]] = field(default_factory=dict)

    @classmethod
    def of(cls, config: Gateway, templates: Mapping[str, DeviceMap], base: Path = Path()) -> Self:
        """Return the account of a checked configuration; `base` is the folder its relative paths start from."""
        return cls(config, Books.of(config, templates, base).streams, Rules(config, base).of)

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.site.zone)

    def stream(self, document: Document, unit: str) -> Stream:
        """Return the stream a document belongs to; raises KeyError for an asset that does not exist."""
        carrier = str(getattr(document, "carrier", ""))
        key = f"{document.asset}.{carrier}"
        reference = NORMAL if unit == "m3" and about(carrier).state == "gas" else None
        role: Role = "memo" if carrier == "product" else "own" if carrier in _OWN else "boundary"
        if document.asset == SITE:
            return Stream(key, SITE, "", SITE, carrier, unit, role, reference=reference)
        area, asset = place(self.config, document.asset)
        if role == "boundary":
            role = role_of(self.config, asset, carrier, self.streams)
        return Stream(key, document.asset, area, asset.type, carrier, unit, role, reference=reference)

    def rules_of(self, stream: Stream, kind: str) -> list[Rule]:
        """Return lines and factors; raises FuelError, ConfigError or ValueError where one is missing."""
        if stream not in self._rules:
            rules = [self._fugitive(stream)] if kind == "stock" else list(self.rules(stream))
            self._rules[stream] = [(line, _on_local_days(steps, self.zone)) for line, steps in rules]
        return self._rules[stream]

    def _fugitive(self, stream: Stream) -> Rule:
        """Return the rule of a gas that escapes [kg CO₂e/kg]: its global warming potential."""
        factor = gas_factor(stream.carrier, self.config.accounting.gwp)
        category = "process" if stream.carrier == "CO2" else "fugitive"  # bottled CO₂ shields welds
        line = Line(
            stream.key, stream.asset, stream.area, stream.asset_type, stream.carrier, "kg", stream.role, 1, category,
            "factor",
        )  # fmt: skip
        return line, FactorSteps.constant(factor)

    def meter(self, document: Document) -> MeterSteps | None:
        """Return the versions of the meter an index was read from, None where none is named."""
        name = getattr(document, "meter", None)
        if name is None:
            return None
        if name not in self._meters:
            self._meters[name] = meter_steps(name, self.config.accounting.meters[name], self.zone)
        return self._meters[name]

    def reference(self, document: Document, unit: str) -> GasReference:
        """Return the state in which the meters a document is about count gas, else that of documents."""
        carrier = str(getattr(document, "carrier", ""))
        counted = (s for s in self.streams.values() if s.carrier == carrier and s.unit == unit and s.reference)
        mine = (s for s in counted if document.asset in (SITE, s.asset))
        return next((s.reference for s in mine if s.reference), NORMAL)

    def ratio(self, document: Document) -> Decimal:
        """Return what an index is multiplied by: the transformers' ratio where the register shows secondary values."""
        name = getattr(document, "meter", None)
        meter = self.config.accounting.meters[name] if name else None
        steps = self.meter(document)
        if meter is None or steps is None or meter.shows == "primary":
            return Decimal(1)
        at = midnight_ns(document.last, self.zone) if isinstance(document, Index) else 0
        return Decimal(str(steps.versions[int(steps.at(np.array([at]))[0])].ratio))


def unit_of(document: Document) -> str:
    """Return the unit its stream is kept in; raises ValueError where the written one cannot be converted to it."""
    carrier, written = str(getattr(document, "carrier", "")), str(getattr(document, "unit", ""))
    known = about(carrier)
    if isinstance(document, Stock):
        units: tuple[str, ...] = ("kg",)
    elif isinstance(document, Production) or carrier not in CARRIERS:  # a process goes by tonnes
        units = ("t",)
    else:
        units = ("t", "m3", "kWh") if known.fuel else ("kWh",)
    for unit in units:
        try:
            scale(written, unit)
        except ValueError as error:
            if len(units) == 1 or "normal state" in str(error):
                raise
        else:
            return unit
    raise ValueError(f"'{written}' is neither a mass, a volume nor an energy; write e.g. {', '.join(units)}")


def amount(document: Document, unit: str, value: Decimal, wanted: GasReference = NORMAL) -> int:
    """Return a value of a document in the unit of its stream [1e-6 unit], of a gas volume in the state `wanted`.

    Raises ValueError where the unit or the state of a gas cannot be meant.
    """
    scaled = value * scale(str(getattr(document, "unit", unit)), unit)
    gas = unit == "m3" and about(str(getattr(document, "carrier", ""))).state == "gas"
    stated = reference_of(document)
    if gas and stated is None:
        raise Mistaken("celsius", "a volume of gas needs the state it was counted in, and kpa where it is not 101.325")
    if gas and stated is not None:
        scaled *= gas_ratio(stated, wanted)
    return int((scaled * MICRO).to_integral_value())


class _Share(NamedTuple):
    """What all documents together bring to one part of the time axis."""

    part: Part
    meter: MeterVersion | None


class _Counted(NamedTuple):
    """What one document says was used in a period of whole days [1e-6 unit]."""

    first: date
    last: date
    amount: int
    meter: MeterSteps | None = None


def booked(
    account: Account, stream: Stream, rows: Sequence[Filed], labs: Iterable[Filed], numbers: Numbers
) -> Entries | None:
    """Return all entries the rows in force of one stream make, on each of its lines; None for none.

    Periods are cut wherever one of them, a local month or a factor begins or ends; within such a part all amounts are
    one entry, so that documents of overlapping periods add up. Raises as `Account.rules_of`.
    """
    if not rows:
        return None
    parts, known = [], list(labs)
    for line, steps in account.rules_of(stream, rows[0].document.kind):
        factors = by_laboratory(line, steps, stream, known, account.zone)
        edges = set(factors.start_ns.tolist()) - {EVER}
        shares = _shares(account, stream, rows, edges)
        if shares:
            parts.append(_entries(shares, line, factors, numbers))
    return Entries.join(parts) if parts else None


def _shares(account: Account, stream: Stream, rows: Sequence[Filed], edges: set[int]) -> list[_Share]:
    found = list(_periods(account, stream, rows))
    cuts = set(edges)
    for first, last, _, _ in found:
        cuts.update(bounds(first, last, account.zone), month_starts(first, last, account.zone))
    ordered = sorted(cuts)
    meters: dict[tuple[int, int], MeterVersion | None] = {}
    sums: dict[tuple[int, int], int] = {}
    for first, last, whole, meter in found:
        for start, end, share in split(whole, first, last, ordered, account.zone):
            sums[start, end] = sums.get((start, end), 0) + share
            meters[start, end] = meter.versions[int(meter.at(np.array([start]))[0])] if meter else None
    return [_Share(Part(*span, total), meters[span]) for span, total in sorted(sums.items())]


def _periods(account: Account, stream: Stream, rows: Sequence[Filed]) -> Iterator[_Counted]:
    """Yield what every document counts; of an index since the one before."""
    for row in rows:
        said = row.document
        if isinstance(said, Delivery | Production):
            yield _Counted(said.first, said.last, amount(said, stream.unit, said.quantity))
        elif isinstance(said, Stock):
            yield _Counted(said.first, said.last, amount(said, stream.unit, said.lost))
    readings = sorted((r.document for r in rows if isinstance(r.document, Index)), key=lambda i: i.last)
    for before, after in pairwise(readings):
        ratio = account.ratio(after)
        counted = amount(after, stream.unit, after.quantity * ratio) - amount(
            before, stream.unit, before.quantity * ratio
        )
        if counted < 0:
            raise Rejected(
                f"{stream.key} would fall from {before.quantity:f} on {before.last} to {after.quantity:f} on "
                f"{after.last}; a correction may still wait for approval"
            )
        yield _Counted(before.last + ONE_DAY, after.last, counted, account.meter(after))


def _entries(shares: Sequence[_Share], line: Line, factors: FactorSteps, numbers: Numbers) -> Entries:
    start = np.array([s.part.start_ns for s in shares], np.int64)
    end = np.array([s.part.end_ns for s in shares], np.int64)
    activity = Activity.make(
        start, end - start, np.zeros(len(shares)), [s.part.amount for s in shares], quality=MANUAL
    )  # fmt: skip
    meters = [numbers.meter(s.meter) if s.meter else -1 for s in shares]
    return compute(activity, numbers.line(line), factors, numbers.factor, np.array(meters, np.int32))


def _on_local_days(steps: FactorSteps, zone: ZoneInfo) -> FactorSteps:
    """Return factors of whole days beginning on the site's: tables give dates, kept as midnight UTC.

    Otherwise January of a site in China would begin eight hours before the factor of its year. Hourly ones stay.
    """
    starts = steps.start_ns.tolist()
    dated = [start for start in starts if start != EVER]
    if any(start % _DAY_NS for start in dated):
        return steps
    days = np.array([EVER if s == EVER else _midnight(s, zone) for s in starts], np.int64)
    return FactorSteps(days, steps.factors)


def _midnight(time_ns: int, zone: ZoneInfo) -> int:
    day = np.datetime64(time_ns, "ns").astype("M8[D]").item()
    return midnight_ns(day, zone)
