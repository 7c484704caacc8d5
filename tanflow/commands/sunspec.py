"""`tanflow probe sunspec://…`: the models a device shows → what they say now, and the device map that reads them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Any, Final

import orjson
from rich.console import Console

from collectors.modbus_ask import asker
from collectors.sunspec import Found, Model, Reading, device_map, discover, points_of
from config.errors import Rejected
from config.sunspec import load_models
from tanflow.commands.options import meant, plain_table
from tanflow.commissioning.addresses import Asked, nothing_left
from tanflow.commissioning.pasted import yaml_of

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_EVERY_S: Final = 2.0  # a line about how far it is
_SHOWN: Final = 20  # models


class _Progress:
    """Tells how far the chain was followed, now and then."""

    def __init__(self) -> None:
        self._models, self._told_s = 0, time.monotonic()

    def heard(self, model: Model) -> None:
        self._models += 1
        if time.monotonic() - self._told_s >= _EVERY_S:
            self._told_s = time.monotonic()
            err.print(f"  models: {self._models}, the last at {model.address}", markup=False)


def probe_sunspec(asked: Asked, timeout_s: float, within_s: float, *, as_json: bool) -> None:
    """Follow a unit's chain of models and print them, what they show and the YAML of its device map; it only reads."""
    unit = 1 if asked.unit is None else asked.unit
    with meant():
        nothing_left(asked.options, ())
    err.print(
        f"looking for SunSpec models in unit {unit} at {asked.way.name}: reads of holding registers, "
        f"for {within_s:g} s at most",
        markup=False,
    )
    if asked.way.caution:
        err.print(asked.way.caution, markup=False)
    found = asyncio.run(_discover(asked, unit, timeout_s, within_s))
    readings = list(points_of(found))
    try:
        name, block = device_map(found)
    except Rejected as error:
        name, block = "", {}
        err.print(str(error), markup=False)
    if as_json:
        out.print(orjson.dumps(_told(found, readings, name, block), option=orjson.OPT_INDENT_2).decode(), markup=False)
        return
    _show(found, readings)
    if block:
        out.print("\n# under the plant's own templates", markup=False)
        out.print(yaml_of({"templates": {name: block}}, frozenset({"points"})), end="", markup=False)
        out.print(f"# and of the device: address: {asked.way.address(unit)}, template: {name}", markup=False)


async def _discover(asked: Asked, unit: int, timeout_s: float, within_s: float) -> Found:
    async with asker(asked.way.host, asked.way.port, asked.way.serial, timeout_s, rtu=asked.way.rtu) as asks:
        return await discover(asks, unit, within_s, _Progress().heard)


def _title(number: int) -> str:
    known = load_models()
    return "common" if number == 1 else known[number].title if number in known else "not read"


def _show(found: Found, readings: Sequence[Reading]) -> None:
    about = ", ".join(f"{key} {text}" for key, text in found.about.items() if text)
    out.print(f"SunSpec map at {found.base}: {about or 'no common model'}", markup=False)
    models = plain_table("model", "at", "registers", "what")
    for model in found.models[:_SHOWN]:
        models.add_row(str(model.number), str(model.address), str(model.length), _title(model.number))
    out.print(models)
    if len(found.models) > _SHOWN:
        out.print(f"and {len(found.models) - _SHOWN} more; all of them with --json")
    if found.flaw:
        out.print(f"not to its end: {found.flaw}", markup=False)
    shown = plain_table("point", "shows", "unit")
    for name, point, value in readings:
        if not math.isnan(value):
            shown.add_row(name, f"{value:.7g}", point.unit)
    out.print(shown)


def _told(found: Found, readings: Sequence[Reading], name: str, block: dict[str, Any]) -> dict[str, Any]:
    return {
        "base": found.base,
        "about": found.about,
        "models": [{"number": m.number, "address": m.address, "registers": m.length} for m in found.models],
        "flaw": found.flaw or None,
        "points": [
            {"name": r.name, "value": None if math.isnan(r.value) else r.value, "unit": r.point.unit} for r in readings
        ],
        "templates": {name: block} if block else {},
    }
