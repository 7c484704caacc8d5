"""One set of counters for every component: the same names on /metrics, in health and in the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal

State = Literal["starting", "running", "degraded", "down", "stopped"]
COUNTED = ("received", "bad", "committed", "delivered", "rejected", "retried", "restarts", "missed")
PLAUSIBLE_S: Final = 60.0  # a longer way from a device to here is another clock, or a message that was kept
_NEWEST: Final = 1 / 16  # share of the newest in the mean


@dataclass(slots=True)
class Counters:
    """What one component has done since start: rows, except `retried`, `restarts` and `missed`; `backlog` rows.

    `missed` counts the gap rows of a connection: polls and silences that brought nothing. `lag_s` is how far behind the
    component is, `latency_s` how long an answer or a message of the last ones took to come [s], None: not known.
    """

    received: int = 0
    bad: int = 0
    committed: int = 0
    delivered: int = 0
    rejected: int = 0
    retried: int = 0
    restarts: int = 0
    missed: int = 0
    lag_s: float = 0.0
    latency_s: float | None = None
    backlog: int = 0
    state: State = "starting"
    last_error: str = ""
    # Per link inside the component (a Modbus unit, a topic): name → what is wrong now, "" when well.
    links: dict[str, str] = field(default_factory=dict)
    missed_of: dict[str, int] = field(default_factory=dict)  # link → its part of `missed`
    slow: set[str] = field(default_factory=set)  # links that answer, but not within their period

    @property
    def down(self) -> bool:
        """Whether it does nothing at present: its source, its sink or its room is away."""
        return self.state == "down"

    def miss(self, link: str) -> None:
        """Count one cycle of a link that brought nothing."""
        self.missed += 1
        self.missed_of[link] = self.missed_of.get(link, 0) + 1

    def anew(self) -> None:
        """Know of no link: the component is made anew, perhaps with others."""
        self.links.clear()
        self.missed_of.clear()
        self.slow.clear()

    def took(self, seconds: float) -> None:
        """Take how long one more answer or message took to come [s] into the decaying mean."""
        mean = self.latency_s
        self.latency_s = seconds if mean is None else mean + (seconds - mean) * _NEWEST

    def came(self, seconds: float) -> None:
        """Like `took`, for a time by two clocks: what cannot be the way here is left out."""
        if 0.0 <= seconds <= PLAUSIBLE_S:
            self.took(seconds)


class Board:
    """All components' counters by name, e.g. `collector.floor`, `sink.plant-db`, `log`."""

    def __init__(self) -> None:
        self.components: dict[str, Counters] = {}

    def component(self, name: str) -> Counters:
        """Return the counters of `name`, made at first use and kept over its restarts."""
        return self.components.setdefault(name, Counters())

    def keep(self, names: Collection[str]) -> None:
        """Forget connections, stages, sinks and channels that are none of these: a configuration has them no more."""
        for name in [n for n in self.components if "." in n and n not in names]:
            del self.components[name]
