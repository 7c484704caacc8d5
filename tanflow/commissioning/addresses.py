"""What is written after `tanflow probe` or `scan` → which device is meant and how it is reached."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import TypeAdapter, ValidationError

from config.errors import Rejected
from config.explain import nearest
from config.protocols.modbus import ModbusAddress, modbus_address, modbus_unit
from config.protocols.serial import Serial

T = TypeVar("T")
_SCHEMES: Final = ("modbus", "modbus+rtu", "sunspec", "sunspec+rtu")
_ON_PORT: Final = re.compile(r"(?P<port>/.+?)(?:/(?P<unit>\d{1,3}))?")
_SERIAL: Final = frozenset(Serial.model_fields) - {"port"}
EXAMPLE: Final = "modbus://192.168.1.20:502/1?address=3028&count=4"


class Way(NamedTuple):
    """How units are reached: over TCP (as Modbus TCP, or RTU through a serial server), or on a port of this machine."""

    host: str  # empty on a serial port
    port: int
    rtu: bool
    serial: Serial | None

    @property
    def name(self) -> str:
        if self.serial is not None:
            return str(self.serial.port)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def caution(self) -> str:
        """What is to be said before anything is asked here; "" where several may ask at a time."""
        if self.serial is None and not self.rtu:
            return ""
        return "no other master may use this line meanwhile: stop a gateway that reads it, or both get spoilt replies"

    def address(self, unit: int) -> str:
        """Return the address of a unit as a configuration says it."""
        return str(unit) if self.serial is not None else f"{self.name}/{unit}"

    def connection(self) -> dict[str, Any]:
        """Return the connection a configuration needs to reach it."""
        if self.serial is not None:
            return {"protocol": "modbus", "framing": "rtu", "serial": self.serial.model_dump(exclude_defaults=True)}
        return {"protocol": "modbus"} | ({"framing": "rtu"} if self.rtu else {})


class Asked(NamedTuple):
    """A URL in parts: the scheme, the way, the unit where one is named, and what stands after the `?`."""

    scheme: str
    way: Way
    unit: int | None
    options: dict[str, str]


def parse(url: str) -> Asked:
    """Return what a URL names; raises Rejected with a sentence that shows how to write it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise Rejected(f"'{url}' is no address: {error}; write e.g. {EXAMPLE}") from None
    scheme = parts.scheme.lower()
    if scheme not in _SCHEMES or not url[len(scheme) :].startswith("://"):
        hint = nearest(scheme, _SCHEMES) if scheme else ""
        raise Rejected(f"'{url}' is no address{hint}; write e.g. {EXAMPLE}")
    if "@" in parts.netloc or parts.fragment:
        raise Rejected(f"'{url}': Modbus knows neither user nor fragment; write e.g. {EXAMPLE}")
    options = _options(parts.query)
    if not parts.netloc:
        return _on_port(scheme, unquote(parts.path), options)
    if serial := sorted(_SERIAL & set(options)):
        raise Rejected(f"{serial[0]}: belongs to a serial port of this machine; over TCP the serial server has it")
    try:
        found: ModbusAddress = modbus_address(parts.netloc + parts.path.rstrip("/"))
    except ValueError as error:
        raise Rejected(f"{error}; write e.g. {EXAMPLE}") from None
    named = bool(parts.path.strip("/"))
    way = Way(found.host, found.port, scheme.endswith("+rtu"), None)
    return Asked(scheme, way, found.unit if named else None, options)


def option(options: dict[str, str], name: str, kind: type[T], default: T) -> T:
    """Take an option out and return it as what it should be; raises Rejected."""
    text = options.pop(name, None)
    if text is None:
        return default
    try:
        return TypeAdapter(kind).validate_python(int(text, 0) if kind is int else text)
    except (ValidationError, ValueError):
        raise Rejected(f"{name}={text[:60]!r} is no {'whole number' if kind is int else kind.__name__}") from None


def nothing_left(options: dict[str, str], known: tuple[str, ...]) -> None:
    """Raise Rejected for an option nobody took."""
    for name in options:
        raise Rejected(f"'{name}' is none of the options {', '.join(known)}{nearest(name, known)}")


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in found:
            raise Rejected(f"'{name}' is given twice")
        found[name] = value
    return found


def _on_port(scheme: str, path: str, options: dict[str, str]) -> Asked:
    match = _ON_PORT.fullmatch(path)
    if not match:
        raise Rejected("name a host or a serial port, e.g. modbus://192.168.1.20/1 or modbus:///dev/ttyUSB0/1")
    try:
        unit = modbus_unit(match["unit"]) if match["unit"] else None
        serial = Serial.model_validate(
            {"port": match["port"]} | {name: _plain(options.pop(name)) for name in _SERIAL & set(options)}
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Rejected(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:
        raise Rejected(str(error)) from None
    return Asked(scheme, Way("", 0, True, serial), unit, options)


def _plain(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
