"""A place in a unit → its words, every number they could be, and which of these a display could mean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from collectors.modbus_ask import Asker
from collectors.modbus_frames import Failure, Read
from collectors.modbus_plan import Place
from collectors.modbus_readings import Heard, Reading, readings
from config.errors import Rejected
from tanflow.commissioning.plausible import Fit, fits, quantity_of

COLUMN: Final = 100  # what is added to a reading's number at the next address
# Of readings that show the same number the likelier type and order of bytes go first.
_TYPES: Final = ("float32", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float64")
_ORDERS: Final = ("AB", "ABCD", "ABCDEFGH", "CDAB", "GHEFCDAB")


class Candidate(NamedTuple):
    """A reading, the number a person chooses it by, its address, and how it fits what was expected."""

    number: int
    address: int
    reading: Reading
    fit: Fit | None


class Expected(NamedTuple):
    """What the display shows."""

    value: float
    unit: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a probe: the one read that worked, or none and why each attempt failed."""

    wanted: Read
    heard: Heard | None
    took_s: float
    failures: tuple[tuple[Read, Failure], ...]


def attempts(wanted: Read) -> list[Read]:
    """Return the reads to try, widest first: with a register more on either side, on one, on none, and one before."""
    first, last = wanted.address, wanted.address + wanted.length  # exclusive
    ranges = [(first - 1, last + 1), (first, last + 1), (first - 1, last), (first, last), (first - 1, last - 1)]
    most = 2_000 if wanted.table in ("coil", "discrete") else 125
    possible = [(a, b) for a, b in ranges if a >= 0 and b <= 65_536 and b - a <= most]
    return [Read(wanted.unit, wanted.table, a, b - a) for a, b in dict.fromkeys(possible)]


async def probe(asker: Asker, wanted: Read) -> Probed:
    """Read until one attempt is answered; only a refused address is a reason to try another. Raises Unavailable."""
    failures: list[tuple[Read, Failure]] = []
    for read in attempts(wanted):
        answer = await asker.ask(read)
        if answer.failure is None:
            return Probed(wanted, Heard(read, answer.data, time.time_ns()), answer.took_s, tuple(failures))
        failures.append((read, answer.failure))
        if answer.failure.code not in (2, 3):
            break
    return Probed(wanted, None, 0.0, tuple(failures))


def candidates(probed: Probed, expected: Expected | None = None) -> list[Candidate]:
    """Return every reading with its number: 1 … at the address asked for, 101 … one before, 201 … one after."""
    heard, wanted = probed.heard, probed.wanted
    if heard is None:
        return []
    after = range(wanted.address + 1, wanted.address + wanted.length + 1)
    rows: dict[tuple[str, str], int] = {}
    found = []
    for column, address in enumerate((wanted.address, wanted.address - 1, *after)):
        kind = "bool" if wanted.table in ("coil", "discrete") else "uint16"
        spot = Place(wanted.table, address, 1, kind, "big", "big", None, ())  # type: ignore[arg-type]
        for reading in readings(heard, spot):
            if reading.offset == 0:
                row = rows.setdefault((reading.type, reading.order), len(rows) + 1)
                fit = fits(reading.value, expected.value, expected.unit, expected.tolerance) if expected else None
                found.append(Candidate(row + COLUMN * column, address, reading, fit))
    return found


def best_first(found: Sequence[Candidate], asked_address: int) -> list[Candidate]:
    """Return the candidates that fit, the likeliest first."""

    def key(one: Candidate) -> tuple[Any, ...]:
        assert one.fit is not None
        kind, order = one.reading.type, one.reading.order
        types = _TYPES.index(kind) if kind in _TYPES else len(_TYPES)
        orders = _ORDERS.index(order) if order in _ORDERS else len(_ORDERS)
        return (one.fit.surprise, abs(one.address - asked_address), orders, types, one.fit.error)

    return sorted((one for one in found if one.fit), key=key)


def chosen(found: Sequence[Candidate], number: int) -> Candidate:
    """Return the candidate of a number; raises Rejected where there is none."""
    for one in found:
        if one.number == number:
            return one
    raise Rejected(f"there is no reading number {number}; the first column says which there are")


def point_of(one: Candidate, table: str, unit: str) -> tuple[str, dict[str, Any]]:
    """Return a name and the block of the point that reads what was chosen, as a configuration says it."""
    unit = one.fit.unit if one.fit else unit
    quantity = quantity_of(unit) or "count"
    point: dict[str, Any] = {"quantity": quantity, "unit": unit or "1"}
    if one.fit and one.fit.scale != 1:
        point["scale"] = one.fit.scale
    return f"{quantity}_{one.address}", point | {"modbus": _place(one, table)}


def _place(one: Candidate, table: str) -> dict[str, Any]:
    reading = one.reading
    place: dict[str, Any] = {"address": one.address}
    if reading.type != "uint16":
        place["type"] = reading.type
    if table != "holding":
        place["table"] = table
    if len(reading.order) > 2 and reading.word_order != "big":
        place["word_order"] = reading.word_order
    if reading.byte_order != "big":
        place["byte_order"] = reading.byte_order
    return place
