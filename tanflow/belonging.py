"""A log and what was made of it → nothing, or the reason why they are not of one data directory."""

from __future__ import annotations

from pathlib import Path

from carbon.ledger import Ledger
from config.errors import GatewayError


def belong_together(path: Path, last: int, archived: int, ledger: Ledger) -> None:
    """Raise GatewayError where the log is younger than what was made of it: positions and ids begin anew in it.

    `last` is the log's last position, `archived` the history's cursor. What a younger log accepts would count as
    archived or booked already, and be let go without ever having been written.
    """
    if not ledger.cursor()[0] and any(b.reason and b.reason.kind == "live" for b in ledger.blocks()):
        raise GatewayError(
            f"{path}: ledger.db holds booked hours but not how far the log was booked: it was altered. "
            "Put a sound copy of ledger.db back"
        )
    for name, reached in (("history", archived), ("ledger.db", ledger.cursor()[0])):
        if reached > last:
            raise GatewayError(
                f"{path}: {name} reaches log position {reached}, the log ends at {last}: this is not the log it was "
                f"made of. Put log.db back, or move {path / name} away to start anew"
            )
