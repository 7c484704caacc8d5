"""A Modbus unit in; the SunSpec models it shows out, and the device map that reads them.

A SunSpec map is "SunS" and a chain of models, each its number, its length and its registers, up to 0xFFFF (SunSpec
Device Information Model Specification V1.1). It never writes to a field device: all it can send are reads.
"""

from __future__ import annotations

import re
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from collectors.modbus_ask import Answer, Asker
from collectors.modbus_frames import ADDRESSES, Failure, Read
from collectors.modbus_plan import Place, compile_plan, decode_text, place
from config.errors import Rejected, Unavailable
from config.explain import visible
from config.points import Point
from config.protocols.modbus import ModbusDefaults
from config.sunspec import COMMON, ModelMap, load_models
from pipeline.gaps import Gap

BASES: Final = (40_000, 50_000, 0)
_MARK: Final = b"SunS"
_COMMON: Final = 1
_END: Final = 0xFFFF
_MOST_MODELS: Final = 100  # of one device; a chain that goes on is no chain
_MOST_NAMED: Final = 20  # models in the notes of a device map
_MOST: Final = 125  # registers of one read
WITHIN_S: Final = 20.0  # a chain of twenty models takes a slow line a few seconds
DEFAULTS: Final = ModbusDefaults(absent="sunspec")


class Model(NamedTuple):
    """One model in a device: its number, its first register, and how many follow number and length."""

    number: int
    address: int
    length: int
    data: bytes  # of all its registers, number and length included; empty for one that is not known here


@dataclass(frozen=True, slots=True)
class Found:
    """The models of a device in the order of its chain; `flaw` says why the chain was not followed to its end."""

    base: int
    models: tuple[Model, ...]
    flaw: str
    about: dict[str, str]  # maker, model, version, serial


class Reading(NamedTuple):
    """A point of a found model at its place in the device, and what it shows now, in `unit`; NaN for nothing."""

    name: str
    point: Point
    value: float


class _Hurried:
    """Asks while there is time left; afterwards nothing is asked any more, each request has failed at once."""

    def __init__(self, asker: Asker, within_s: float, clock: Callable[[], float]) -> None:
        self._asker, self._clock = asker, clock
        self._within_s, self._until_s = within_s, clock() + within_s

    @property
    def late(self) -> bool:
        return self._clock() >= self._until_s

    async def ask(self, read: Read) -> Answer:
        if self.late:
            return Answer(b"", Failure(Gap.TIMEOUT, f"no end within {self._within_s:g} s"), 0.0)
        return await self._asker.ask(read)


async def discover(
    asker: Asker,
    unit: int,
    within_s: float = WITHIN_S,
    heard: Callable[[Model], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Read a unit's chain of models, and the registers of those known here; `heard` is told each as it is found.

    After `within_s` [s] nothing more is asked, and what was found is returned. Raises Unavailable where the unit does
    not answer, Rejected where it shows no SunSpec map.
    """
    hurried = _Hurried(asker, within_s, clock)
    base = await _base(hurried, unit)
    models: list[Model] = []
    address, flaw = base + 2, ""
    while not flaw:
        head = await _read(hurried, unit, address, 2) if address <= 65_534 else Failure(Gap.MALFORMED, "")
        if isinstance(head, Failure):
            flaw = head.words if hurried.late else f"the chain breaks off at {address}, without its end mark"
            break
        number, length = struct.unpack(">HH", head)
        if number == _END:
            break
        flaw = _flaw(number, length, address, len(models))
        if not flaw:
            models.append(await _model(hurried, unit, number, address, length))
            heard(models[-1])
            address += 2 + length
    return Found(base, tuple(models), flaw, _about(models))


async def _model(asker: Asker, unit: int, number: int, address: int, length: int) -> Model:
    known = load_models()
    wanted = number == _COMMON or (number in known and length >= known[number].length)
    return Model(number, address, length, await _whole(asker, unit, address, 2 + length) if wanted else b"")


def points_of(found: Found) -> Iterator[Reading]:
    """Yield every point the known models of a device show; a second model of a kind goes by its kind and number."""
    known, seen, first = load_models(), Counter[str](), ""
    for model in found.models:
        layout = known.get(model.number)
        if layout is None or not model.data:
            continue
        first = first or layout.family
        seen[layout.family] += 1
        count = seen[layout.family]
        prefix = f"{layout.family}_{count}_" if count > 1 else f"{layout.family}_" if layout.family != first else ""
        values = _values(layout, model)
        for (name, point), value in zip(layout.points.items(), values, strict=True):
            yield Reading(prefix + name, _placed(_in_its_unit(point, model), model.address), value)


def device_map(found: Found) -> tuple[str, dict[str, Any]]:
    """Return a name and the block that reads a device, as a configuration has it under `templates:`.

    Points that show nothing now are left out and named in `notes`: a model has places for more than a device measures.
    Raises Rejected where nothing can be read.
    """
    shown, silent = {}, []
    for name, point, value in points_of(found):
        if value == value:
            shown[name] = point.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        else:
            silent.append(name)
    if not shown:
        numbers = list(dict.fromkeys(str(m.number) for m in found.models))
        raise Rejected(f"none of the models can be read here: {', '.join(numbers[:_MOST_NAMED]) or 'there is none'}")
    title = " ".join(filter(None, (found.about.get("maker"), found.about.get("model"))))
    serial, version = found.about.get("serial", ""), found.about.get("version", "")
    notes = f"{title or 'SunSpec device'}, version {version}, serial {serial}: models "
    notes += ", ".join(f"{m.number} at {m.address}" for m in found.models[:_MOST_NAMED])
    notes += f" and {more} more" if (more := len(found.models) - _MOST_NAMED) > 0 else ""
    notes += f". Left out, for they showed nothing: {', '.join(silent)}." if silent else "."
    name = re.sub(r"[^a-z0-9]+", "_", f"sunspec {title}".lower()).strip("_")[:64]
    block = {"protocol": "modbus", "notes": notes, "modbus": {"absent": "sunspec"}, "points": shown}
    return name, block


async def _base(asker: Asker, unit: int) -> int:
    for base in BASES:
        mark = await _read(asker, unit, base, 2)
        if mark == _MARK:
            return base
        if isinstance(mark, Failure) and mark.cause is not Gap.EXCEPTION:
            raise Unavailable(f"unit {unit}: {mark.words}")
    looked = ", ".join(map(str, BASES))
    raise Rejected(f"unit {unit} shows no SunSpec map (no 'SunS' at holding {looked}); is SunSpec switched on in it?")


async def _read(asker: Asker, unit: int, address: int, count: int) -> bytes | Failure:
    answer = await asker.ask(Read(unit, "holding", address, count))
    return answer.failure or answer.data


async def _whole(asker: Asker, unit: int, address: int, count: int) -> bytes:
    """Return all registers of a model in as few reads as it takes; nothing where one of them fails."""
    data = b""
    for start in range(0, count, _MOST):
        part = await _read(asker, unit, address + start, min(_MOST, count - start))
        if isinstance(part, Failure):
            return b""
        data += part
    return data


def _flaw(number: int, length: int, address: int, before: int) -> str:
    if before >= _MOST_MODELS:
        return f"more than {_MOST_MODELS} models, and still no end"
    if number == 0:
        return f"a model 0 at {address}: there is none"
    if address + 2 + length > ADDRESSES:
        return f"model {number} at {address} says it has {length} registers, which is beyond 65535"
    return ""


def _about(models: list[Model]) -> dict[str, str]:
    common = next((m for m in models if m.number == _COMMON and len(m.data) >= 2 * 66), None)
    if common is None:
        return {}
    return {
        key: visible(decode_text(common.data[2 * at : 2 * (at + count)], "big")) for key, (at, count) in COMMON.items()
    }


def _places(layout: ModelMap) -> list[Place]:
    return [place(point.modbus, DEFAULTS) for point in layout.points.values() if point.modbus]


def _values(layout: ModelMap, model: Model) -> list[float]:
    spots = _places(layout)
    values = [float("nan")] * len(spots)
    for block in compile_plan(spots, 1_000, 1_000).blocks:
        raw = np.frombuffer(model.data[2 * block.address : 2 * (block.address + block.count)], np.uint8)
        with np.errstate(invalid="ignore"):
            decoded, _ = block.decode(raw[np.newaxis])
        for column, index in enumerate(block.points):
            values[index] = float(decoded[0, column])
    return values


def _in_its_unit(point: Point, model: Model) -> Point:
    """Return a power factor in the unit it is meant in: the models say percent, many devices show a fraction.

    A whole number scaled by 10^-3 or less could not hold 100 %; a float of at most 1 is taken as a fraction.
    """
    if point.quantity != "power_factor" or point.modbus is None:
        return point
    at = 2 * point.modbus.address
    if point.modbus.scale_by:
        (exponent,) = struct.unpack_from(">h", model.data, 2 * point.modbus.scale_by[0].address)
        percent = exponent > -3
    else:
        (value,) = struct.unpack_from(">f", model.data, at)
        percent = abs(value) > 1
    return point.model_copy(update={"unit": "%" if percent else "1"})


def _placed(point: Point, address: int) -> Point:
    """Return a point with the addresses it has in the device."""
    assert point.modbus is not None
    scales = tuple(s.model_copy(update={"address": s.address + address}) for s in point.modbus.scale_by)
    at = point.modbus.model_copy(update={"address": point.modbus.address + address, "scale_by": scales})
    return point.model_copy(update={"modbus": at})
