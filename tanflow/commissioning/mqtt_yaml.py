"""Topics of a broker and what their payloads are made of → a configuration that reads them, as far as it is certain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from config.explain import visible
from config.plant_checks import RESERVED
from config.protocols.mqtt import EACH
from tanflow.commissioning.named_quantities import by_name
from tanflow.commissioning.pasted import scalar
from tanflow.commissioning.payload_shapes import Leaf, Shape, commonest

_MOST: Final = 200  # devices that are suggested
_POINTS: Final = 60  # of one device
_SEVERAL: Final = re.compile(r"__+")
_FIT: Final = ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd")  # letters of any script and digits
_TEXTS: Final = {"decimal comma": "decimal_comma", "on/off": "on_off", "number as text": "number"}


@dataclass(slots=True)
class Suggested:
    """One device: its name, its address, its points as YAML, and those that leave open what they are."""

    name: str
    address: str
    points: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)


def suggestion(connection: Mapping[str, Any], shapes: Mapping[str, Shape]) -> str:
    """Return a configuration of topics with their shapes as YAML; what is not certain stands there as a comment."""
    usual = commonest([s for s in shapes.values() if s.kind in ("JSON", "CSV")])
    stated = dict(connection) | (_stated(usual) if usual else {})
    devices = list(_devices(shapes, _stated(usual) if usual else {}))[:_MOST]
    return framed("broker", stated, devices)


def framed(link: str, connection: Mapping[str, Any], devices: Sequence[Suggested]) -> str:
    """Return a whole configuration of one connection and its devices, each in an asset of its own."""
    lines = [
        "version: 1",
        "site: {name: works, region: GB}  # yours",
        "connections:",
        f"  {link}: {scalar(dict(connection))}",
    ]
    sure = [device for device in devices if device.points]
    lines += ["areas:", "  hall:", "    assets:"] if sure else ["areas: {}"]
    for device in sure:
        lines += [
            f"      {scalar(device.name)}:",
            "        type: meter  # yours",
            "        devices:",
            "          main:",
        ]
        lines += [f"            connection: {link}", f"            address: {scalar(device.address)}"]
        lines += ["            points:", *(f"              {scalar(n)}: {said}" for n, said in device.points.items())]
        lines += [f"              # {visible(said)}" for said in device.open]
    for device in devices:
        if not device.points and device.open:
            lines += [f"# {visible(device.address)}: say what it is", *(f"#   {visible(s)}" for s in device.open)]
    return "\n".join(lines) + "\n"


def unique(wanted: str, taken: Mapping[str, object] | set[str], default: str = "value") -> str:
    """Return a name that may stand in a configuration and that nobody has yet."""
    fit = "".join(c if unicodedata.category(c) in _FIT or c in "_-" else "_" for c in wanted)
    name = _SEVERAL.sub("_", fit).strip("_-")[:58] or default
    numbered = (f"{name}_{n}" for n in range(2, len(taken) + 3))
    return name if name not in taken else next(n for n in numbered if n not in taken)


def _stated(shape: Shape) -> dict[str, str]:
    """Return what a connection or point says of payloads of this shape."""
    said: dict[str, str] = {}
    if shape.kind == "CSV":
        said |= {"payload": "csv", "separator": "tab" if shape.separator == "\t" else shape.separator}
    if shape.time:
        said |= {"time_path": shape.time, "time_format": shape.form}
    return said


def _devices(shapes: Mapping[str, Shape], usual: Mapping[str, str]) -> Iterator[Suggested]:
    taken = {RESERVED}
    alone: dict[str, list[tuple[str, Shape]]] = {}
    for topic, shape in shapes.items():
        if topic.startswith("$") or topic != topic.strip() or "{" in topic:
            continue  # of the broker's own, or nothing an address can name
        if shape.kind == "number" and "/" in topic:  # the last level names the point
            alone.setdefault(topic.rpartition("/")[0], []).append((topic.rpartition("/")[2], shape))
        elif shape.kind in ("JSON", "CSV", "number"):
            device = Suggested(unique(topic.rpartition("/")[2] or topic, taken), topic)
            taken.add(device.name)
            _fill(device, shape, usual)
            yield device
    for parent, found in alone.items():
        device = Suggested(unique(parent.rpartition("/")[2] or parent, taken), f"{parent}/{{point}}")
        taken.add(device.name)
        for key, shape in found[:_POINTS]:
            _point(device, key, shape.leaves[0], _different({}, usual) | {"path": ""}, key=key)
        yield device


def _fill(device: Suggested, shape: Shape, usual: Mapping[str, str]) -> None:
    """Add the numbers of a payload that are not its time."""
    said = _different(_stated(shape), usual)
    for leaf in shape.leaves[:_POINTS]:
        if leaf.is_number and leaf.path != shape.time:
            untimed = EACH in leaf.path and EACH not in shape.time
            _point(device, leaf.path or device.name, leaf, said | {"path": leaf.path}, open_=untimed)


def _different(own: Mapping[str, str], usual: Mapping[str, str]) -> dict[str, Any]:
    """Return what a point has to say itself, because its connection says something else."""
    if "payload" in usual and "payload" not in own:
        return dict(own) | {"payload": "json"}
    return {key: value for key, value in own.items() if usual.get(key) != value}


def _point(
    device: Suggested, path: str, leaf: Leaf, place: dict[str, Any], *, key: str = "", open_: bool = False
) -> None:
    name = unique(path.replace(EACH, "").rpartition(".")[2], device.points, "value")
    if key and name != key:
        place["key"] = key
    if not place.get("path"):
        place.pop("path", None)
    if leaf.kind in _TEXTS and not (leaf.kind == "number as text" and place.get("payload") == "csv"):
        place["text"] = _TEXTS[leaf.kind]
    if leaf.path == "" and leaf.kind in ("decimal comma", "on/off"):
        place["payload"] = "number"
    meant = None if open_ or leaf.kind in ("true/false", "on/off") else by_name(path)
    if meant is None:
        device.open.append(f"{scalar(name)}: {{quantity: ?, unit: ?, mqtt: {scalar(place)}}}  # {_said(leaf)}")
    else:
        device.points[name] = scalar({"quantity": meant.quantity, "unit": meant.unit, "mqtt": place})


def _said(leaf: Leaf) -> str:
    return "e.g. " + " ".join(leaf.example.split())
