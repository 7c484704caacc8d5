"""Rows of sheets → checked blocks of a configuration, every fault at its cell, and what was taken for granted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ValidationError

from config.errors import ConfigError, Problem
from config.explain import explain
from config.model import Gateway
from config.plant_checks import Plant, check_plant
from config.protocols import PROTOCOLS
from config.templates import Templates
from tanflow.commissioning.cells import plain
from tanflow.commissioning.plausible import quantity_of
from tanflow.commissioning.sheet_read import MAX_PROBLEMS, Book, Placed
from tanflow.commissioning.sheet_rows import nested

Addresses = Literal["zero", "one", "modicon"]
Loc = tuple[str | int | None, ...]  # None: a row does not say
_STAND_IN: Final[dict[str, Any]] = {"version": 1, "site": {"name": "site", "region": "unknown"}}
_UNITS: Final = {
    "kwh": "kWh", "mwh": "MWh", "wh": "Wh", "kw": "kW", "mw": "MW", "w": "W", "v": "V", "kv": "kV", "a": "A",
    "hz": "Hz", "kvar": "kvar", "kvarh": "kvarh", "kva": "kVA", "°c": "degC", "度": "kWh", "千瓦": "kW", "伏": "V",
    "安": "A", "赫兹": "Hz", "mpa": "MPa", "kpa": "kPa", "m3": "m3", "m3/h": "m3/h", "t": "t", "t/h": "t/h", "%": "%",
}  # fmt: skip
_MODICON: Final = {0: "coil", 1: "discrete", 3: "input", 4: "holding"}


@dataclass(slots=True)
class Imported:
    """Blocks that load, and what was taken for granted, by cell."""

    blocks: dict[str, Any] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Import:
    book: Book
    addresses: Addresses
    made: Imported = field(default_factory=Imported)
    places: dict[Loc, Placed] = field(default_factory=dict)  # path of a block → the row it is said by
    problems: list[Problem] = field(default_factory=list)


def imported(book: Book, addresses: Addresses = "zero") -> Imported:
    """Return what a workbook says; raises ConfigError with all its faults in the order of sheets and lines.

    `addresses`: how its registers are numbered; from one, or as 40001 and the like (then the table follows).
    """
    work = _Import(book, addresses, problems=list(book.problems))
    blocks = work.made.blocks
    for placed in book.rows["connections"]:
        _put(work, blocks, ("connections",), placed, ("name",))
    for placed in book.rows["templates"]:
        _put(work, blocks, ("templates",), placed, ("name",))
    for placed in book.rows["assets"]:
        _put(work, blocks, ("areas", placed.row.get("area"), "assets"), placed, ("area", "name"))
    for placed in book.rows["devices"]:
        _device(work, placed)
    for placed in book.rows["points"]:
        _point(work, placed)
    _check(work)
    if work.problems:
        raise ConfigError(_first(book.file, work.problems))
    return work.made


def _put(work: _Import, blocks: dict[str, Any], path: Loc, placed: Placed, without: Sequence[str]) -> None:
    """Put a row's block at a path under its name, unless it cannot stand there."""
    name = placed.row.get("name")
    if name is None or None in path:
        missing = "name" if name is None else "area"
        work.problems.append(placed.problem(work.book.file, missing, f"a row of {placed.sheet} needs it"))
        return
    inner = blocks
    for part in path:
        inner = inner.setdefault(str(part), {})
    if (*path, name) in work.places:
        first = work.places[*path, name]
        work.problems.append(placed.problem(work.book.file, "name", f"'{name}' stands in line {first.line} already"))
        return
    try:
        block = nested(placed.row, without)
    except ValueError as error:
        work.problems.append(placed.problem(work.book.file, "name", str(error)))
        return
    inner[name] = inner.get(name, {}) | block
    work.places[*path, name] = placed


def _device(work: _Import, placed: Placed) -> None:
    area, asset = placed.row.get("area"), placed.row.get("asset")
    if area is None or asset is None:
        missing = "area" if area is None else "asset"
        work.problems.append(placed.problem(work.book.file, missing, "a device belongs to an asset of an area"))
        return
    if ("areas", area, "assets", asset) not in work.places:
        assets = work.made.blocks.setdefault("areas", {}).setdefault(area, {}).setdefault("assets", {})
        assets.setdefault(asset, {"type": "meter"})
        work.places["areas", area, "assets", asset] = placed
        work.made.notes.append(
            placed.problem(work.book.file, "asset", f"'{asset}' is taken for an asset of type meter")
        )
    _put(work, work.made.blocks, ("areas", area, "assets", asset, "devices"), placed, ("area", "asset", "name"))


def _point(work: _Import, placed: Placed) -> None:
    row = placed.row
    _spell_out(work, placed)
    without = ("template", "area", "asset", "device", "name")
    if "devices" in work.book.given and "template" not in row:
        path: Loc = ("areas", row.get("area"), "assets", row.get("asset"), "devices", row.get("device"))
        if path not in work.places:
            named = ".".join(str(row.get(key, "–")) for key in ("area", "asset", "device"))
            message = f"there is no device {named} in the sheet of devices"
            work.problems.append(placed.problem(work.book.file, "device", message))
            return
    else:
        name = row.get("template") or row.get("device") or _file_name(work.book.file)
        path = ("templates", name)
        if path not in work.places:
            protocol = next((p for p in PROTOCOLS if any(key.split(".")[0] == p for key in row)), "modbus")
            work.made.blocks.setdefault("templates", {}).setdefault(name, {"protocol": protocol})
            work.places[path] = placed
    _put(work, work.made.blocks, (*path, "points"), placed, without)


def _file_name(file: str) -> str:
    name = re.sub(r"[^\w-]+", "_", Path(file).stem).strip("_-")
    return name or "points"


def _spell_out(work: _Import, placed: Placed) -> None:
    """Write a unit as it is known, derive the quantity where none is said, and number the register from zero."""
    row = placed.row
    unit = row.get("unit")
    if isinstance(unit, str) and not quantity_of(unit):
        row["unit"] = unit = _UNITS.get(plain(unit).lower(), unit)
    if "quantity" not in row and isinstance(unit, str) and (quantity := quantity_of(unit)):
        row["quantity"] = quantity
        work.made.notes.append(placed.problem(work.book.file, "unit", f"{unit} is taken for quantity {quantity}"))
    at = row.get("modbus.address")
    if isinstance(at, int) and work.addresses != "zero":
        try:
            row |= _renumbered(at, work.addresses)
        except ValueError as error:
            work.problems.append(placed.problem(work.book.file, "modbus.address", str(error)))


def _renumbered(at: int, addresses: Addresses) -> dict[str, Any]:
    if addresses == "one":
        if at < 1:
            raise ValueError("is 0, though registers are said to be counted from one")
        return {"modbus.address": at - 1}
    digits = 100_000 if at >= 100_000 else 10_000
    table, rest = divmod(at, digits)
    if table not in _MODICON or not rest:
        raise ValueError(f"{at} is no number like 40001 or 400001")
    return {"modbus.address": rest - 1, "modbus.table": _MODICON[table]}


# ── checking ──────────────────────────────────────────────────────────────────────────────────────


def _check(work: _Import) -> None:
    said = work.made.blocks
    data = {**_STAND_IN, "connections": {}, "areas": {}, **said}
    try:
        gateway = Gateway.model_validate(data)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            work.problems.append(_placed(work, one["loc"], explain(one, Gateway)))
        return
    for loc, message in check_plant(Plant(gateway, Templates(gateway.templates), Path())):
        work.problems.append(_placed(work, loc, message))


def _placed(work: _Import, loc: Loc, message: str) -> Problem:
    """Return a fault at the cell its path leads to: the longest known part of it is a row, the rest a column."""
    for length in range(len(loc), 0, -1):
        if placed := work.places.get(loc[:length]):
            rest = [str(part) for part in loc[length:] if isinstance(part, str)]
            return placed.problem(work.book.file, _column(rest, placed.letters), message)
    return Problem(work.book.file, 1, ".".join(map(str, loc)) or "sheet", message)


def _column(rest: Sequence[str], known: Mapping[str, str]) -> str:
    """Return the column of a path below a row; names of variants in it (a connection's protocol) are passed over."""
    for start in range(len(rest)):
        for end in range(len(rest), start, -1):
            if (name := ".".join(rest[start:end])) in known:
                return name
    return ".".join(rest[-2:])


def _first(file: str, problems: Sequence[Problem]) -> list[Problem]:
    unique = list(dict.fromkeys(problems))
    more = len(unique) - MAX_PROBLEMS
    if more <= 0:
        return unique
    return [*unique[:MAX_PROBLEMS], Problem(file, unique[MAX_PROBLEMS].line, "sheet", f"and {more} more faults")]
