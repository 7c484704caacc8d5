"""What a dashboard is made of, as plain data, and the InfluxQL it asks with.

InfluxQL because InfluxDB 1, 2 and 3 all speak it; without SLIMIT, SOFFSET and tz(), which not all of them know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.alerts.stage import Status
from pipeline.gaps import Gap

Kind = Literal["stat", "timeseries", "bars", "bargauge", "state-timeline", "table"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `label` names its series by tags, `states` gives words to the numbers of a state.

    `steps` are (from this value on, colour), the first without a value: what is good and what is not.
    """

    title: str
    kind: Kind
    unit: str
    query: str
    width: int
    label: str = ""
    about: str = ""
    every: str = "10s"  # least step of the time axis
    decimals: int | None = None
    states: tuple[tuple[int, str, str], ...] = ()  # (value, word, colour)
    steps: tuple[tuple[float | None, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Row:
    """Panels beside each other; their widths add up to 24."""

    title: str
    height: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard, in a folder of Grafana."""

    uid: str
    title: str
    folder: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]
    about: str = ""
    span: str = "now-24h"
    refresh: str = "30s"

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


@dataclass(frozen=True, slots=True)
class Rule:
    """An alert rule: true while the last value of a series is above or below the limit for `hold`."""

    uid: str
    title: str
    query: str
    look_back_s: int
    evaluator: Literal["gt", "lt"]
    limit: float
    hold: str
    no_data: Literal["Alerting", "OK"]
    severity: str
    summary: str


# ── choices ───────────────────────────────────────────────────────────────────────────────────────

SITE: Final = '"site" =~ /^${site:regex}$/'
ASSET: Final = SITE + ' AND "asset" =~ /^${asset:regex}$/'
METERED: Final = SITE + ' AND "asset" =~ /^${main:regex}$/'

SITES: Final = Variable("site", "Site", 'SHOW TAG VALUES FROM "gateway" WITH KEY = "site"')
ASSETS: Final = Variable("asset", "Assets", f'SHOW TAG VALUES FROM "energy" WITH KEY = "asset" WHERE {SITE}')


def assets_of(kind: str, name: str = "asset", label: str = "Machines") -> Variable:
    """Return the choice among the assets of a type."""
    where = f"{SITE} AND \"asset_type\" = '{kind}'"
    return Variable(name, label, f'SHOW TAG VALUES FROM "energy" WITH KEY = "asset" WHERE {where}')


MAIN: Final = assets_of("meter", "main", "Main meters")

# ── queries ───────────────────────────────────────────────────────────────────────────────────────


def total(select: str, measurement: str, where: str, *tags: str) -> str:
    """Return the query of one value a series over the range shown."""
    group = " GROUP BY " + ", ".join(f'"{tag}"' for tag in tags) if tags else ""
    return f'SELECT {select} FROM "{measurement}" WHERE {where} AND $timeFilter{group}'


def course(select: str, measurement: str, where: str, *tags: str, fill: str = "none") -> str:
    """Return the query of a series over time."""
    group = ", ".join(["time($__interval)", *(f'"{tag}"' for tag in tags)])
    return f'SELECT {select} FROM "{measurement}" WHERE {where} AND $timeFilter GROUP BY {group} fill({fill})'


def figure(title: str, field: str, unit: str, width: int, *, window: str = "", about: str = "",
           decimals: int | None = None, steps: tuple[tuple[float | None, str], ...] = ()) -> Panel:  # fmt: skip
    """Return the panel of one figure over windows, a line for each asset."""
    where = ASSET + (f" AND \"window\" = '{window}'" if window else "")
    query = course(f'last("{field}")', "kpi", where, "asset", "window")
    label = "$tag_asset" if window else "$tag_asset $tag_window"
    return Panel(title, "timeseries", unit, query, width, label, about, "15m", decimals, steps=steps)


# ── words for states ──────────────────────────────────────────────────────────────────────────────

ALERT_STATES: Final = tuple(
    (int(status), status.name.lower(), colour)
    for status, colour in ((Status.CLEAR, "green"), (Status.PENDING, "yellow"), (Status.FIRING, "red"))
)
GAP_STATES: Final = tuple((int(gap), gap.name.lower(), "orange" if gap else "green") for gap in Gap)
RUN_STATES: Final = ((0, "stopped", "text"), (1, "unloaded", "yellow"), (2, "loaded", "green"))
GRADES: Final = (
    (1, "grade 1", "green"),
    (2, "grade 2", "blue"),
    (3, "grade 3", "yellow"),
    (4, "worse than grade 3", "red"),
)


def alerts(width: int, where: str = SITE) -> Panel:
    """Return the panel of alerts over time."""
    query = course('last("alert_state")', "alert", where, "asset", "alert", fill="previous")
    about = "A state stands until it changes; one that last changed before the range is not shown."
    return Panel("Alerts", "state-timeline", "none", query, width, "$tag_asset $tag_alert", about, states=ALERT_STATES)


def grades(width: int, where: str = SITE) -> Panel:
    """Return the panel of efficiency grades over time."""
    query = course('last("grade")', "kpi", where, "asset", "window", fill="previous")
    about = "By the standard named at the asset's type, e.g. GB 19153 for compressors and GB 19577 for chillers."
    label = "$tag_asset $tag_window"
    return Panel("Efficiency grade", "state-timeline", "none", query, width, label, about, "15m", states=GRADES)
