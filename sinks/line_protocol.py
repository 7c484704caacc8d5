"""Batch + series table → line protocol: one line per tag set and instant, carrying every field of that instant.

Rules of the text (InfluxData, "Line protocol reference"): a backslash escapes comma and space in a measurement, and
equals too in tag keys, tag values and field keys; a string field escapes quote and backslash. A backslash is otherwise
itself, so a name that ends in one, or holds a line break, cannot be written and is refused rather than changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from config.errors import GatewayError
from pipeline.batch import Batch, Times, Values
from pipeline.series import SeriesTable

QUALITY_SUFFIX: Final = b"_q"

_MEASUREMENT: Final = str.maketrans({",": r"\,", " ": r"\ "})
_KEY: Final = str.maketrans({",": r"\,", " ": r"\ ", "=": r"\="})
_STRING: Final = str.maketrans({'"': r"\"", "\\": r"\\"})
_LAYOUT_BYTES: Final = 24_000_000  # most the layouts may take; 1,000 devices × 62 fields take 2 MB
_LINES: Final = 500  # made at a time: their texts, each an object, take ten times the memory of what they come to
_FLOAT32: Final = 2.0**-23  # the relative step of series whose registers are IEEE 754 single precision
_WHOLE: Final = 2.0**24  # a float32 below it that is a whole number is written with all its digits

Rows = npt.NDArray[np.int64]


# ── names and single points ───────────────────────────────────────────────────────────────────────


def _name(text: str, escapes: dict[int, str], what: str) -> str:
    if not text:
        raise ValueError(f"an empty {what} cannot be written in line protocol")
    if text.endswith("\\") or "\n" in text or "\r" in text:
        raise ValueError(f"{what} {text!r} ends in a backslash or holds a line break: line protocol cannot express it")
    return text.translate(escapes)


def escape_head(measurement: str, tags: Iterable[tuple[str, str]]) -> bytes:
    """Return the escaped `measurement,key=value,…`; raises ValueError for what the protocol cannot express."""
    if measurement.startswith("#"):
        raise ValueError(f"measurement {measurement!r} would be read as a comment")
    parts = [_name(measurement, _MEASUREMENT, "measurement")]
    for key, value in tags:
        tag_value = _name(value, _KEY, f"value of tag {key!r}")
        parts.append(f"{_name(key, _KEY, 'tag key')}={tag_value}")
    return ",".join(parts).encode()


def escape_field(field: str) -> bytes:
    """Return the escaped field key; raises ValueError for what the protocol cannot express."""
    return _name(field, _KEY, "field key").encode()


def format_value(value: float | int | bool | str) -> bytes:
    """Return a field value: floats in their shortest form, integers with `i`, strings quoted.

    Raises ValueError for NaN, infinity and integers beyond 64 bits.
    """
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"integer {value} is beyond 64 bits")
        return b"%di" % value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number a database stores")
        return orjson.dumps(float(value))
    return b'"' + value.translate(_STRING).encode() + b'"'


def encode_point(
    measurement: str,
    tags: Iterable[tuple[str, str]],
    fields: Mapping[str, float | int | bool | str],
    time_ns: int,
) -> bytes:
    """Return one line without its line end; raises ValueError for what the protocol cannot express."""
    if not fields:
        raise ValueError(f"a point of {measurement!r} without fields cannot be written")
    values = b",".join(escape_field(field) + b"=" + format_value(value) for field, value in fields.items())
    return b"%b %b %d" % (escape_head(measurement, tags), values, time_ns)


# ── batches ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Lines:
    """The text of a batch and which rows stand in which line.

    Line i holds the rows `rows[ends[i-1]:ends[i]]` (indices into the batch); a row a later one supersedes is in none.
    `unstorable`: rows whose value is NaN or infinite, of which at most the quality was written. `unknown`: rows of
    series the table does not have; they stand in no line.
    """

    payload: bytes
    rows: Rows
    ends: Rows
    unstorable: int
    unknown: Rows

    def __len__(self) -> int:
        return len(self.ends)


class Encoder:
    """Turns batches of one series table into line protocol; floats as floats, `<field>_q` as integers.

    What a float32 register shows is written as that number, 449.1, and not as the float64 next to it,
    449.1000061035156: the digits after it are none of the meter's. It reads back as the same float32.

    All of a line but its values and time depends only on its series and qualities: the template of each combination
    seen (its layout) is kept, so a line costs one look-up, and all values are formatted in one go. Raises
    GatewayError when two series of the table would overwrite each other in the database, or a name cannot be written.
    """

    def __init__(self, table: SeriesTable) -> None:
        self._layouts: dict[bytes, bytes] = {}
        self._layout_bytes = 0
        self._known = np.zeros(len(table), bool)
        self._group = np.zeros(len(table), np.int32)  # which of the heads a series' lines have
        self._field = np.zeros(len(table), np.int32)  # which of the keys it has there
        self._single = np.zeros(len(table), bool)  # it comes from a float32 register
        heads: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        keys: dict[str, int] = {}
        for series, spec in enumerate(table.specs):
            if spec is not None:
                self._known[series] = True
                self._group[series] = heads.setdefault((spec.like.measurement, spec.tags), len(heads))
                self._field[series] = keys.setdefault(spec.like.field, len(keys))
                self._single[series] = spec.like.relative == _FLOAT32
        try:
            self._heads = [_template(escape_head(*head)) for head in heads]
            self._keys = [_template(escape_field(key)) for key in keys]
        except ValueError as error:
            raise GatewayError(f"a series cannot be written to a database: {error}") from error
        # Sorting by rank brings the series of one head together, in the order of their ids.
        self._rank = np.zeros(len(table), np.int32)
        self._rank[np.argsort(self._group, kind="stable")] = np.arange(len(table))
        self._check(table)

    def _check(self, table: SeriesTable) -> None:
        """Refuse two series of one head of which one's key, or quality key, is also one of the other's.

        What is retired may have the key of what came after it: of their rows the one ends where the other begins.
        """
        names = {key: number for number, key in enumerate(self._keys)}
        quality = np.array([names.setdefault(key + QUALITY_SUFFIX, len(names)) for key in self._keys], np.int64)
        known = np.flatnonzero(self._known)
        known = known[~np.isin(known, list(table.retired))]
        head = self._group[known].astype(np.int64) * len(names)
        taken = np.concatenate([head + self._field[known], head + quality[self._field[known]]])
        order = np.argsort(taken, kind="stable")
        twice = np.flatnonzero(np.diff(taken[order]) == 0)
        if not len(twice):
            return
        places = order[twice[0] : twice[0] + 2]
        one, other = (table.spec(series).key for series in known[places % len(known)].tolist())
        group, name = divmod(int(taken[places[0]]), len(names))
        raise GatewayError(
            f"series {one} and {other} would overwrite each other in the database: both write"
            f" {list(names)[name].decode()} of {self._heads[group].decode()}; give one of them another point name"
        )

    def encode(self, batch: Batch) -> Lines:
        """Return the lines of all rows; of several rows of one series and time the last wins."""
        rows, unknown, unstorable = self._storable(batch)
        if not len(rows):
            return Lines(b"", rows, rows, unstorable, unknown)
        if len(rows) < len(batch):
            batch = batch.take(rows)
        key = _order_key(batch.time_ns, self._rank.take(batch.series), len(self._rank))
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            key, rows, batch = key.take(order), rows.take(order), batch.take(order)
        group = self._group.take(batch.series)
        last = np.append(key[1:] != key[:-1], True)
        line_end = np.append((group[1:] != group[:-1]) | (batch.time_ns[1:] != batch.time_ns[:-1]), True)
        ends = np.flatnonzero(line_end) + 1
        instants = batch.time_ns[ends - 1]
        if not last.all():
            rows, batch, ends = rows[last], batch.take(last), np.cumsum(last)[ends - 1]
        parts = [self._write(*piece) for piece in _pieces(batch, ends, instants)]
        return Lines(b"".join(parts), rows, ends, unstorable, unknown)

    def _storable(self, batch: Batch) -> tuple[Rows, Rows, int]:
        series = batch.series
        if not len(series):
            return np.arange(0), np.arange(0), 0
        within = (series >= 0) & (series < len(self._known))
        known = within & self._known.take(series, mode="clip") if len(self._known) else within
        finite = np.isfinite(batch.value)
        useful = known & (finite | (batch.quality != 0))
        return np.flatnonzero(useful), np.flatnonzero(~known), int(np.count_nonzero(known & ~finite))

    def _write(self, batch: Batch, ends: Rows, time_ns: Times) -> bytes:
        """Return the text of rows that stand in the order of their lines; line i ends before row `ends[i]`."""
        finite, text_ends = np.isfinite(batch.value), ends
        codes = (batch.series.astype(np.int64) << 17 | finite.astype(np.int64) << 16 | batch.quality).tobytes()
        if not finite.all():
            batch, text_ends = batch.take(finite), np.cumsum(finite)[ends - 1]
        texts = _texts(batch.value, self._single.take(batch.series))
        layouts, lines = self._layouts, []
        start = first = 0
        for end, last, instant in zip((ends * 8).tolist(), text_ends.tolist(), time_ns.tolist(), strict=True):
            code = codes[start:end]
            layout = layouts.get(code) or self._learn(code)
            lines.append(layout % (*texts[first:last], instant))
            start, first = end, last
        return b"".join(lines)

    def _learn(self, code: bytes) -> bytes:
        """Return a line as a template of %b for each value and %d for the time."""
        ones = np.frombuffer(code, np.int64).tolist()
        parts = []
        for one in ones:
            key, finite, quality = self._keys[self._field[one >> 17]], one >> 16 & 1, one & 0xFFFF
            if finite:
                parts.append(key + b"=%b")
            if quality:
                parts.append(b"%b%b=%di" % (key, QUALITY_SUFFIX, quality))
        layout: bytes = self._heads[self._group[ones[0] >> 17]] + b" " + b",".join(parts) + b" %d\n"
        self._layout_bytes += len(code) + len(layout) + 160  # two objects and their place in the dictionary
        if self._layout_bytes > _LAYOUT_BYTES:
            self._layouts.clear()
            self._layout_bytes = 0
        self._layouts[code] = layout
        return layout


def _pieces(batch: Batch, ends: Rows, time_ns: Times) -> Iterator[tuple[Batch, Rows, Times]]:
    """Yield some lines at a time: their rows, where each ends among those, and when it was."""
    for line in range(0, len(ends), _LINES):
        part = ends[line : line + _LINES]
        begin = ends[line - 1] if line else 0
        yield batch.take(slice(begin, part[-1])), part - begin, time_ns[line : line + _LINES]


def _template(text: bytes) -> bytes:
    """Return it as a part of a layout."""
    return text.replace(b"%", b"%%")


def _order_key(time_ns: Times, rank: npt.NDArray[np.integer[Any]], ranks: int) -> Rows:
    """Return integers that order rows by time, then rank."""
    first = int(time_ns.min())
    if (int(time_ns.max()) - first + 1) * ranks < 2**63:
        return (time_ns - first) * ranks + rank
    _, step = np.unique(time_ns, return_inverse=True)
    key: Rows = step * ranks + rank
    return key


def _texts(values: Values, single: npt.NDArray[np.bool_]) -> list[bytes]:
    """Return each value in the shortest form that reads back as the same float64; where `single`, the same float32."""
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    wide = np.flatnonzero(~single | (short != values) | (np.abs(values) >= _WHOLE))
    if len(wide) == len(values):
        return _dumped(values)
    texts = _dumped(short)
    for row, text in zip(wide.tolist(), _dumped(values[wide]), strict=True):
        texts[row] = text
    return texts


def _dumped(values: npt.NDArray[np.floating[Any]]) -> list[bytes]:
    if not len(values):
        return []
    text: Any = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)
    return bytes(text)[1:-1].split(b",")
