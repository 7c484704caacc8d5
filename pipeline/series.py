"""The series table: everything known of every series, compiled once per config revision into arrays indexed by id."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from pipeline.factors import FactorTimeline
from pipeline.ratios import Ratios
from pipeline.spec import NAN, Kind, Like, Spec
from pipeline.spec_list import SpecList
from pipeline.specs import Specs


@dataclass(frozen=True, slots=True)
class Column:
    """A value by series id, of which alike series share one: a small table stays in the processor's cache."""

    shared: npt.NDArray[Any]
    number: npt.NDArray[np.int32]

    def __getitem__(self, series: Any) -> Any:
        """Return the values of an array of ids (or the value of one)."""
        return self.of(self.number.take(series))

    def of(self, likes: npt.NDArray[np.intp]) -> Any:
        """Return the values of what `SeriesTable.likes` found: one look-up serves several columns."""
        return self.shared.take(likes)


class SeriesTable:
    """Read-only arrays over all series ids of one revision; ids not in the revision have no spec."""

    def __init__(
        self,
        revision: int,
        specs: Iterable[Spec],
        ids: Mapping[str, int],
        factors: Mapping[str, FactorTimeline],
        rules: bytes = b"",
        retired: frozenset[int] = frozenset(),
    ) -> None:
        self.revision = revision
        self.retired: Final = retired  # ids no plan has any more; only rows of earlier revisions
        self._rules = rules  # of what is computed over the log: windows, alerts, the site's hours
        self.factors: tuple[FactorTimeline, ...] = tuple(factors.values())
        self.specs = Specs(specs, ids, tuple(factors))
        self.ids: Mapping[str, int] = self.specs.keys

        def column(name: str, dtype: Any, missing: float) -> Column:
            shared = np.array([*(getattr(like, name) for like in self.specs.likes), missing], dtype)
            return Column(shared, self.specs.like)  # where there is none, −1 takes the last

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
        self.amount = self.specs.amount
        self.relative = column("relative", np.float64, 0.0)
        self.period_ns = column("period_ns", np.int64, 0)
        steps = [*(like.ratios for like in self.specs.likes), ()]
        self.ratios = Ratios.of(steps[number] for number in self.specs.like.tolist())  # None: nothing is multiplied
        self.products = self.specs.products

    def __len__(self) -> int:
        return len(self.specs)

    def likes(self, series: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        """Return where the columns of an array of ids stand."""
        likes: npt.NDArray[np.intp] = self.specs.like.take(series).astype(np.intp)
        return likes

    def spec(self, series: int) -> Spec:
        """Return what is known of an id; raises KeyError for one not in this revision."""
        spec = self.specs[series] if 0 <= series < len(self.specs) else None
        if spec is None:
            raise KeyError(series)
        return spec

    def of_connection(self, connection: str) -> npt.NDArray[np.int32]:
        """Return the ids of the measured series a connection owns."""
        return self.specs.where(lambda like: like.connection == connection and not like.stratum)

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
        known = self.specs.known.tolist()
        ids = _encode("id", known, list(range(len(known))))
        lines = itertools.chain(self._lines(), [ids])
        return b"".join([*map(compressor.compress, lines), compressor.flush()])

    def _lines(self) -> Iterator[bytes]:
        yield orjson.dumps([f.to_json() for f in self.factors]) + b"\n"
        for field in fields(Spec):
            yield _encode(field.name, *self.specs.coded(field.name))

    @classmethod
    def unpack(cls, revision: int, data: bytes) -> Self:
        """Return the table `pack` made the bytes of."""
        head, *lines = zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()
        factors = [FactorTimeline.from_json(f) for f in orjson.loads(head)]
        columns = dict(map(_decode, lines))
        numbers = columns.pop("id")
        rows = zip(*columns.values(), strict=True)
        specs = SpecList(Spec(**dict(zip(columns, row, strict=True))) for row in rows)
        ids = dict(zip(specs.keys, numbers, strict=True))
        return cls(revision, specs, ids, {f.name: f for f in factors})


def _encode(name: str, distinct: list[Any], numbers: list[int]) -> bytes:
    """Return a column as a line: each distinct value once, and which of them each series has."""
    return orjson.dumps([name, list(map(_plain, distinct)), numbers]) + b"\n"


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
