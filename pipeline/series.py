"""The series table: everything known of every series, compiled once per config revision into arrays indexed by id."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from pipeline.factors import FactorTimeline
from pipeline.ratios import Ratios, Steps


class Kind(IntEnum):
    """How a series behaves; DELTA is the amount of an interval."""

    GAUGE = 0
    COUNTER = 1
    STATE = 2
    DELTA = 3


NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Like:
    """What alike series share: many thousand points of one template have one object.

    Values are canonical: `(raw · mul / div + offset)`, in `unit`.
    """

    connection: str
    quantity: str
    unit: str
    kind: int
    measurement: str
    field: str
    mul: float = 1.0
    div: float = 1.0
    offset: float = 0.0
    low: float = -np.inf
    high: float = np.inf
    modulus: float = NAN  # width of the register in `unit`; NaN: it does not roll over
    resolution: float = 0.0  # least step the register can show [unit]
    max_rate: float = NAN  # [unit/h]; NaN: unknown
    max_hold_ns: int = 0  # gauges: longest step integrated; 0: not integrated
    relative: float = 0.0  # a float register's step as a share of its value
    period_ns: int = 0  # how often a reading is expected; 0: unknown
    stratum: int = 0
    # Of what a meter behind transformers shows: (from when on [ns], ratio). Gauges are multiplied themselves, of a
    # counter only its amounts: the index stays what the register shows, and so does all else that is said here of it.
    ratios: Steps = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One series as compiled from config."""

    key: str
    tags: tuple[tuple[str, str], ...]  # database tags, sorted by key
    like: Like
    amount: str = ""  # key of the DELTA series this one yields
    # What else follows from each row by a factor: (key of the product's series, timeline), e.g. kg CO₂e from kWh,
    # kg/h from kW, kWh from m³.
    products: tuple[tuple[str, str], ...] = ()
    place: str = ""  # where it is read, see pipeline.places; "" for what is not, and in plans of earlier versions


@cache
def ratio(scale: float) -> tuple[float, float]:
    """Return (mul, div) of a scale so that 0.1 becomes a division by 10: 2301 reads 230.1, not 230.10000000000002."""
    fraction = Fraction(scale).limit_denominator(10**9)
    if fraction and abs(float(fraction) / scale - 1) < 1e-12:
        return float(fraction.numerator), float(fraction.denominator)
    return scale, 1.0


@dataclass(frozen=True, slots=True)
class Product:
    """One thing that follows by a factor: target series int32[n] and timeline int32[n] by source id, −1 for none."""

    series: npt.NDArray[np.int32]
    timeline: npt.NDArray[np.int32]


class SeriesTable:
    """Read-only arrays over all series ids of one revision; ids not in the revision have an empty key."""

    def __init__(
        self,
        revision: int,
        specs: Sequence[Spec],
        ids: Mapping[str, int],
        factors: Mapping[str, FactorTimeline],
        rules: bytes = b"",
    ) -> None:
        size = max((ids[s.key] for s in specs), default=-1) + 1
        self.revision = revision
        self._rules = rules  # of what is computed over the log: windows, alerts, the site's hours
        self.ids: dict[str, int] = {s.key: ids[s.key] for s in specs}
        self.factors: tuple[FactorTimeline, ...] = tuple(factors.values())
        self.specs: list[Spec | None] = [None] * size
        for spec in specs:
            self.specs[ids[spec.key]] = spec
        names = {name: i for i, name in enumerate(factors)}
        at = np.array([ids[s.key] for s in specs], np.int64)

        def column(name: str, dtype: Any, missing: float) -> npt.NDArray[Any]:
            array = np.full(size, missing, dtype)
            array[at] = [getattr(s.like, name) for s in specs]
            array.setflags(write=False)
            return array

        self.kind = column("kind", np.int8, Kind.GAUGE)
        self.mul = column("mul", np.float64, 1.0)
        self.div = column("div", np.float64, 1.0)
        self.offset = column("offset", np.float64, 0.0)
        self.low = column("low", np.float64, -np.inf)
        self.high = column("high", np.float64, np.inf)
        self.modulus = column("modulus", np.float64, NAN)
        self.resolution = column("resolution", np.float64, 0.0)
        self.max_rate = column("max_rate", np.float64, NAN)
        self.max_hold_ns = column("max_hold_ns", np.int64, 0)
        self.stratum = column("stratum", np.int8, 0)
        self.amount = np.full(size, -1, np.int32)
        self.amount[at] = [ids[s.amount] if s.amount else -1 for s in specs]
        self.amount.setflags(write=False)
        self.relative = column("relative", np.float64, 0.0)
        self.period_ns = column("period_ns", np.int64, 0)
        self.ratios = Ratios.of(s.like.ratios if s else () for s in self.specs)  # None where nothing is multiplied
        self.products = self._products(ids, names)

    def _products(self, ids: Mapping[str, int], names: Mapping[str, int]) -> tuple[Product, ...]:
        layers: list[Product] = []
        for series, spec in enumerate(self.specs):
            for layer, (target, timeline) in enumerate(spec.products if spec else ()):
                if layer == len(layers):
                    layers.append(Product(np.full(len(self), -1, np.int32), np.full(len(self), -1, np.int32)))
                layers[layer].series[series] = ids[target]
                layers[layer].timeline[series] = names[timeline]
        return tuple(layers)

    def __len__(self) -> int:
        return len(self.specs)

    def spec(self, series: int) -> Spec:
        """Return what is known of an id; raises KeyError for one not in this revision."""
        spec = self.specs[series] if 0 <= series < len(self.specs) else None
        if spec is None:
            raise KeyError(series)
        return spec

    def of_connection(self, connection: str) -> npt.NDArray[np.int32]:
        """Return the ids of the measured series a connection owns."""
        return np.array(
            [i for i, s in enumerate(self.specs) if s and s.like.connection == connection and not s.like.stratum],
            np.int32,
        )

    @cached_property
    def digest(self) -> str:
        """Return the identity of this plan: equal digests compute the same from the same rows."""
        digest = hashlib.sha256(self._rules)
        for line in self._lines():
            digest.update(line)
        return digest.hexdigest()

    def pack(self) -> bytes:
        """Return the whole plan as bytes: what a revision keeps, so that old rows stay computable.

        zstd over lines of JSON, a line a column, so that many thousands of series never stand in memory at once.
        """
        compressor = zstandard.ZstdCompressor(level=3).compressobj()
        ids = _encode("id", [i for i, s in enumerate(self.specs) if s])
        lines = itertools.chain(self._lines(), [ids])
        return b"".join([*map(compressor.compress, lines), compressor.flush()])

    def _lines(self) -> Iterator[bytes]:
        yield orjson.dumps([f.to_json() for f in self.factors]) + b"\n"
        for field in fields(Spec):
            yield _encode(field.name, [getattr(s, field.name) for s in self.specs if s])

    @classmethod
    def unpack(cls, revision: int, data: bytes) -> Self:
        """Return the table `pack` made the bytes of."""
        head, *lines = zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()
        factors = [FactorTimeline.from_json(f) for f in orjson.loads(head)]
        columns = dict(map(_decode, lines))
        numbers = columns.pop("id")
        specs = [Spec(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
        ids = dict(zip((s.key for s in specs), numbers, strict=True))
        return cls(revision, specs, ids, {f.name: f for f in factors})


def _encode(name: str, values: list[Any]) -> bytes:
    """Return a column as a line: each distinct value once, and which of them each series has."""
    distinct = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return orjson.dumps([name, list(map(_plain, distinct)), [distinct[v] for v in values]]) + b"\n"


def _decode(line: bytes) -> tuple[str, list[Any]]:
    name, distinct, numbers = orjson.loads(line)
    values = [_rich(name, value) for value in distinct]
    return name, [values[n] for n in numbers]


_NOT_IN_JSON = {np.inf: "inf", -np.inf: "-inf"}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; numbers that JSON has no word for are text."""
    if isinstance(value, Like):
        return [_plain(getattr(value, f.name)) for f in fields(Like)]
    if isinstance(value, float) and not np.isfinite(value):
        return _NOT_IN_JSON.get(value, "nan")
    return value


def _rich(name: str, value: Any) -> Any:
    if name == "like":
        # Not strict: a plan of an earlier version lacks the fields that came later.
        shared: dict[str, Any] = {
            f.name: float(v) if f.type == "float" else v for f, v in zip(fields(Like), value, strict=False)
        }
        shared["ratios"] = tuple((start, float(ratio)) for start, ratio in shared.get("ratios", ()))
        return Like(**shared)
    return tuple(map(tuple, value)) if name in ("tags", "products") else value
