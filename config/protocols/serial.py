"""What the user writes of a serial line; shared by the protocols that run over one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from config.strict import Strict


class Serial(Strict):
    """A serial line: on a port of this machine, or without `port` behind a serial server reached over TCP."""

    port: Annotated[str, Field(pattern=r"^/\S+$")] | None = (
        None  # e.g. /dev/ttyS1; on TCP the device's address says where
    )
    baudrate: Annotated[int, Field(ge=300, le=4_000_000)] = 9_600
    data_bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1

    @property
    def bits_per_character(self) -> int:
        """Start bit, data, parity and stop bits."""
        return 1 + self.data_bits + (self.parity != "N") + self.stop_bits
