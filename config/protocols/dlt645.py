"""What the user writes of DL/T 645-2007: lines with their meters, data identifiers of points."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, StringConstraints

from config.protocols.serial import Serial
from config.strict import Seconds, Strict

_ADDRESS: Final = re.compile(
    r"(?:(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[\w.-]+)):(?P<port>[0-9]{1,5})/)?(?P<meter>[0-9]{1,12})"
)


class Dlt645Point(Strict):
    """A data item of a meter: its identifier DI3 DI2 DI1 DI0, e.g. 00010000, and how its digits are read.

    `format` is that of the standard's tables, e.g. XXXXXX.XX; of a block (identifier with FF) `item` says which.
    """

    data: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}$")]
    format: Annotated[str, StringConstraints(pattern=r"^X+(\.X+)?$", max_length=20)] = "XXXXXX.XX"
    signed: bool = False  # the top bit of the last byte is the sign
    item: Annotated[int, Field(ge=0, le=99)] | None = None


class Dlt645Connection(Strict):
    """Meters on one serial line, or behind serial servers reached over TCP.

    A device's address is the meter's (12 digits, as on its plate), over TCP `host:port/address`.
    """

    protocol: Literal["dlt645"]
    serial: Serial = Serial(baudrate=2_400)
    preamble: Annotated[int, Field(ge=0, le=16)] = 4  # bytes FE before a request, which wake a sleeping meter
    every_s: Seconds = 15.0
    timeout_s: Annotated[float, Field(ge=0.1, le=30)] = 1.5
    backoff_max_s: Seconds = 60.0


class Dlt645Address(NamedTuple):
    """A meter, on a serial port (host empty) or behind a serial server."""

    host: str
    port: int
    meter: str  # 12 digits


def dlt645_address(text: str) -> Dlt645Address:
    """Return the parts of `[host:port/]meter`; a shorter meter address gets leading zeros.

    Raises ValueError with a sentence.
    """
    match = _ADDRESS.fullmatch(text)
    if not match:
        raise ValueError(
            f"'{text}' is no DL/T 645 address; write the meter's 12 digits, over TCP host:port/digits, "
            "e.g. 192.168.1.20:8899/123456789012"
        )
    port = int(match["port"] or 0)
    if match["port"] and not 1 <= port <= 65_535:
        raise ValueError(f"port {port} does not exist; ports go from 1 to 65535")
    return Dlt645Address(match["v6"] or match["host"] or "", port, match["meter"].zfill(12))
