"""A data identifier of DL/T 645-2007 enters; the format and sign its tables give the value leave.

DL/T 645-2007 appendix A: table A.1 energies, A.2 maximum demands, A.3 variables, A.6 frozen values; its notes say where
the top bit is a sign. Checked against the tables in github.com/sulfurandcu/dlt645-tool @8a4a54a6 and PyPI dlt645 3.2.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TIME_BYTES: Final = 5  # YYMMDDhhmm, which follows every maximum demand

_ENERGY: Final = "XXXXXX.XX"
_POWER: Final = "XX.XXXX"
# Combined reactive energy and demand 1 and 2, of all phases and of each one; combined active energy.
_COMBINED_REACTIVE: Final = frozenset({0x03, 0x04, 0x17, 0x18, 0x2B, 0x2C, 0x3F, 0x40})
_COMBINED: Final = _COMBINED_REACTIVE | {0x00}
# DI2 of a variable → its format, and whether its top bit is a direction.
_VARIABLES: Final = {
    0x01: ("XXX.X", False),  # voltage
    0x02: ("XXX.XXX", True),  # current
    0x03: (_POWER, True),  # active, reactive and apparent power
    0x04: (_POWER, True),
    0x05: (_POWER, True),
    0x06: ("X.XXX", True),  # power factor
    0x07: ("XXX.X", False),  # phase angle
    0x08: ("XX.XX", False),  # distortion of voltage and current, and their harmonics
    0x09: ("XX.XX", False),
    0x0A: ("XX.XX", False),
    0x0B: ("XX.XX", False),
}
# DI0 of what stands at 028000xx.
_SINGLE: Final = {
    0x01: ("XXX.XXX", False),  # neutral current
    0x02: ("XX.XX", False),  # frequency
    0x03: (_POWER, False),  # mean active power of a minute
    0x04: (_POWER, True),  # present active, reactive and apparent demand
    0x05: (_POWER, True),
    0x06: (_POWER, True),
    0x07: ("XXX.X", True),  # temperature inside the meter
    0x08: ("XX.XX", False),  # battery voltages
    0x09: ("XX.XX", False),
}
_FROZEN_DEMANDS: Final = frozenset({0x09, 0x0A})
_FROZEN_POWERS: Final = 0x10


class Form(NamedTuple):
    """How the digits are read: `text` as in the tables, e.g. XXXXXX.XX; `signed`: the top bit is the sign."""

    text: str
    signed: bool


def bytes_of(identifier: str) -> tuple[int, int, int, int]:
    """Return DI3, DI2, DI1, DI0 of eight hexadecimal digits."""
    number = int(identifier, 16)
    return number >> 24, number >> 16 & 0xFF, number >> 8 & 0xFF, number & 0xFF


def standard_form(identifier: str) -> Form | None:
    """Return the form the standard's tables give a value; None for what is not in them, or is no single number."""
    kind, group, item, last = bytes_of(identifier)
    found: tuple[str, bool] | None = None
    match kind:
        case 0x00:
            found = _ENERGY, group in _COMBINED
        case 0x01:
            found = _POWER, group in _COMBINED_REACTIVE
        case 0x02:
            found = _SINGLE.get(last) if (group, item) == (0x80, 0x00) else _VARIABLES.get(group)
        case 0x05 if 0x01 <= item <= 0x08:
            found = _ENERGY, item in (0x03, 0x04)
        case 0x05 if item in _FROZEN_DEMANDS:
            found = _POWER, False
        case 0x05 if item == _FROZEN_POWERS:
            found = _POWER, True
    return Form(*found) if found else None


def has_time(identifier: str) -> bool:
    """Return whether the moment it occurred follows each value: maximum demands, frozen ones too."""
    kind, _, item, _ = bytes_of(identifier)
    return kind == 0x01 or (kind == 0x05 and item in _FROZEN_DEMANDS)


def is_row(identifier: str) -> bool:
    """Return whether one answer carries several values: a block (FF), or frozen energies, demands and powers."""
    kind, *rest = bytes_of(identifier)
    return 0xFF in rest or (kind == 0x05 and 0x01 <= rest[1] <= _FROZEN_POWERS)
