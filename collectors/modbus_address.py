"""The address of a Modbus TCP device: text as written in the configuration in, host, port and unit out."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

PORT: Final = 502
UNIT: Final = 1
_FORM: Final = re.compile(
    r"(?:\[(?P<v6>[^\]\s/]+)\]|(?P<host>[^\s/:\[\]]+))(?::(?P<port>\d{1,5}))?(?:/(?P<unit>\d{1,3}))?"
)
_HELP: Final = "write host[:port][/unit], e.g. 192.168.1.20, meter.local:1502/3 or [fd00::20]:502/7"


class Address(NamedTuple):
    """Where a unit is reached; units of one (host, port) share a connection."""

    host: str
    port: int = PORT
    unit: int = UNIT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}/{self.unit}"


def parse_address(text: str) -> Address:
    """Return the parts of `host[:port][/unit]`, port 502 and unit 1 by default, IPv6 in brackets.

    Raises ValueError with what is wrong and what would be right.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a Modbus address; {_HELP}")
    port = int(match["port"] or PORT)
    unit = int(match["unit"] or UNIT)
    if not 1 <= port <= 65_535:
        raise ValueError(f"port {port} in '{text}' does not exist; 1 to 65535, usually 502")
    if unit > 255:
        raise ValueError(f"unit {unit} in '{text}' does not exist; 0 to 255 (1 to 247 behind a serial gateway)")
    return Address(match["v6"] or match["host"], port, unit)
