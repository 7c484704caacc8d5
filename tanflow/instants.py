"""An instant → its words in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime


def at(ns: int) -> str:
    """Return an instant [ns UTC], to the second."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
