"""A data directory → whether it came out of a backup: then two gateways may be writing the same series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import orjson

MARK: Final = "restored.json"  # in a data directory that came out of a backup


@dataclass(frozen=True, slots=True)
class Restored:
    """Where a data directory came from: there may still be a gateway that writes the same series elsewhere."""

    host: str
    folder: str
    made_ns: int
    at_ns: int

    @classmethod
    def of(cls, folder: Path) -> Self | None:
        """Return it for a data directory that was restored, None for any other."""
        try:
            said = cls(**orjson.loads((folder / MARK).read_bytes()))
            said.sentence()  # whoever wrote it: it must be of use
        except (OSError, ValueError, TypeError, OverflowError):
            return None
        return said if isinstance(said.at_ns, int) else None

    def sentence(self) -> str:
        """Return what must be known of it."""
        made = datetime.fromtimestamp(self.made_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return (
            f"this data directory was restored from a backup of {self.folder} on {self.host}, made {made}. A gateway "
            "that still runs there writes the same series into the same databases: only one of the two may run"
        )
