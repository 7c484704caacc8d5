"""What a display showed beside what tanflow read → a record of the ledger's chain, kept for good; and which stands.

A record is a document of the ledger (docs/ledger.md): who, when, what was compared, and how the point was read then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import StringConstraints, ValidationError

from carbon.ledger import Ledger
from carbon.ledger.file import has_begun
from config.bindings import BoundDevice
from config.errors import GatewayError, Rejected
from config.explain import explain, nearest
from config.meters import Meter, on_day
from config.model import Gateway
from config.strict import Strict

TYPE: Final = "commissioning"
FRESH_NS: Final = 15 * 60 * 1_000_000_000  # a display is compared with what was read within this time
State = Literal["in order", "missing", "differs", "changed"]
_Short = Annotated[str, StringConstraints(max_length=100)]
_Ratio = Annotated[str, StringConstraints(pattern=r"^(\d+(\.\d+)?(/\d+(\.\d+)?)?)?$", max_length=40)]


class Comparison(Strict):
    """What the one says who stands before the device."""

    point: Annotated[str, StringConstraints(min_length=3, max_length=200)]  # asset.point
    shown: Annotated[str, StringConstraints(pattern=r"^-?\d{1,18}(\.\d{1,9})?$")]  # with all digits of the display
    by: _Short = ""
    serial: _Short = ""
    ct: _Ratio = ""  # e.g. 200/5
    pt: _Ratio = ""
    photo: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""  # SHA-256 of the picture's file
    note: Annotated[str, StringConstraints(max_length=1_000)] = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What tanflow read of a point, in the point's own unit, and when [ns UTC]."""

    value: float
    at_ns: int


def compared(**said: str) -> Comparison:
    """Return what was said, checked; raises Rejected with every mistake in words."""
    try:
        return Comparison.model_validate(said)
    except ValidationError as error:
        rules = {"shown": "is the number as the display shows it, e.g. 1234.5", "photo": "is a SHA-256 in hexadecimal"}
        rules |= dict.fromkeys(("ct", "pt"), "is a ratio, e.g. 200/5")
        mistakes = [(str(e["loc"][0]), explain(e, Comparison)) for e in error.errors()]
        raise Rejected("; ".join(f"{name}: {rules.get(name, why)}" for name, why in mistakes)) from None


def agrees(shown: str, value: float) -> bool:
    """Return whether a value is what a display shows, one step of its last digit up or down.

    |value − shown| ≤ digit + |value| · 2⁻²³: a float32 register is no finer than that.
    """
    plain = Decimal(f"{value:.15g}")
    return abs(plain - Decimal(shown)) <= digit(shown) + abs(plain) / 2**23


def digit(shown: str) -> Decimal:
    """Return one step of the last digit of what is shown, e.g. 0.1 of 1234.5."""
    exponent = Decimal(shown).as_tuple().exponent
    assert isinstance(exponent, int)  # it is a finite number
    return Decimal(1).scaleb(exponent)


def found(devices: Iterable[BoundDevice], name: str) -> tuple[BoundDevice, str]:
    """Return the device and point named asset.point; raises Rejected."""
    known = {f"{d.asset_name}.{point}": (d, point) for d in devices for point in d.points}
    if name not in known:
        raise Rejected(f"there is no point '{name[:80]}'{nearest(name, known)}; name it asset.point")
    return known[name]


def document(said: Comparison, device: BoundDevice, point: str, seen: Seen, now_ns: int) -> dict[str, Any]:
    """Return the record; raises Rejected where it cannot say who, or what was read is too old to compare."""
    if not said.by:
        raise Rejected("by: say who compares")
    if now_ns - seen.at_ns > FRESH_NS:
        minutes = (now_ns - seen.at_ns) // 60_000_000_000
        raise Rejected(f"{said.point} was last read {minutes} minutes ago; what a display shows is compared at once")
    about = said.model_dump(exclude={"photo"}) | {"photo": f"sha256:{said.photo}" if said.photo else ""}
    return about | {
        "type": TYPE,
        "device": device.key,
        "unit": device.points[point].unit,
        "read": seen.value,
        "read_ns": seen.at_ns,
        "at_ns": now_ns,
        "agrees": agrees(said.shown, seen.value),
        "reading": reading(device, point),
    }


def reading(device: BoundDevice, point: str) -> dict[str, Any]:
    """Return how a point is read: what a record holds for as long as it stays so."""
    block = device.points[point].model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"source"})
    defaults = device.modbus.model_dump(mode="json", exclude_defaults=True) if device.points[point].modbus else {}
    return {"address": device.device.address, "defaults": defaults, "point": block}


@dataclass(frozen=True, slots=True)
class Register:
    """What the meter register says of the devices of a plant on a day."""

    meters: Mapping[str, Meter]  # by asset.device
    day: date

    @classmethod
    def of(cls, gateway: Gateway, now_ns: int) -> Register:
        """Return the register of a plant, as it is now."""
        day = datetime.fromtimestamp(now_ns / 1e9, ZoneInfo(gateway.site.zone)).date()
        return cls({m.device: m for m in gateway.accounting.meters.values() if m.device}, day)

    def known(self, device: BoundDevice) -> dict[str, str]:
        """Return serial number and ratios of a device, each only where the register says it."""
        if device.key not in self.meters:
            return {}
        now = on_day(self.meters[device.key], self.day)
        said = {"serial": now.serial, "ct": now.ct.ratio if now.ct else "", "pt": now.pt.ratio if now.pt else ""}
        return {name: text for name, text in said.items() if text}


def completed(said: Comparison, known: Mapping[str, str]) -> tuple[Comparison, list[str]]:
    """Return what was said with what the meter register knows beyond it, and where the two differ."""
    differ = [
        f"{name} {written} is not what the meter register says: {text}"
        for name, text in known.items()
        if (written := getattr(said, name)) and written != text
    ]
    return said.model_copy(update={n: getattr(said, n) or text for n, text in known.items()}), differ


def keep(data: Path, record: dict[str, Any], now_ns: Callable[[], int] = time.time_ns) -> int:
    """Append a record to the ledger's chain and return the number of its block; a running gateway may write too."""
    with Ledger.open(data, write=True, now_ns=now_ns) as ledger, ledger.writing() as writing:
        return writing.document(record)


def kept(data: Path) -> list[dict[str, Any]]:
    """Return all records, oldest first; none where there is no ledger yet."""
    if not has_begun(data):
        return []
    with Ledger.open(data) as ledger:
        return [said for said in ledger.documents() if said.get("type") == TYPE]


def newest(records: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return each point's last record."""
    return {str(record["point"]): record for record in records}


def state(record: Mapping[str, Any] | None, device: BoundDevice, point: str, known: Mapping[str, str]) -> State:
    """Return what a point's last record is worth: `changed` where the point is read in another way since, or the meter
    or its transformers are others.
    """
    if record is None:
        return "missing"
    if record["reading"] != reading(device, point) or any(record[name] != text for name, text in known.items()):
        return "changed"
    return "in order" if record["agrees"] else "differs"


def states(
    devices: Iterable[BoundDevice], records: Iterable[Mapping[str, Any]], register: Register
) -> dict[str, tuple[State, Mapping[str, Any] | None]]:
    """Return the state of every point by asset.point, with its last record."""
    last = newest(records)
    return {
        f"{d.asset_name}.{point}": (state(record, d, point, known), record)
        for d in devices
        for known in (register.known(d),)
        for point, block in d.points.items()
        if not (block.modbus and block.modbus.type == "string")  # no display shows it
        for record in (last.get(f"{d.asset_name}.{point}"),)
    }


def summary(data: Path, devices: Iterable[BoundDevice], register: Register) -> str:
    """Return one line about points nobody has compared with their display yet, "" where there are none."""
    try:
        of_points = states(devices, kept(data), register)
    except GatewayError as error:
        return f"commissioning records cannot be read: {error}"
    open_ = [name for name, (found_state, _) in of_points.items() if found_state != "in order"]
    if not open_:
        return ""
    counted = f"{len(open_)} of {len(of_points)} points have" if len(open_) > 1 else f"{open_[0]} has"
    return f"{counted} no commissioning record that holds: tanflow commission list --missing"
