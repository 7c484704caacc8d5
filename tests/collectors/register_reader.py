"""A second reader of registers, one value at a time with struct and Decimal: what the stacked decoder must agree with.

It knows nothing of gathers, columns or numpy: it goes from the address to the words, puts them in order and counts.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from collectors.modbus_plan import Place

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f",
    "float64": "d",
}  # fmt: skip


def read(words: Mapping[int, int], spot: Place, at_ns: int) -> float | None:
    """Return what stands at a place of a memory {address: word}, None for no value."""
    data = _ordered(words, spot)
    if int.from_bytes(data, "big") in {absent % (1 << 8 * len(data)) for absent in spot.not_available}:
        return None
    if spot.type.startswith("time_"):
        shown = _wall(spot.type, data)
        if shown is None or not 2000 <= shown.year < 2100:
            return None
        received = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)
        due = received.astimezone(ZoneInfo(spot.zone)).replace(tzinfo=None)
        return (shown - due) / timedelta(seconds=1)
    number = _number(spot, data)
    for scale in spot.scales:
        if number is None:
            return None
        number = _scaled(number, scale.kind, read(words, scale.spot, at_ns))
    return _formed(spot.form, number)


def _ordered(words: Mapping[int, int], spot: Place) -> bytes:
    pairs = [words[a].to_bytes(2, "big") for a in range(spot.address, spot.address + spot.registers)]
    if spot.byte_order == "little":
        pairs = [pair[::-1] for pair in pairs]
    return b"".join(pairs if spot.word_order == "big" else reversed(pairs))


def _number(spot: Place, data: bytes) -> Decimal | None:
    raw = int.from_bytes(data, "big")
    if spot.bit is not None:
        return Decimal(raw >> spot.bit & 1)
    if spot.type == "bool":
        return Decimal(raw != 0)
    if spot.type.startswith("bcd"):
        return Decimal(data.hex()) if data.hex().isdecimal() else None
    if spot.type.startswith("sm"):
        bits = f"{raw:0{8 * len(data)}b}"
        return (-1 if bits[0] == "1" else 1) * Decimal(int(bits[1:], 2))
    (value,) = struct.unpack(">" + FORMATS[spot.type], data)
    number = Decimal(value)
    return number if number.is_finite() else None


def _scaled(number: Decimal, kind: str, by: float | None) -> Decimal | None:
    if by is None:
        return None
    if kind == "exponent":
        return number.scaleb(int(by)) if by == int(by) and -10 <= by <= 10 else None
    if kind == "factor":
        return number * Decimal(by) if by > 0 else None
    return {0: number, 1: -number}.get(int(by)) if by == int(by) else None


def _formed(form: str | None, number: Decimal | None) -> float | None:
    if number is None or form is None:
        return None if number is None else float(number)
    if form == "lead_lag":
        return abs(float(number))
    if number > 2 or number < -2:
        return None
    return float(2 - number if number > 1 else -2 - number if number < -1 else number)


def _wall(kind: str, data: bytes) -> datetime | None:
    milliseconds = 0
    if kind == "time_unix":
        return datetime(1970, 1, 1) + timedelta(seconds=int.from_bytes(data, "big"))
    if kind == "time_words":
        fields = list(struct.unpack(">6H", data))
        fields[0] += 2000 if fields[0] < 100 else 0
    elif kind == "time_bytes":
        fields = [2000 + data[0] if data[0] < 100 else data[0], *data[1:]]
    elif kind == "time_bcd":
        if not data.hex().isdecimal():
            return None
        fields = [int(data.hex()[i : i + 2]) for i in range(0, 12, 2)]
        fields[0] += 2000
    else:
        year, date, hour, rest = (f"{word:016b}" for word in struct.unpack(">4H", data))
        if hour[8] == "1":
            return None
        seconds, milliseconds = divmod(int(rest, 2), 1000)
        month, day = int(date[4:8], 2), int(date[11:], 2)
        year_of_century = int(year[9:], 2)
        fields = [2000 + year_of_century if year_of_century < 100 else year_of_century]
        fields += [month, day, int(hour[3:8], 2), int(hour[10:], 2), seconds]
    try:
        return datetime(*fields) + timedelta(milliseconds=milliseconds)
    except ValueError:
        return None
