"""`tanflow probe URL`: one read of a device → its words, every number they could be, and the YAML of the right one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from collectors.modbus_ask import asker
from collectors.modbus_frames import Read
from collectors.modbus_readings import words
from collectors.sunspec import WITHIN_S
from config.errors import GatewayError, Rejected
from tanflow.commands.options import meant, plain_table
from tanflow.commands.sunspec import probe_sunspec
from tanflow.commissioning.addresses import Asked, nothing_left, option, parse
from tanflow.commissioning.explained import explained
from tanflow.commissioning.pasted import yaml_of
from tanflow.commissioning.probing import (
    COLUMN,
    Candidate,
    Expected,
    Probed,
    best_first,
    candidates,
    chosen,
    point_of,
)
from tanflow.commissioning.probing import probe as probe_once

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_SHOWN = 12  # of the readings that fit
_TABLES = ("holding", "input", "coil", "discrete")


def probe(
    url: Annotated[
        str,
        typer.Argument(
            help="e.g. 'modbus://192.168.1.20:502/1?address=3028&count=4&table=input', or sunspec://192.168.1.20/1"
        ),
    ],
    expect: Annotated[float | None, typer.Option(help="What the display shows.")] = None,
    unit: Annotated[str, typer.Option(help="The display's unit, e.g. V or kWh.")] = "",
    tolerance: Annotated[float, typer.Option(help="How far off it may be [%].", min=0, max=50)] = 2.0,
    choose: Annotated[int | None, typer.Option(help="Number of the reading whose YAML is wanted.")] = None,
    timeout: Annotated[float, typer.Option(help="How long to wait for an answer [s].", min=0.05, max=30)] = 2.0,
    within: Annotated[float, typer.Option(help="How long to follow SunSpec models [s].", min=1, max=600)] = WITHIN_S,
    as_json: Annotated[bool, typer.Option("--json", help="Write everything as JSON.")] = False,
) -> None:
    """Read a place of a device once and show every number it could be; it only reads."""
    if expect is not None and not math.isfinite(expect):
        raise typer.BadParameter("--expect: is a number as the display shows it, e.g. 230.1")
    with meant():
        asked = parse(url)
        if asked.scheme == "sunspec":
            probe_sunspec(asked, timeout, within, as_json=as_json)
            return
        wanted = _wanted(asked)
    expected = None if expect is None else Expected(expect, unit, tolerance / 100)
    err.print(f"reading {wanted} of unit {wanted.unit} at {asked.way.name}, once", markup=False)
    if asked.way.caution:
        err.print(asked.way.caution, markup=False)
    probed = asyncio.run(_ask(asked, wanted, timeout))
    if probed.heard is None:
        raise GatewayError("\n  ".join(explained(probed.failures[-1][1], wanted, asked.way)))
    found = candidates(probed, expected)
    fitting = best_first(found, wanted.address)
    with meant():
        best = chosen(found, choose) if choose is not None else next(iter(fitting), None)
    if as_json:
        print(orjson.dumps(_told(probed, found, fitting, best, unit), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(probed, found, fitting, expected)
        _paste(asked, wanted, best, unit, expected)
    if expected is not None and best is None:
        raise typer.Exit(1)


def _wanted(asked: Asked) -> Read:
    options = dict(asked.options)
    address = option(options, "address", int, -1)
    count = option(options, "count", int, 2)
    table = option(options, "table", str, "holding")
    nothing_left(options, ("address", "count", "table"))
    if address < 0:
        raise Rejected("say where to read: ?address=3028 (as sent; manuals that count from 1 mean one less)")
    if table not in _TABLES:
        raise Rejected(f"table={table!r} is none of {', '.join(_TABLES)}")
    most = 123 if table in ("holding", "input") else 1_998  # two more are read beside them
    if not 1 <= count <= most or address + count > 65_536:
        raise Rejected(f"address={address}, count={count}: 1 to {most} registers within 0 to 65535")
    if asked.way.rtu and not 1 <= (asked.unit or 1) <= 247:
        raise Rejected(f"unit {asked.unit} does not exist on a serial line: 1 to 247")
    return Read(1 if asked.unit is None else asked.unit, table, address, count)  # type: ignore[arg-type]


async def _ask(asked: Asked, wanted: Read, timeout_s: float) -> Probed:
    async with asker(asked.way.host, asked.way.port, asked.way.serial, timeout_s, rtu=asked.way.rtu) as asks:
        return await probe_once(asks, wanted)


# ── what is told ──────────────────────────────────────────────────────────────────────────────────


def _show(probed: Probed, found: Sequence[Candidate], fitting: Sequence[Candidate], expected: Expected | None) -> None:
    heard = probed.heard
    assert heard is not None
    for read, failure in probed.failures:
        err.print(f"{read} is refused: {failure.words}", markup=False)
    out.print(f"{heard.read} answered in {1000 * probed.took_s:.0f} ms", markup=False)
    raw = words(heard)
    for start in range(0, len(raw), 8):
        out.print(f"  {heard.read.address + start:>5}  {' '.join(raw[start : start + 8])}", markup=False)
    if expected is None:
        out.print(_all(probed, found))
        return
    if not fitting:
        out.print(f"no reading is within {100 * expected.tolerance:g} % of {expected.value:g} {expected.unit}".rstrip())
        out.print(_all(probed, found))
        return
    table = plain_table("no.", "address", "type", "order", "reads", "scale", "is", "off by")
    for one in fitting[:_SHOWN]:
        assert one.fit is not None
        shown = f"{_short(one.reading.value * one.fit.scale)} {one.fit.unit}".strip()
        cells = (str(one.number), _address(one.address, probed), one.reading.type, one.reading.order)
        table.add_row(*cells, _short(one.reading.value), f"{one.fit.scale:g}", shown, f"{100 * one.fit.error:.2f} %")
    out.print(table)
    if len(fitting) > _SHOWN:
        out.print(f"and {len(fitting) - _SHOWN} more; a second value (--expect at another load) tells them apart")


def _address(address: int, probed: Probed) -> str:
    off = address - probed.wanted.address
    return f"{address} ({off:+d})" if off else str(address)


def _all(probed: Probed, found: Sequence[Candidate]) -> Table:
    """Return all readings, one type and order a row, at the address asked for and one to either side."""
    at = probed.wanted.address
    heads = [(0, at), (1, at - 1), (2, at + 1)]
    table = plain_table("no.", "type", "order", *(f"{a}{f' (+{COLUMN * c})' if c else ''}" for c, a in heads))
    rows: dict[int, dict[int, Candidate]] = {}
    for one in found:
        rows.setdefault(one.number % COLUMN, {})[one.number // COLUMN] = one
    for number, row in rows.items():
        any_one = next(iter(row.values())).reading
        cells = (_short(row[c].reading.value) if c in row else "" for c, _ in heads)
        table.add_row(str(number), any_one.type, any_one.order, *map(Text, cells))
    return table


def _short(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.7g}"


def _paste(asked: Asked, wanted: Read, best: Candidate | None, unit: str, expected: Expected | None) -> None:
    if best is None:
        if expected is None:
            out.print("--expect VALUE --unit UNIT marks what the display may mean; --choose NO. prints its YAML")
        else:
            out.print("look one register further with &count=, at the other table with &table=, or with --tolerance")
        return
    name, point = point_of(best, wanted.table, unit)
    out.print()
    out.print(f"# under points: of the device with address: {asked.way.address(wanted.unit)}", markup=False)
    out.print(yaml_of({name: point}, short=True), end="", markup=False)


def _told(
    probed: Probed, found: Sequence[Candidate], fitting: Sequence[Candidate], best: Candidate | None, unit: str
) -> dict[str, Any]:
    heard = probed.heard
    assert heard is not None

    def told(one: Candidate) -> dict[str, Any]:
        reading, fit = one.reading, one.fit
        about = {"number": one.number, "address": one.address, "type": reading.type, "order": reading.order}
        value = reading.value if math.isfinite(reading.value) else None
        return about | {"value": value} | ({"scale": fit.scale, "unit": fit.unit, "off": fit.error} if fit else {})

    name, point = point_of(best, probed.wanted.table, unit) if best else ("", {})
    return {
        "unit": heard.read.unit,
        "table": heard.read.table,
        "address": heard.read.address,
        "words": words(heard),
        "took_s": round(probed.took_s, 4),
        "readings": [told(one) for one in found],
        "fitting": [one.number for one in fitting],
        "point": {name: point} if best else None,
    }
