"""Every error tanflow raises on purpose; what is not in this tree is a defect and ends its task loudly.

GatewayError
├── ConfigError      what the user wrote cannot work; raised before any I/O; lists every problem at once
├── Unavailable      the other side is away or busy: keep the data, try again after `after_s`
└── Rejected         the other side will never take this: dead letter, with its words
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from config.hidden import hide


class GatewayError(Exception):
    """Anything a person should read as a sentence rather than as a traceback; no known secret is among its words."""

    def __str__(self) -> str:
        return hide(super().__str__())


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where it stands, what is wrong and what would be right."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.path}: {self.message}"


class ConfigError(GatewayError):
    """The configuration cannot work; `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class Unavailable(GatewayError):
    """The other side is away or busy; the data is kept and tried again after `after_s` [s].

    `lasting`: it stays so until somebody puts it right, as a wrong password does; who waits for an end need not.
    """

    def __init__(self, message: str, after_s: float | None = None, *, lasting: bool = False) -> None:
        super().__init__(message)
        self.after_s = after_s
        self.lasting = lasting


class Rejected(GatewayError):
    """The other side refuses this for good; the words are its own."""
