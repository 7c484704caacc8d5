"""Points of a Modbus unit in; the few blocks to read and the stacked decoder of each block out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from collectors.modbus_decode import Block, Clocks, Forming, Gather, Scaling, Step
from collectors.modbus_frames import BITS
from config.protocols.modbus import (
    REGISTERS,
    Absent,
    Form,
    ModbusDefaults,
    ModbusPoint,
    Order,
    RegisterType,
    ScaleKind,
    Table,
    absent_values,
)

SCALE_KINDS: Final[tuple[ScaleKind, ...]] = get_args(ScaleKind)
FORMS: Final[tuple[Form, ...]] = get_args(Form)


class Place(NamedTuple):
    """Where and how one value stands in a unit, defaults resolved; equal places decode alike."""

    table: Table
    address: int
    registers: int
    type: RegisterType
    word_order: Order
    byte_order: Order
    bit: int | None
    not_available: tuple[int, ...]
    scales: tuple[Scale, ...] = ()
    form: Form | None = None
    zone: str = "UTC"

    @property
    def end(self) -> int:
        return self.address + self.registers

    @property
    def first(self) -> int:
        """The first register of the request that brings the value and all it is multiplied by."""
        return min([self.address, *(s.spot.address for s in self.scales)])

    @property
    def last(self) -> int:
        """The register after the last one of that request."""
        return max([self.end, *(s.spot.end for s in self.scales)])


class Scale(NamedTuple):
    """What a value is multiplied by: a number in the same request, and how it is meant."""

    kind: ScaleKind
    spot: Place


def place(point: ModbusPoint, defaults: ModbusDefaults) -> Place:
    """Return a point's place with what its template shares filled in."""
    absent = point.absent or defaults.absent
    given = Place(
        point.table or defaults.table,
        point.address,
        point.registers,
        point.type,
        point.word_order or defaults.word_order,
        point.byte_order or defaults.byte_order,
        point.bit,
        _absent(point.type, point.not_available, absent),
        form=point.form,
        zone=point.zone or "UTC",
    )
    scales = tuple(
        Scale(
            s.as_,
            Place(
                given.table,
                s.address,
                1 if s.bit is not None else REGISTERS[s.type],
                "bool" if s.bit is not None else s.type,
                given.word_order,
                given.byte_order,
                s.bit,
                _absent(s.type, s.not_available, absent),
            ),
        )
        for s in point.scale_by
    )
    return given._replace(scales=scales)


def _absent(kind: str, own: tuple[int, ...] | None, convention: Absent) -> tuple[int, ...]:
    return absent_values(kind, convention) if own is None else own


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is read of a unit: `blocks` every cycle; `identity` (strings) when the unit is met."""

    blocks: tuple[Block, ...]
    identity: tuple[Block, ...]


def compile_plan(places: Sequence[Place], max_registers: int = 125, max_gap: int = 16) -> Plan:
    """Return the plan of a unit's places: as few reads as limit and gap allow, no value split from what scales it.

    A register costs as much as 16 bits, so both limits count 16-fold for coils and discrete inputs.
    Raises ValueError for a value wider than one read.
    """
    for spot in places:
        _check_width(spot, max_registers)
    numbers = [i for i, p in enumerate(places) if p.type != "string"]
    texts = [i for i, p in enumerate(places) if p.type == "string"]
    return Plan(
        tuple(_block(places, run) for run in _runs(places, numbers, max_registers, max_gap)),
        tuple(_block(places, [i], text=True) for i in texts),
    )


def _check_width(spot: Place, most: int) -> None:
    needed = spot.last - spot.first
    if needed <= most:
        return
    what = f"the {spot.type} at {spot.table} {spot.address}"
    if not spot.scales or spot.registers > most:
        raise ValueError(f"{what} needs {spot.registers} registers in one read, but max_registers is {most}")
    raise ValueError(
        f"{what} and what it is multiplied by stand {needed} registers apart, but one read brings at most {most}: they "
        "would not be of one instant; leave scale_by out (ratios of transformers also go under accounting: meters:)"
    )


def decode_text(data: bytes, byte_order: Order) -> str:
    """Return the characters of a string's registers up to the first NUL, without blanks around them."""
    if byte_order == "little":
        data = b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2))
    return data.split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def _runs(places: Sequence[Place], chosen: Iterable[int], limit: int, gap: int) -> Iterable[list[int]]:
    ordered = sorted(chosen, key=lambda i: (places[i].table, places[i].first, i))
    for table, group in groupby(ordered, key=lambda i: places[i].table):
        weight = 16 if table in BITS else 1
        run: list[int] = []
        start = end = 0
        for i in group:
            spot = places[i]
            if run and (spot.first - end > gap * weight or max(end, spot.last) - start > limit * weight):
                yield run
                run = []
            if not run:
                start = end = spot.first
            run.append(i)
            end = max(end, spot.last)
        yield run


def _block(places: Sequence[Place], run: Sequence[int], *, text: bool = False) -> Block:
    start = min(places[i].first for i in run)
    count = max(places[i].last for i in run) - start
    if text:
        return Block(places[run[0]].table, start, count, tuple(run), ())
    ordered = sorted(run, key=lambda i: _group(places[i]))
    members = [places[i] for i in ordered]
    helpers = sorted({s.spot for spot in members for s in spot.scales}, key=_group)
    gathers = (*_gathers(members, start, 0), *_gathers(helpers, start, len(members)))
    column = {helper: len(members) + n for n, helper in enumerate(helpers)}
    width = len(members) + len(helpers)
    return Block(members[0].table, start, count, tuple(ordered), gathers, tuple(_steps(members, column)), width)


def _gathers(members: Sequence[Place], start: int, column: int) -> Iterable[Gather]:
    for kind, group in groupby(members, key=_group):
        alike = list(group)
        yield _gather(kind, alike, start, column)
        column += len(alike)


def _steps(members: Sequence[Place], column: Mapping[Place, int]) -> Iterable[Step]:
    """Yield what is done with the decoded columns: the first multiplications of all, then their second ones, forms."""
    for depth in range(max((len(spot.scales) for spot in members), default=0)):
        scaled = [(n, spot.scales[depth]) for n, spot in enumerate(members) if len(spot.scales) > depth]
        for kind in SCALE_KINDS:
            pairs = [(n, column[scale.spot]) for n, scale in scaled if scale.kind == kind]
            if pairs:
                targets, sources = np.array(pairs, np.intp).T
                yield Scaling(kind, targets, sources)
    for form in FORMS:
        formed = [n for n, spot in enumerate(members) if spot.form == form]
        if formed:
            yield Forming(form, np.array(formed, np.intp))
    for zone in sorted({spot.zone for spot in members if spot.type.startswith("time_")}):
        clocks = [n for n, spot in enumerate(members) if spot.type.startswith("time_") and spot.zone == zone]
        yield Clocks(zone, np.array(clocks, np.intp))


def _group(spot: Place) -> str:
    return "bit" if spot.bit is not None or spot.table in BITS else spot.type


def _gather(kind: str, members: Sequence[Place], start: int, column: int) -> Gather:
    if kind == "bit":
        spots = [_bit(p, start) for p in members]
        index, shift = [[byte] for byte, _ in spots], [bit for _, bit in spots]
    else:
        index, shift = [_bytes(p, start) for p in members], []
    columns = slice(column, column + len(members))
    at = np.array(index, np.intp)
    return Gather(kind, columns, at, np.array(shift, np.uint8), _absent_columns(kind, members), _plain(kind, at))


def _plain(kind: str, index: npt.NDArray[np.intp]) -> slice | None:
    """Return where numbers stand side by side, most significant byte first, as they mostly do."""
    flat = index[:, ::-1].ravel()
    if not kind.startswith(("int", "uint", "float")) or (np.diff(flat) != 1).any():
        return None
    return slice(int(flat[0]), int(flat[-1]) + 1)


def _absent_columns(
    kind: str, members: Sequence[Place]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.unsignedinteger]] | None:
    given = [(n, raw) for n, spot in enumerate(members) for raw in spot.not_available]
    if kind == "bit" or kind.startswith("time_") or not given:
        return None
    size = 2 * members[0].registers
    columns, raws = zip(*given, strict=True)
    mask = (1 << 8 * size) - 1
    return np.array(columns, np.intp), np.array([raw & mask for raw in raws], f"<u{size}")


def _bytes(spot: Place, start: int) -> list[int]:
    """Return where a value's bytes stand in the block's data, least significant first."""
    registers = range(spot.address - start, spot.end - start)
    most_first = registers if spot.word_order == "big" else reversed(registers)
    pair = (0, 1) if spot.byte_order == "big" else (1, 0)
    return [2 * register + byte for register in most_first for byte in pair][::-1]


def _bit(spot: Place, start: int) -> tuple[int, int]:
    """Return (byte, bit) of a single bit in the block's data."""
    if spot.table in BITS:
        return divmod(spot.address - start, 8)
    high, bit = divmod(spot.bit or 0, 8)
    return _bytes(spot, start)[high], bit
