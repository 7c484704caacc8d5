"""The points of a meter enter; the few questions that bring them leave, each with the decoder of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from collectors.dlt645_frames import identifier_bytes
from config.bindings import BoundDevice, series_key
from config.protocols.dlt645 import Dlt645Point

NAN: Final = math.nan


class Unfit(Exception):
    """An answer is not of the form its points are read by; the words say how."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where one value stands in an answer, and the series it is for."""

    series: int
    item: int | None
    size: int
    stride: int
    decimals: int
    signed: bool

    def read(self, data: bytes) -> float:
        """Return the value in an answer's data (identifier taken off); NaN where its digits are none.

        Raises Unfit when the answer is not as long as values of this form are.
        """
        count, rest = divmod(len(data), self.stride)
        if self.item is None and len(data) != self.stride:
            raise Unfit(f"{len(data)} bytes where {self.stride} are expected; is its format right?")
        if rest:
            raise Unfit(f"{len(data)} bytes are no row of values of {self.stride}; is the format right?")
        item = self.item or 0
        if item >= count:
            raise Unfit(f"has {count} values, none with item: {item}")
        return decode(data[item * self.stride :][: self.size], self.decimals, signed=self.signed)


def decode(raw: bytes, decimals: int, *, signed: bool) -> float:
    """Return the number of packed digits, lowest byte first, with `decimals` behind the point; NaN if any is none.

    `signed`: the top bit of the last byte is the sign.
    """
    negative = signed and raw[-1] >= 0x80
    digits = (raw[:-1] + bytes((raw[-1] & 0x7F,)) if negative else raw)[::-1].hex()
    if not digits.isdecimal():
        return NAN
    number = int(digits) / 10.0**decimals
    return -number if negative and number else number


@dataclass(slots=True)
class Question:
    """A data item of a meter, asked once for all points that stand in it; `answer` is the last one's data."""

    name: str
    identifier: bytes  # as on the wire
    fields: list[Field] = field(default_factory=list)
    answer: bytes = b""
    answered_ns: int = 0
    took_s: float = 0.0  # from the request until the answer, with all that follows


def questions(device: BoundDevice, ids: Mapping[str, int]) -> Sequence[Question]:
    """Return what to ask a device for all its points, in the order they stand in the configuration."""
    asked: dict[str, Question] = {}
    for name, point in device.points.items():
        if point.dlt645 is None:
            continue
        place = point.dlt645
        question = asked.setdefault(place.data, Question(place.data, identifier_bytes(place.data)))
        question.fields.append(field_of(place, ids[series_key(device.asset_name, name, point.quantity)]))
    return list(asked.values())


def field_of(place: Dlt645Point, series: int) -> Field:
    """Return how a point's value is taken from the answer."""
    return Field(series, place.item, place.size, place.stride, place.decimals, place.form.signed)
