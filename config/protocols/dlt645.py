"""What the user writes of DL/T 645-2007: lines with their meters, data identifiers of points."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from config.protocols.dlt645_items import TIME_BYTES, Form, has_time, is_row, standard_form
from config.protocols.serial import Serial
from config.strict import Period, Seconds, Strict

_ADDRESS: Final = re.compile(
    r"(?:(?:\[(?P<v6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[\w.-]+)):(?P<port>[0-9]{1,5})/)?(?P<meter>[0-9]{1,12})"
)


class Dlt645Point(Strict):
    """A data item of a meter: its identifier DI3 DI2 DI1 DI0, e.g. 00010000, and how its digits are read.

    `format` and `signed` are those of the standard's tables where the user does not say otherwise (a maker's own items,
    a meter that deviates). Of several values in one answer, a block (FF) or frozen values, `item` says which, from 0.
    """

    data: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}$", to_upper=True)]
    format: Annotated[str, StringConstraints(pattern=r"^X+(\.X+)?$", max_length=15)] | None = None
    signed: bool | None = None  # the top bit of the last byte is the sign
    item: Annotated[int, Field(ge=0, le=99)] | None = None

    @property
    def form(self) -> Form:
        """How the digits are read: as written here, else as the standard says."""
        standard = standard_form(self.data)
        text = self.format or (standard.text if standard else "")
        return Form(text, self.signed if self.signed is not None else bool(standard and standard.signed))

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return self.form.text.count("X") // 2

    @property
    def decimals(self) -> int:
        """Digits behind the point."""
        return len(self.form.text.partition(".")[2])

    @property
    def stride(self) -> int:
        """Bytes from one value of the answer to the next."""
        return self.size + (TIME_BYTES if has_time(self.data) else 0)

    @property
    def counts_to(self) -> float:
        """Where a counter of these digits begins again, in the unit it shows."""
        return 10.0 ** (2 * self.size - self.decimals)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not self.form.text:
            raise ValueError(f"{self.data} is not in the standard's tables; say its format, e.g. format: XXXXXX.XX")
        if self.form.text.count("X") % 2:
            raise ValueError(f"{self.form.text} has an odd number of digits; a byte holds two, e.g. XXXXXX.XX")
        if is_row(self.data) and self.item is None:
            raise ValueError(f"{self.data} answers with several values; say which, e.g. item: 0")
        if not is_row(self.data) and self.item is not None:
            raise ValueError(f"{self.data} answers with one value; 'item' goes with blocks (FF) and frozen values")
        return self


class Dlt645Connection(Strict):
    """Meters on one serial line, or behind serial servers reached over TCP.

    A device's address is the meter's (12 digits, as on its plate), over TCP `host:port/address`.
    """

    protocol: Literal["dlt645"]
    serial: Serial = Serial(baudrate=2_400)
    preamble: Annotated[int, Field(ge=0, le=16)] = 4  # bytes FE before a request, which wake a sleeping meter
    every_s: Period = 15.0
    timeout_s: Annotated[float, Field(ge=0.1, le=30)] = 1.5
    backoff_max_s: Seconds = 60.0

    @model_validator(mode="after")
    def _bytes(self) -> Self:
        if self.serial.data_bits != 8:
            raise ValueError("DL/T 645 needs characters of 8 data bits; serial: {data_bits: 8, parity: E}")
        return self


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
