"""One firing of one alert, from the row that fired it to the one that cleared it: what people see and acknowledge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Self

from config.alerts import Severity
from config.notify import Match

_HOUR_NS: Final = 3_600_000_000_000


class Cost(NamedTuple):
    """What an excess costs per hour [kWh, kg CO₂e, currency]; None: not known."""

    kwh_per_h: float
    co2e_kg_per_h: float | None = None
    money_per_h: float | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who has taken an episode on, when [ns] and with what words."""

    by: str
    at_ns: int
    note: str


@dataclass(frozen=True, slots=True)
class Episode:
    """One firing. Its id is `asset.name@position` of the firing row in the log and stays for ever.

    value, limit, worst [unit] · excess_kw [kW] · None: not known. `ended_ns` 0: it still fires. `ended_why`: "" for
    an alert that cleared, "removed" for one that is no longer configured.
    """

    id: str
    asset: str
    area: str
    name: str
    kind: str
    severity: Severity
    unit: str
    fired_ns: int
    ended_ns: int = 0
    ended_why: str = ""
    value: float | None = None
    limit: float | None = None
    worst: float | None = None
    excess_kw: float | None = None
    energy_kwh: float | None = None  # Σ excess · time up to `counted_ns`
    counted_ns: int = 0
    fresh_until_ns: int = 0  # an excess that is not told again by then counts no further
    acknowledged: Acknowledged | None = None
    silenced_by: str = ""  # id of the silence it falls under

    @property
    def key(self) -> str:
        """What tells its alert from all others: asset.name."""
        return f"{self.asset}.{self.name}"

    def energy_at(self, now_ns: int) -> float | None:
        """Return what it has cost by now [kWh]: each excess counts until the next is told, or is too old."""
        upto = min(self.ended_ns or now_ns, self.fresh_until_ns)
        if self.excess_kw is None or upto <= self.counted_ns:
            return self.energy_kwh
        return (self.energy_kwh or 0.0) + self.excess_kw * (upto - self.counted_ns) / _HOUR_NS

    def valued(self, value: float) -> Self:
        """Return it with a newer value; the worst is the one farthest beyond the limit, on the side it fired."""
        worst = value if self.worst is None else self.worst
        side = -1.0 if self.limit is not None and worst < self.limit else 1.0
        return replace(self, value=value, worst=max(worst, value, key=lambda v: side * v))

    def wasting(self, excess_kw: float, at_ns: int, fresh_ns: int) -> Self:
        """Return it with a newer excess [kW], what the one before cost added up."""
        energy, begins = self.energy_at(at_ns), max(at_ns, self.counted_ns)
        energy = 0.0 if energy is None else energy
        return replace(
            self, excess_kw=excess_kw, energy_kwh=energy, counted_ns=begins, fresh_until_ns=begins + fresh_ns
        )

    def ended(self, at_ns: int, why: str = "") -> Self:
        """Return it as over; never before it fired."""
        over = replace(self, ended_ns=max(at_ns, self.fired_ns), ended_why=why)
        return replace(over, energy_kwh=over.energy_at(over.ended_ns), counted_ns=over.ended_ns)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        known = data["acknowledged"]
        return cls(**data | {"acknowledged": Acknowledged(**known) if known else None})


def covers(match: Match, episode: Episode) -> bool:
    """Return whether a match means an episode: all of what it names must fit, and what it leaves out does."""
    return (
        (not match.assets or episode.asset in match.assets)
        and (not match.areas or episode.area in match.areas)
        and (not match.alerts or episode.name in match.alerts)
        and (not match.severities or episode.severity in match.severities)
    )
