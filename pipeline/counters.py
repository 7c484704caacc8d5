"""One set of counters for every component: the same names on /metrics, in health and in the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["starting", "running", "degraded", "down", "stopped"]
COUNTED = ("received", "bad", "committed", "delivered", "rejected", "retried", "restarts")


@dataclass(slots=True)
class Counters:
    """What one component has done since start: rows, except `retried` and `restarts`; `lag_s` [s], `backlog` rows."""

    received: int = 0
    bad: int = 0
    committed: int = 0
    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    restarts: int = 0
    lag_s: float = 0.0
    backlog: int = 0
    state: State = "starting"
    last_error: str = ""
    # Per link inside the component (a Modbus unit, a topic): name → what is wrong now, "" when well.
    links: dict[str, str] = field(default_factory=dict)

    @property
    def down(self) -> bool:
        """Whether it does nothing at present: its source, its sink or its room is away."""
        return self.state == "down"


class Board:
    """All components' counters by name, e.g. `collector.floor`, `sink.plant-db`, `log`."""

    def __init__(self) -> None:
        self.components: dict[str, Counters] = {}

    def component(self, name: str) -> Counters:
        """Return the counters of `name`, made at first use and kept over its restarts."""
        return self.components.setdefault(name, Counters())
