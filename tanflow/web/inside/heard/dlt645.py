"""Answers by their identifier, and each point by every form its digits can have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from config.bindings import BoundDevice
from config.points import Point
from config.protocols.dlt645 import Dlt645Point
from tanflow.web.inside.heard import when

if TYPE_CHECKING:
    from collectors.dlt645 import Heard


def told(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    """Return the answers as bytes by their identifier, and each point by every form its digits can have."""
    messages = [
        {"topic": h.identifier, "payload": h.data.hex(" "), "retained": False, **when(h.at_ns, now_ns)} for h in heard
    ]
    answers = {h.identifier: h.data for h in heard}
    points = []
    for name, point in device.points.items():
        if point.dlt645 is None:
            continue
        place = point.dlt645
        raw = answers.get(place.data, b"")[(place.item or 0) * place.stride :][: place.size]
        readings = list(_forms(point, place, raw)) if len(raw) == place.size else []
        configured: dict[str, Any] = next((r for r in readings if r["configured"]), {})
        points.append(
            {
                "name": name,
                "path": place.data if place.item is None else f"{place.data} [{place.item}]",
                "raw_hex": raw.hex(" ") or None,
                "raw": configured.get("raw"),
                "value": configured.get("value"),
                "unit": point.unit,
                "readings": readings,
            }
        )
    return {"blocks": [], "messages": messages, "points": points}


def _forms(point: Point, place: Dlt645Point, raw: bytes) -> Iterator[dict[str, Any]]:
    """Yield what the digits would be with the point in each place, and with the top bit as sign where it is set."""
    from collectors.dlt645_plan import decode

    for signed in (False, True) if raw[-1] >= 0x80 else (place.form.signed,):
        for decimals in range(2 * place.size):
            number = decode(raw, decimals, signed=signed)
            if number == number:
                whole = "X" * (2 * place.size - decimals)
                yield {
                    "path": f"{'±' if signed else ''}{whole}{'.' if decimals else ''}{'X' * decimals}",
                    "raw": number,
                    "value": point.in_unit(number),
                    "configured": (decimals, signed) == (place.decimals, place.form.signed),
                }
