"""A script of faults and the readings of each step enter; what the device shows, and how it answers, leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Link:
    """How a device answers while something is wrong with the way to it."""

    drop: Literal["", "close", "silent"] = ""
    lag_s: float = 0.0
    exception: int = 0  # Modbus exception code
