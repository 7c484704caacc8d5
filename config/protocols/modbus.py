"""What the user writes of Modbus: connections, addresses of units, places of points."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from config.protocols.serial import Serial
from config.strict import Period, Seconds, Strict

MODBUS_PORT: Final = 502
MODBUS_UNIT: Final = 1
_MODBUS: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[\w.-]+))(?::(?P<port>[0-9]{1,5}))?(?:/(?P<unit>[0-9]{1,3}))?"
)

RegisterType = Literal[
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "bcd16", "bcd32", "bcd64", "sm16", "sm32", "string",
    "time_unix", "time_words", "time_bytes", "time_bcd", "time_cp56",
]  # fmt: skip
REGISTERS: dict[str, int] = {
    "bool": 1, "int16": 1, "uint16": 1, "bcd16": 1, "int32": 2, "uint32": 2, "float32": 2, "bcd32": 2,
    "int64": 4, "uint64": 4, "float64": 4, "bcd64": 4, "sm16": 1, "sm32": 2,
    "time_unix": 2, "time_words": 6, "time_bytes": 3, "time_bcd": 3, "time_cp56": 4,
}  # fmt: skip
Table = Literal["holding", "input", "coil", "discrete"]
Order = Literal["big", "little"]
ScaleKind = Literal["exponent", "factor", "sign"]
Form = Literal["quadrants", "lead_lag"]
Absent = Literal["none", "sunspec", "ones", "highest"]
Address = Annotated[int, Field(ge=0, le=65_535)]
Bit = Annotated[int, Field(ge=0, le=15)]


def absent_values(kind: str, convention: Absent) -> tuple[int, ...]:
    """Return the raw values of a type that mean "no value" by a convention; none for what has a NaN of its own.

    sunspec: all ones, of signed numbers the most negative one. ones: all ones, also of signed numbers. highest: the
    highest number of the type. (SunSpec Information Model Specification V1.9; ABB B23/B24 user manual, Modbus.)
    """
    if convention == "none" or not kind.startswith(("int", "uint", "sm")):
        return ()
    ones = (1 << 16 * REGISTERS[kind]) - 1
    if kind.startswith("uint") or convention == "ones":
        return (ones,)
    top = (ones + 1) // 2
    return (top - 1,) if convention == "highest" else (top,) if kind.startswith("int") else ()


class ModbusDefaults(Strict):
    """What all points of a template share on the wire."""

    table: Table = "holding"
    word_order: Order = "big"
    byte_order: Order = "big"
    absent: Absent = "none"  # how whole numbers say "no value"; a point's `not_available` goes before it


class ModbusScale(Strict):
    """A register a value is multiplied by, read in one request with it: 10^n, a ratio, or −1 where it is set."""

    address: Address
    type: Literal["int16", "uint16", "int32", "uint32", "float32", "bcd16"] = "int16"
    as_: Annotated[ScaleKind, Field(alias="as")] = "exponent"
    bit: Bit | None = None  # of a register of signs
    not_available: tuple[int, ...] | None = None

    @property
    def end(self) -> int:
        return self.address + (1 if self.bit is not None else REGISTERS[self.type])

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.bit is not None and self.as_ != "sign":
            raise ValueError("'bit' goes with 'as: sign' only")
        if self.end > 65_536:
            raise ValueError("the value runs past address 65535")
        return self


class ModbusPoint(Strict):
    """A place in a Modbus unit; `address` is the zero-based address on the wire."""

    address: Address
    type: RegisterType = "uint16"
    table: Table | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    bit: Bit | None = None  # of a register read as bool
    length: Annotated[int, Field(ge=1, le=125)] | None = None  # registers of a string
    absent: Absent | None = None
    not_available: tuple[int, ...] | None = None  # raw values that mean "no value", instead of those of `absent`
    scale_by: tuple[ModbusScale, ...] = ()  # in this order, before `scale` of the point
    form: Form | None = None  # how a power factor tells its quadrant
    zone: str | None = None  # in which a clock shows its time; default: the site's, of Unix seconds UTC

    @property
    def registers(self) -> int:
        return self.length if self.type == "string" and self.length else REGISTERS.get(self.type, 1)

    @property
    def is_clock(self) -> bool:
        return self.type.startswith("time_")

    @property
    def span(self) -> int:
        """Registers of one request that brings the value and all it is multiplied by."""
        ends = [self.address + self.registers, *(s.end for s in self.scale_by)]
        return max(ends) - min([self.address, *(s.address for s in self.scale_by)])

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.type == "string" and self.length is None:
            raise ValueError("a string needs 'length: N' registers")
        if self.type != "string" and self.length is not None:
            raise ValueError("'length' goes with type string only")
        if self.bit is not None and self.type != "bool":
            raise ValueError("'bit' goes with type bool only")
        if self.table in ("coil", "discrete") and (self.type != "bool" or self.bit is not None):
            raise ValueError("coils and discrete inputs are single bits: type bool, no 'bit'")
        if self.address + self.registers > 65_536:
            raise ValueError("the value runs past address 65535")
        return self

    @model_validator(mode="after")
    def _means(self) -> Self:
        if self.scale_by and (self.type in ("bool", "string") or self.is_clock):
            raise ValueError("'scale_by' goes with numbers only")
        if self.form == "quadrants" and not self.type.startswith("float"):
            raise ValueError("'form: quadrants' is of a power factor from -2 to 2: type float32 or float64")
        if self.form and (self.type in ("bool", "string") or self.is_clock):
            raise ValueError("'form' goes with numbers only")
        if self.zone is not None and not self.is_clock:
            raise ValueError("'zone' goes with a clock only, e.g. type time_words")
        if self.zone is not None:
            _check_zone(self.zone)
        return self


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{name}' is no time zone; write e.g. Asia/Shanghai, Europe/Berlin or UTC") from None


class ModbusConnection(Strict):
    """Units read with the same manners: over Modbus TCP, or as RTU on a serial line or through a serial server.

    A device's address is `host[:port]/unit`; on a serial port of this machine it is the unit's number alone.
    """

    protocol: Literal["modbus"]
    framing: Literal["tcp", "rtu"] = "tcp"
    serial: Serial | None = None  # the line behind; with framing tcp it only says how much time a cycle takes
    every_s: Period = 1.0
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 1.0
    turnaround_s: Annotated[float, Field(ge=0, le=5)] = 0.03  # what a unit on a line takes to begin its reply
    backoff_max_s: Seconds = 60.0

    @property
    def line(self) -> Serial:
        """The line that RTU is spoken on."""
        return self.serial or Serial()

    def unit_address(self, text: str) -> ModbusAddress:
        """Return where a device stands on this connection. Raises ValueError with a sentence."""
        if self.line.port is not None:
            return ModbusAddress("", 0, modbus_unit(text))
        address = modbus_address(text)
        if self.framing == "rtu" and not 1 <= address.unit <= 247:
            raise ValueError(f"unit {address.unit} does not exist on a serial line; units go from 1 to 247")
        if self.serial and 247 < address.unit < 255:
            raise ValueError(f"unit {address.unit} does not exist on the line of serial:; units there go from 1 to 247")
        return address

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.framing == "tcp" and self.line.port is not None:
            raise ValueError("a serial port of this machine speaks RTU: add 'framing: rtu'")
        if self.line.data_bits != 8:
            raise ValueError("Modbus RTU has 8 data bits: leave 'data_bits' out")
        return self


class ModbusAddress(NamedTuple):
    """A Modbus unit behind a TCP endpoint; on a serial port of this machine `host` is empty."""

    host: str
    port: int
    unit: int


def modbus_address(text: str) -> ModbusAddress:
    """Return the parts of `host[:port][/unit]`; port 502 and unit 1 when left out, IPv6 in brackets.

    Raises ValueError with a sentence.
    """
    match = _MODBUS.fullmatch(text)
    if text.isdecimal():  # inet_aton would take it for a host, 0.0.0.N
        raise ValueError(
            f"'{text}' is a unit's number alone; write host:port/{text}, "
            "or give the connection framing: rtu and serial: {port: /dev/ttyS1}"
        )
    if not match:
        raise ValueError(f"'{text}' is not a Modbus address; write host[:port][/unit], e.g. 192.168.1.20/1")
    port, unit = int(match["port"] or MODBUS_PORT), int(match["unit"] or MODBUS_UNIT)
    if not 1 <= port <= 65_535:
        raise ValueError(f"port {port} does not exist; ports go from 1 to 65535")
    if unit > 255:
        raise ValueError(f"unit {unit} does not exist; units go from 0 to 255")
    return ModbusAddress(match["v6"] or match["host"], port, unit)


def modbus_unit(text: str) -> int:
    """Return the number of a unit on a serial port of this machine, 1–247. Raises ValueError with a sentence."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 247:
        raise ValueError(f"'{text}' is no unit of a serial line; write its number, 1 to 247")
    return int(text)
