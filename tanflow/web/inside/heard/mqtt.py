"""The last message of each topic, and each point by every number in its payload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson

from config.bindings import BoundDevice
from config.errors import Rejected
from tanflow.web.inside.heard import when

if TYPE_CHECKING:
    from collectors.mqtt import Heard
    from config.protocols.mqtt import Form

_LEAVES: Final = 200  # numbers of a payload that are listed
_DEEPEST: Final = 8


def told(connection: Any, device: BoundDevice, heard: Sequence[Heard], now_ns: int) -> dict[str, Any]:
    """Return what is known of the points, and of what they were read from, as JSON-ready data."""
    from collectors.mqtt_topics import matcher
    from config.protocols.mqtt import filter_of, form_of, key_of

    messages = [
        {
            "topic": h.topic,
            "payload": h.payload.decode("utf-8", "backslashreplace"),
            "retained": h.retained,
            **when(h.at_ns, now_ns),
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
