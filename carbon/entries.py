"""The account's shapes of data: lines, activities and entries in columns of integers, so that sums are exact."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import orjson

from pipeline.batch import Qualities, Series, Times

MICRO: Final = 1_000_000  # activities and energies are in 1e-6 of their unit (kWh → mWh), emissions in 1e-6 kg (mg)
Integers = npt.NDArray[np.int64]

# boundary: what the site takes in, and totals are made of. breakdown: part of what a boundary meter already counts.
# own: energy made on the site. export: energy given away. memo: not energy or carbon, e.g. product or reactive energy.
Role = Literal["boundary", "breakdown", "own", "export", "memo"]
Scope = Literal[0, 1, 2, 3]
Method = Literal["factor", "location", "market", "none"]


@dataclass(frozen=True, slots=True)
class Line:
    """What one account line counts: a stream of energy or matter, under one scope and method."""

    stream: str  # asset.carrier or asset.carrier.name; what is measured or entered once and may have several lines
    asset: str
    area: str
    asset_type: str
    carrier: str
    unit: str  # of the activity
    role: Role
    scope: Scope  # 0: a memo
    category: str  # stationary_combustion, mobile_combustion, process, fugitive, purchased_electricity,
    # purchased_heat, purchased_steam, purchased_cooling, own_generation, upstream_fuel, upstream_electricity, td_losses
    method: Method

    @property
    def key(self) -> str:
        """Its name in the ledger, e.g. `furnace-1.natural_gas/1/stationary_combustion/factor`."""
        return f"{self.stream}/{self.scope}/{self.category}/{self.method}"

    def to_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class MeterVersion:
    """What a meter was from one dated event to the next; a correction makes a new version of the same time."""

    meter: str  # its id in the register
    number: int  # 1, 2 … in the order of the events
    serial: str
    ratio: float  # all transformer ratios multiplied: what the index is multiplied by, or was meant to be
    uncertainty: float  # half the 95 % interval of its amounts, as a share; fully correlated over time
    calibrated_on: str = ""
    due: str = ""
    bypassed: bool = False
    about: str = ""  # make, class and certificate, for the report

    def to_json(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def version(self) -> str:
        """Identity of its content."""
        return hashlib.sha256(orjson.dumps(self.to_json(), option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Activity:
    """n amounts of streams over intervals [start, start + span): what the account is computed from.

    start_ns, span_ns int64[n] · stream int32[n], index into whatever names the caller holds · amount int64[n]
    [1e-6 unit], of which estimated and substituted int64[n] · covered_ns int64[n]: time that data stands for ·
    quality uint16[n] · peak float32[n] [kW], highest quarter-hour mean, NaN where unknown.
    """

    start_ns: Times
    span_ns: Times
    stream: Series
    amount: Integers
    estimated: Integers
    substituted: Integers
    covered_ns: Times
    quality: Qualities
    peak: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start_ns)

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """Return the rows asked for (mask, indices or slice)."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def make(
        cls, start_ns: npt.ArrayLike, span_ns: npt.ArrayLike, stream: npt.ArrayLike, amount: npt.ArrayLike,
        *, estimated: npt.ArrayLike = 0, substituted: npt.ArrayLike = 0, covered_ns: npt.ArrayLike | None = None,
        quality: npt.ArrayLike = 0, peak: npt.ArrayLike = np.nan,
    ) -> Self:  # fmt: skip
        """Return activities; scalars are repeated, coverage is the whole span where nothing else is said."""
        streams = np.atleast_1d(np.asarray(stream, np.int32))
        covered = span_ns if covered_ns is None else covered_ns

        def column(values: npt.ArrayLike, dtype: type) -> npt.NDArray[Any]:
            return np.broadcast_to(np.asarray(values, dtype), streams.shape).copy()

        numbers = [column(v, np.int64) for v in (start_ns, span_ns, amount, estimated, substituted, covered)]
        start, span, amounts, part, filled, time = numbers
        return cls(
            start, span, streams, amounts, part, filled, time, column(quality, np.uint16), column(peak, np.float32)
        )


@dataclass(frozen=True, slots=True)
class Entries:
    """n ledger entries, each of one line over [start, start + span); never edited, only followed by newer ones.

    line, factor, meter int32[n]: the ledger's numbers of what it has defined (−1: none) · amount, energy, estimated,
    substituted int64[n] [1e-6 unit, mWh] · co2 … mixed, biogenic int64[n] [mg CO₂e] · the rest as in Activity.
    """

    start_ns: Times
    span_ns: Times
    line: Series
    amount: Integers
    energy: Integers
    estimated: Integers
    substituted: Integers
    covered_ns: Times
    factor: Series
    meter: Series
    co2: Integers
    ch4: Integers
    n2o: Integers
    fgas: Integers
    mixed: Integers
    biogenic: Integers
    quality: Qualities
    peak: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def co2e(self) -> Integers:
        """All gases together [mg CO₂e]; biogenic CO₂ is not in it."""
        return self.co2 + self.ch4 + self.n2o + self.fgas + self.mixed

    def take(self, rows: npt.NDArray[Any] | slice) -> Self:
        """Return the rows asked for (mask, indices or slice)."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def none(cls) -> Self:
        """Return no entries."""
        kinds = {"line": np.int32, "factor": np.int32, "meter": np.int32, "quality": np.uint16, "peak": np.float32}
        return cls(*(np.empty(0, kinds.get(f.name, np.int64)) for f in fields(cls)))

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of the parts, in order."""
        if not parts:
            return cls.none()
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))


def one_of_each(lines: Mapping[int, Line], used: Collection[int]) -> dict[str, list[int]]:
    """Return of each stream the numbers of one of its lines: all have the same amounts, the plainest shows energy.

    A line whose asset moved has several numbers.
    """

    def rank(number: int) -> tuple[bool, bool, int]:
        return lines[number].scope == 3, lines[number].method == "market", number

    found: dict[str, list[int]] = {}
    for number in sorted(used, key=rank):
        mine = found.setdefault(lines[number].stream, [])
        if not mine or lines[mine[0]].key == lines[number].key:
            mine.append(number)
    return found
