"""Values that other registers scale enter; what these registers show, and what is left for the values' own, leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from config.protocols.modbus import ModbusScale

RATIO: Final = 10.0  # what a register of a transformer's ratio shows
_EXPONENTS: Final = (-3, 10)


class User(NamedTuple):
    """A value that is scaled: the registers it is multiplied by, and the most its own can hold (inf: a float)."""

    name: str
    scales: tuple[ModbusScale, ...]
    most: float
    fixed: bool  # a counter: its exponent stays 0, or its steps would change


class Dials:
    """All registers of a device that scale others. An exponent follows the values, so that they keep their digits."""

    def __init__(self, users: Sequence[User]) -> None:
        self._users = users
        self.scales = list({scale: None for user in users for scale in user.scales})
        self._led = {scale: [u for u in users if _leading(u) == scale] for scale in self.scales}

    def turn(self, raw: Mapping[str, float]) -> tuple[dict[ModbusScale, float], dict[str, float]]:
        """Return what each scale register shows, and what is left for each value: raw = left · Π scales."""
        shown = {scale: RATIO if scale.as_ == "factor" else 0.0 for scale in self.scales}
        left = dict(raw)
        for user in self._users:
            value = left.get(user.name, math.nan)
            for scale in user.scales:
                if scale.as_ == "factor":
                    value /= RATIO
                elif scale.as_ == "sign" and value < 0:
                    shown[scale], value = 1.0, -value
            if user.name in left:
                left[user.name] = value
        for scale, led in self._led.items():
            if scale.as_ == "exponent":
                shown[scale] = float(max((_exponent(u, left.get(u.name, 0.0)) for u in led), default=0))
                for user in led:
                    if user.name in left:
                        left[user.name] = _shifted(left[user.name], int(shown[scale]))
        return shown, left


def _leading(user: User) -> ModbusScale | None:
    """Return the exponent that follows a value; any further one stays 0."""
    return next((s for s in user.scales if s.as_ == "exponent"), None)


def _exponent(user: User, value: float) -> int:
    if user.fixed or not math.isfinite(user.most):
        return 0
    size = abs(value)
    lowest, highest = _EXPONENTS
    if not math.isfinite(size):
        return lowest
    return next((e for e in range(lowest, highest) if size <= user.most * 10.0**e), highest)


def _shifted(value: float, exponent: int) -> float:
    """Return value / 10^exponent, exact where the power is."""
    return value / 10.0**exponent if exponent >= 0 else value * 10.0**-exponent
