"""Blocks of a configuration (connections, templates, areas) ↔ rows of sheets: one for each point, device, asset …"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from config.model import Gateway
from tanflow.commissioning import columns
from tanflow.commissioning.columns import Column

Row = dict[str, Any]  # column → value
# Sheet → its columns; their order is that of the workbook.
SHEETS: Final[Mapping[str, list[Column]]] = {
    "points": columns.point_columns(),
    "devices": columns.device_columns(),
    "assets": columns.asset_columns(),
    "templates": columns.template_columns(),
    "connections": columns.connection_columns(),
}
CHINESE_SHEETS: Final[Mapping[str, tuple[str, ...]]] = {
    "points": ("点表", "测点"),
    "devices": ("设备",),
    "assets": ("资产",),
    "templates": ("模板",),
    "connections": ("连接",),
}
_BLOCKS: Final = ("connections", "templates", "areas")


def blocks_of(gateway: Gateway) -> dict[str, Any]:
    """Return what sheets hold of a configuration: as plain data, without what is said by being left out."""
    said = gateway.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=set(_BLOCKS))
    return {name: said[name] for name in _BLOCKS if said.get(name)}


def rows_of(blocks: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the rows of every sheet."""
    rows: dict[str, list[Row]] = {name: [] for name in SHEETS}
    for name, connection in blocks.get("connections", {}).items():
        rows["connections"].append({"name": name, **_flat(connection, SHEETS["connections"])})
    for name, template in blocks.get("templates", {}).items():
        rows["templates"].append({"name": name, **_flat(template, SHEETS["templates"], "points")})
        rows["points"] += _points({"template": name}, template["points"])
    for area, asset, block in _assets(blocks):
        rows["assets"].append({"area": area, "name": asset, **_flat(block, SHEETS["assets"], "devices")})
        for name, device in block.get("devices", {}).items():
            place = {"area": area, "asset": asset}
            rows["devices"].append({**place, "name": name, **_flat(device, SHEETS["devices"], "points")})
            rows["points"] += _points({**place, "device": name}, device.get("points", {}))
    return rows


def _assets(blocks: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for area, block in blocks.get("areas", {}).items():
        for name, asset in block.get("assets", {}).items():
            yield area, name, asset


def _points(place: Mapping[str, str], points: Mapping[str, Any]) -> Iterator[Row]:
    for name, point in points.items():
        yield {**place, "name": name, **_flat(point, SHEETS["points"])}


def _flat(block: Mapping[str, Any], known: Sequence[Column], without: str = "") -> Row:
    """Return a block by column: what is nested under its dotted name, as far as there are columns of it."""
    names = {column.name for column in known}
    found: Row = {}

    def take(inner: Mapping[str, Any], before: str) -> None:
        for key, value in inner.items():
            name = f"{before}{key}"
            nested = any(other.startswith(f"{name}.") for other in names)
            if isinstance(value, Mapping) and value and nested:
                take(value, f"{name}.")
            else:
                found[name] = value

    take({key: value for key, value in block.items() if key != without}, "")
    return found


def nested(row: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """Return a row as the block it says: dotted names made blocks again."""
    block: dict[str, Any] = {}
    for name, value in row.items():
        if name in without:
            continue
        *parents, last = name.split(".")
        inner = block
        for part in parents:
            deeper = inner.setdefault(part, {})
            if not isinstance(deeper, dict):
                raise ValueError(f"{part}: says something of its own beside {name}")
            inner = deeper
        if isinstance(value, dict) and isinstance(inner.get(last), dict):
            inner[last] |= value
        else:
            inner[last] = value
    return block
