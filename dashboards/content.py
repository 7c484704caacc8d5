"""What the dashboard shows and the rules watch, as plain data: one entry a panel, InfluxQL only.

InfluxQL because InfluxDB 1, 2 and 3 all speak it; without SLIMIT, SOFFSET and tz(), which not all of them know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.alerts.stage import Status
from pipeline.gaps import Gap

Kind = Literal["stat", "timeseries", "bars", "bargauge", "state-timeline"]


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel; `label` names its series by tags, `states` gives words to the numbers of a state."""

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


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the dashboard."""

    name: str
    label: str
    query: str


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


SITE: Final = '"site" =~ /^${site:regex}$/'
ASSET: Final = SITE + ' AND "asset" =~ /^${asset:regex}$/'
MAIN: Final = '"asset" =~ /^${main:regex}$/'
METERED: Final = f"{SITE} AND {MAIN}"


def total(select: str, measurement: str, where: str, *tags: str) -> str:
    """Return the query of one value a series over the range shown."""
    group = " GROUP BY " + ", ".join(f'"{tag}"' for tag in tags) if tags else ""
    return f'SELECT {select} FROM "{measurement}" WHERE {where} AND $timeFilter{group}'


def course(select: str, measurement: str, where: str, *tags: str, fill: str = "none") -> str:
    """Return the query of a series over time."""
    group = ", ".join(f'"{tag}"' for tag in tags)
    return (
        f'SELECT {select} FROM "{measurement}" WHERE {where} AND $timeFilter'
        f" GROUP BY time($__interval), {group} fill({fill})"
    )


ALERT_STATES: Final = tuple(
    (int(status), status.name.lower(), colour)
    for status, colour in ((Status.CLEAR, "green"), (Status.PENDING, "yellow"), (Status.FIRING, "red"))
)
GAP_STATES: Final = tuple((int(gap), gap.name.lower(), "orange" if gap else "green") for gap in Gap)

VARIABLES: Final = (
    Variable("site", "Site", 'SHOW TAG VALUES FROM "gateway" WITH KEY = "site"'),
    Variable(
        "main",
        "Main meters",
        f'SHOW TAG VALUES FROM "energy" WITH KEY = "asset" WHERE {SITE} AND "asset_type" = \'meter\'',
    ),
    Variable("asset", "Assets", f'SHOW TAG VALUES FROM "energy" WITH KEY = "asset" WHERE {SITE}'),
)

ROWS: Final[tuple[tuple[str, int, tuple[Panel, ...]], ...]] = (
    (
        "In the range shown",
        4,
        (
            Panel(
                "Electricity",
                "stat",
                "kwatth",
                total('sum("energy_kwh")', "energy", f"\"carrier\" = 'electricity' AND {METERED}"),
                4,
                about="Bought electricity: the main meters only, because machines behind them are part of it.",
            ),
            Panel(
                "Fuel and heat",
                "stat",
                "kwatth",
                total('sum("energy_kwh")', "energy", f'"carrier" !~ /^(electricity|solar)$/ AND {SITE}'),
                4,
            ),
            Panel(
                "Solar", "stat", "kwatth", total('sum("energy_kwh")', "energy", f"\"carrier\" = 'solar' AND {SITE}"), 4
            ),
            Panel(
                "CO₂e scope 1",
                "stat",
                "masskg",
                total('sum("co2e_kg")', "emissions", f"\"scope\" = '1' AND {SITE}"),
                4,
                about="Live and provisional: factors as they were known when the reading came.",
            ),
            Panel(
                "CO₂e scope 2, location-based",
                "stat",
                "masskg",
                total(
                    'sum("co2e_kg")',
                    "emissions",
                    f'"scope" = \'2\' AND {SITE} AND ("carrier" != \'electricity\' OR "asset" =~ /^${{main:regex}}$/)',
                ),
                4,
                about="Electricity of the main meters only, because machines behind them are part of it.",
            ),
            Panel(
                "Latest intensity",
                "stat",
                "suffix: kWh/t",
                total('last("energy_intensity_kwh_t")', "kpi", SITE, "asset", "window"),
                4,
                "$tag_asset",
                decimals=0,
            ),
        ),
    ),
    (
        "Energy",
        8,
        (
            Panel(
                "Power", "timeseries", "kwatt", course('mean("power_kw")', "energy", ASSET, "asset"), 10, "$tag_asset"
            ),
            Panel(
                "Energy per interval",
                "bars",
                "kwatth",
                course('sum("energy_kwh")', "energy", ASSET, "asset", "carrier"),
                8,
                "$tag_asset $tag_carrier",
                every="1m",
            ),
            Panel(
                "Energy by asset",
                "bargauge",
                "kwatth",
                total('sum("energy_kwh")', "energy", ASSET, "asset", "carrier"),
                6,
                "$tag_asset $tag_carrier",
            ),
        ),
    ),
    (
        "CO₂",
        8,
        (
            Panel(
                "CO₂e rate",
                "timeseries",
                "suffix: kg/h",
                course('mean("co2e_rate_kg_h")', "emissions", ASSET, "asset"),
                10,
                "$tag_asset",
            ),
            Panel(
                "CO₂e per interval",
                "bars",
                "masskg",
                course('sum("co2e_kg")', "emissions", ASSET, "asset", "scope"),
                8,
                "$tag_asset scope $tag_scope",
                every="1m",
            ),
            Panel(
                "CO₂e by asset",
                "bargauge",
                "masskg",
                total('sum("co2e_kg")', "emissions", ASSET, "asset", "scope"),
                6,
                "$tag_asset scope $tag_scope",
            ),
        ),
    ),
    (
        "Energy intensity",
        8,
        (
            Panel(
                "Energy per tonne",
                "timeseries",
                "suffix: kWh/t",
                course('last("energy_intensity_kwh_t")', "kpi", SITE, "asset", "window"),
                10,
                "$tag_asset $tag_window",
            ),
            Panel(
                "Completeness of the windows",
                "timeseries",
                "percentunit",
                course('last("completeness")', "kpi", SITE, "asset", "window"),
                8,
                "$tag_asset $tag_window",
                about="Share of a window its inputs cover. An alert ignores windows below its own limit.",
            ),
            Panel(
                "Alerts",
                "state-timeline",
                "none",
                course('last("alert_state")', "alert", SITE, "asset", "alert", fill="previous"),
                6,
                "$tag_asset $tag_alert",
                states=ALERT_STATES,
                about="A state stands until it changes; one that last changed before the range is not shown.",
            ),
        ),
    ),
    (
        "Gateway",
        7,
        (
            Panel(
                "Rows received",
                "timeseries",
                "suffix: rows/s",
                course(
                    'non_negative_derivative(last("received_count"), 1s)',
                    "gateway",
                    f'"device" =~ /^collector\\./ AND {SITE}',
                    "site",
                    "device",
                ),
                8,
                "$tag_site $tag_device",
            ),
            Panel(
                "Backlog",
                "timeseries",
                "suffix: rows",
                course('last("backlog_count")', "gateway", SITE, "site", "device"),
                8,
                "$tag_site $tag_device",
                about="Rows kept that this part has not taken yet; what is away is caught up with later.",
            ),
            Panel(
                "Lag",
                "timeseries",
                "s",
                course('max("lag_s")', "gateway", SITE, "site", "device"),
                8,
                "$tag_site $tag_device",
            ),
        ),
    ),
    (
        "Trust",
        7,
        (
            Panel(
                "Refused since start",
                "bargauge",
                "suffix: rows",
                total('last("rejected_count")', "gateway", SITE, "site", "device"),
                6,
                "$tag_site $tag_device",
                about="Rows in the dead letters, with the reason: `tanflow deadletters`.",
            ),
            Panel(
                "Energy values not plainly good",
                "bars",
                "suffix: values",
                course('count("energy_kwh_q")', "energy", ASSET, "asset"),
                6,
                "$tag_asset",
                every="1m",
                about="Integrated, estimated, late or doubtful values; the bits are in energy_kwh_q.",
            ),
            Panel(
                "Devices without an answer",
                "state-timeline",
                "none",
                course('last("gap_cause")', "gateway", SITE, "asset", "device", fill="previous"),
                8,
                "$tag_asset $tag_device",
                states=GAP_STATES,
            ),
            Panel(
                "Gateway ticks",
                "timeseries",
                "suffix: ticks",
                course('count("tick_count")', "gateway", SITE, "site"),
                4,
                "$tag_site",
                every="1m",
                about="One a second while the gateway runs.",
            ),
        ),
    ),
)

RULES: Final = (
    Rule(
        "tanflow-intensity",
        "Energy intensity too high",
        'SELECT last("alert_state") FROM "alert" WHERE $timeFilter GROUP BY "site", "asset", "alert", "severity"',
        look_back_s=30 * 86_400,
        evaluator="gt",
        limit=Status.FIRING - 0.5,
        hold="0s",
        no_data="OK",
        severity="warning",
        summary="{{ $labels.alert }} at {{ $labels.asset }}, {{ $labels.site }}: the gateway's own rule fires",
    ),
    Rule(
        "tanflow-silent",
        "Gateway silent",
        'SELECT count("tick_count") FROM "gateway" WHERE $timeFilter GROUP BY "site"',
        look_back_s=300,
        evaluator="lt",
        limit=1,
        hold="1m",
        no_data="Alerting",
        severity="critical",
        summary="No gateway has delivered for five minutes: it is down, or its way to the database is",
    ),
)
