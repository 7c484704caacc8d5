"""/api/commissioning: what a device said last, word by word, and every number that could be meant by it.

Nothing is asked of the device: it is what its last regular readings brought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.bindings import BoundDevice, series_key
from config.errors import Rejected
from config.points import Point
from config.protocols.dlt645 import Dlt645Point
from pipeline.clock import SECOND_NS
from tanflow.web.encode import answered, iso
from tanflow.web.parameters import alike, only

if TYPE_CHECKING:
    from collectors import dlt645, mqtt, opcua_values, sparkplug
    from collectors.modbus_plan import Place
    from collectors.modbus_readings import Heard
    from config.protocols.mqtt import Form
    from tanflow.gateway import Gateway

_LEAVES: Final = 200  # numbers of a payload that are listed
_DEEPEST: Final = 8
Teller = Callable[[BoundDevice, Sequence[Any], int], dict[str, Any]]


def routes(gateway: Gateway) -> list[Route]:
    """Return the route of the commissioning view."""
    known = {device.key: device for device in gateway.devices}

    async def answer(request: Request) -> Response:
        only(request.query_params, "device")
        name = request.query_params.get("device", "")
        if name not in known:
            raise Rejected(f"device={name[:100]!r} is none; name it asset.device; {alike(name[:100], known)}")
        device = known[name]
        collector = gateway.sources[device.device.connection].collector
        heard = collector.heard(name) if collector is not None else []
        return await asyncio.to_thread(lambda: answered(told(gateway, device, heard)))

    return [Route("/api/commissioning", answer)]


def told(gateway: Gateway, device: BoundDevice, heard: Sequence[Any]) -> dict[str, Any]:
    """Return what a device said as JSON-ready data, by its protocol."""
    connection = gateway.config.connections[device.device.connection]
    protocol = connection.protocol
    now_ns = gateway.clock.now_ns()
    tellers: dict[str, Teller] = {
        "modbus": _modbus,
        "dlt645": _dlt645,
        "opcua": _opcua,
        "mqtt": partial(_mqtt, connection),
        "sparkplug": _sparkplug,
    }
    about = {"device": device.key, "protocol": protocol, "address": device.device.address, "now_ns": now_ns}
    found = tellers[protocol](device, heard, now_ns)
    for point in found["points"]:
        point.update(_newest(gateway, device, point["name"]))
    return about | found


def _newest(gateway: Gateway, device: BoundDevice, name: str) -> dict[str, Any]:
    """Return what tanflow makes of a point: the newest value of its series."""
    key = series_key(device.asset_name, name, device.points[name].quantity)
    series = gateway.table.ids.get(key, -1)
    seen = series >= 0 and bool(gateway.latest.time_ns[series])
    return {
        "key": key if series >= 0 else None,
        "canonical": float(gateway.latest.value[series]) if seen else None,
        "canonical_unit": gateway.table.spec(series).like.unit if series >= 0 else None,
    }


def _when(at_ns: int, now_ns: int) -> dict[str, Any]:
    return {"at": iso(np.array([at_ns]))[0], "at_ns": at_ns, "age_s": round((now_ns - at_ns) / SECOND_NS, 3)}


# ── Modbus ────────────────────────────────────────────────────────────────────────────────────────


def _modbus(device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    from collectors.modbus_plan import place
    from collectors.modbus_readings import words

    blocks = [
        {
            "unit": h.read.unit,
            "function": h.read.table,
            "address": h.read.address,
            "words": words(h),
            **_when(h.at_ns, now_ns),
        }
        for h in heard
    ]
    points = [
        _register(name, point, place(point.modbus, device.modbus), heard)
        for name, point in device.points.items()
        if point.modbus is not None
    ]
    return {"blocks": blocks, "points": points}


def _register(name: str, point: Point, spot: Place, heard: Sequence[Heard]) -> dict[str, Any]:
    """Return one point with its bytes and all that may be read there; the one it is read by is marked."""
    from collectors.modbus_plan import decode_text
    from collectors.modbus_readings import holds, is_configured, raw_of, readings

    block = next((h for h in heard if holds(h, spot)), None)
    raw = raw_of(block, spot) if block else None
    rows: list[dict[str, Any]] = [
        {
            "type": r.type,
            "order": r.order,
            "word_order": r.word_order,
            "byte_order": r.byte_order,
            "offset": r.offset,
            "bit": r.bit,
            "raw": r.value,
            "value": point.in_unit(r.value),
            "configured": is_configured(r, spot),
        }
        for r in (readings(block, spot) if block else [])
    ]
    value = next((row["value"] for row in rows if row["configured"]), None)
    if raw and spot.type == "string":
        value = decode_text(raw, spot.byte_order)
    return {
        "name": name,
        "address": spot.address,
        "function": spot.table,
        "type": spot.type,
        "word_order": spot.word_order,
        "byte_order": spot.byte_order,
        "bit": spot.bit,
        "raw_hex": raw.hex() if raw else None,
        "value": value,
        "unit": point.unit,
        "readings": rows,
    }


# ── DL/T 645 ──────────────────────────────────────────────────────────────────────────────────────


def _dlt645(device: BoundDevice, heard: Sequence[dlt645.Heard], now_ns: int) -> dict[str, Any]:
    """Return the answers as bytes by their identifier, and each point by every form its digits can have."""
    messages = [
        {"topic": h.identifier, "payload": h.data.hex(" "), "retained": False, **_when(h.at_ns, now_ns)} for h in heard
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


# ── OPC UA ────────────────────────────────────────────────────────────────────────────────────────


def _opcua(device: BoundDevice, heard: Sequence[opcua_values.Heard], now_ns: int) -> dict[str, Any]:
    points = []
    for h in heard:
        came = h.at_ns > 0
        points.append(
            {
                "name": h.point,
                "node": h.node,
                "type": h.type or None,
                "raw": h.value if came else None,
                "status": h.status or None,
                "source_ns": h.source_ns or None,
                "value": _number(device.points[h.point], h.value) if came else None,
                "unit": device.points[h.point].unit,
                **(_when(h.at_ns, now_ns) if came else {}),
            }
        )
    return {"blocks": [], "points": points}


def _number(point: Point, text: str) -> float | None:
    try:
        return point.in_unit({"True": 1.0, "False": 0.0}[text] if text in ("True", "False") else float(text))
    except ValueError:
        return None


# ── MQTT ──────────────────────────────────────────────────────────────────────────────────────────


def _mqtt(connection: Any, device: BoundDevice, heard: Sequence[mqtt.Heard], now_ns: int) -> dict[str, Any]:
    from collectors.mqtt_topics import matcher
    from config.protocols.mqtt import filter_of, form_of, key_of

    messages = [
        {
            "topic": h.topic,
            "payload": h.payload.decode("utf-8", "backslashreplace"),
            "retained": h.retained,
            **_when(h.at_ns, now_ns),
        }
        for h in heard
    ]
    points = []
    for name, point in device.points.items():
        if point.mqtt is None:
            continue
        topic = matcher(filter_of(device, name)[1])
        form = form_of(point.mqtt, connection, key_of(device, name))
        last = max((h for h in heard if topic.fullmatch(h.topic)), key=lambda h: h.at_ns, default=None)
        found = dict(_values(last.payload, form)) if last else {}
        raw = found.get(form.path)
        readings = [
            {"path": path, "raw": number, "value": point.in_unit(number), "configured": path == form.path}
            for path, number in found.items()
        ]
        points.append(
            {
                "name": name,
                "path": form.path,
                "topic": last.topic if last else None,
                "raw": raw,
                "value": None if raw is None else point.in_unit(raw),
                "unit": point.unit,
                "readings": readings,
            }
        )
    return {"blocks": [], "messages": messages, "points": points}


def _values(payload: bytes, form: Form) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a payload by their path, and what the form itself finds last, which comes last in a list."""
    from collectors.mqtt_forms import last_value

    if form.payload == "json":
        yield from _numbers(payload)
    with suppress(Rejected):
        if (value := last_value(payload, form)) is not None:
            yield form.path, value


def _numbers(payload: bytes) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a payload by the path that names them in a configuration; nothing of one cut short."""
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return
    for count, leaf in enumerate(_leaves(document, (), 0)):
        if count == _LEAVES:
            return
        yield leaf


def _leaves(node: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(node, bool | int | float):
        yield ".".join(path), float(node)
    elif depth < _DEEPEST and isinstance(node, dict):
        for key, part in node.items():
            yield from _leaves(part, (*path, key.replace(".", "\\.")), depth + 1)
    elif depth < _DEEPEST and isinstance(node, list):
        for index, part in enumerate(node):
            yield from _leaves(part, (*path, str(index)), depth + 1)


# ── Sparkplug B ───────────────────────────────────────────────────────────────────────────────────


def _sparkplug(device: BoundDevice, heard: Sequence[sparkplug.Heard], now_ns: int) -> dict[str, Any]:
    """Return the metrics of the last birth certificate with their last values, and the points they feed."""
    numbers = {h.metric: raw for h in heard[:_LEAVES] if (raw := _raw(h)) is not None}
    points = []
    for name, point in device.points.items():
        if point.sparkplug is None:
            continue
        metric = next((h for h in heard if h.metric == point.sparkplug.metric), None)
        raw = _raw(metric) if metric else None
        readings = [
            {"path": path, "raw": number, "value": point.in_unit(number), "configured": path == point.sparkplug.metric}
            for path, number in numbers.items()
        ]
        points.append(
            {
                "name": name,
                "path": point.sparkplug.metric,
                "type": metric.type if metric else None,
                "raw": raw,
                "value": None if raw is None else point.in_unit(raw),
                "unit": point.unit,
                "readings": readings,
            }
        )
    metrics = [h._asdict() | {"born": iso(np.array([h.born_ns]))[0]} for h in heard]
    return {"blocks": [], "messages": _births(device, heard, now_ns), "metrics": metrics, "points": points}


def _births(device: BoundDevice, heard: Sequence[sparkplug.Heard], now_ns: int) -> list[dict[str, Any]]:
    """Return the metrics as one text, each with its alias, type, value and unit, as a message is shown."""
    if not heard:
        return []
    lines = [
        f"{h.metric} (alias {'none' if h.alias is None else h.alias}, {h.type}): {h.value} {h.unit}".rstrip()
        for h in heard[:_LEAVES]
    ]
    born = {"topic": device.device.address, "payload": "\n".join(lines), "retained": False}
    return [born | _when(max(max(h.at_ns, h.born_ns) for h in heard), now_ns)]


def _raw(metric: sparkplug.Heard) -> float | None:
    """Return the value of a metric as a number; None where it is none."""
    if metric.value is None or metric.type in ("String", "Text", "UUID"):
        return None
    try:
        return {"True": 1.0, "False": 0.0}[metric.value] if metric.type == "Boolean" else float(metric.value)
    except (KeyError, ValueError):
        return None
