"""The folder of a device template in tests/data/templates → bytes as others read them: see SOURCE.md there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from config.points import Point
from config.quantities import conversion

FOLDER: Final = Path(__file__).parent / "data" / "templates"
KINDS: Final = ("capture", "manual", "program", "transcription")


@dataclass(frozen=True)
class Vector:
    """What a device shows and what someone else says it means: by point (value or None, unit).

    Of Modbus its registers by table and address, of MQTT its message.
    """

    kind: str
    source: str
    licence: str
    how: str
    registers: dict[str, dict[int, int]]
    message: bytes
    expected: dict[str, tuple[float | None, str]]

    def raw(self, table: str, address: int, count: int) -> bytes:
        """Return registers as they come over the wire; those nothing is known of are 0."""
        cells = self.registers.get(table, {})
        return b"".join(cells.get(address + i, 0).to_bytes(2, "big") for i in range(count))


@cache
def vectors(template: str) -> tuple[Vector, ...]:
    """Return what pins a template; none where its folder is missing."""
    file = FOLDER / template / "pinned.yaml"
    if not file.exists():
        return ()
    return tuple(_vector(entry) for entry in yaml.load(file.read_text("utf-8"), yaml.CSafeLoader))


def _vector(entry: dict[str, object]) -> Vector:
    tables, expected = entry.get("registers", {}), entry["expected"]
    assert isinstance(tables, dict)
    assert isinstance(expected, dict)
    registers = {
        table: {start + i: int(word, 16) for start, words in runs.items() for i, word in enumerate(words.split())}
        for table, runs in tables.items()
    }
    return Vector(
        kind=str(entry["kind"]),
        source=str(entry["source"]),
        licence=str(entry["licence"]),
        how=str(entry["how"]),
        registers=registers,
        message=str(entry.get("message", "")).encode(),
        expected={name: (value, unit) for name, (value, unit) in expected.items()},
    )


def canonical(point: Point, value: float, unit: str) -> float:
    """Return a value in any unit of a point's quantity in the unit it is kept in."""
    scale, offset = conversion(unit, point.quantity)
    return value * scale + offset
