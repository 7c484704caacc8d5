"""The site at a glance: power and CO₂ now, energy of the range, what is wrong."""

from __future__ import annotations

from typing import Final

from dashboards.panels import MAIN, METERED, SITE, SITES, Board, Panel, Row, alerts, course, grades, total

_FUEL: Final = f'"carrier" !~ /^(electricity|solar)$/ AND {SITE}'
_NOW: Final = "of the last minute"

BOARD: Final = Board(
    uid="tanflow-overview",
    title="tanflow: overview",
    folder="Site",
    variables=(SITES, MAIN),
    span="now-12h",
    refresh="10s",
    rows=(
        Row(
            "Now",
            4,
            (
                Panel("Power", "stat", "kwatt", total('last("power_kw")', "energy", METERED, "asset"), 5, "$tag_asset",
                      "Of the main meters: machines behind them are part of it."),
                Panel("CO₂e rate, electricity", "stat", "suffix: kg/h",
                      total('last("co2e_rate_kg_h")', "emissions", METERED, "asset"), 5, "$tag_asset",
                      "Location-based, live: with the factor in force when the reading came."),
                Panel("Solar power", "stat", "kwatt",
                      total('last("power_kw")', "energy", f"{SITE} AND \"carrier\" = 'solar'", "asset"), 4,
                      "$tag_asset"),
                Panel("Latest energy intensity", "stat", "suffix: kWh/t",
                      total('last("energy_intensity_kwh_t")', "kpi", SITE, "asset", "window"), 5, "$tag_asset",
                      decimals=0),
                Panel("Alerts that fired in the range", "stat", "none",
                      total('count("alert_state")', "alert", f'{SITE} AND "alert_state" = 2'), 5,
                      steps=((None, "green"), (1, "red")), about="How often; which ones is shown below."),
            ),
        ),
        Row(
            "In the range shown",
            4,
            (
                Panel("Electricity", "stat", "kwatth",
                      total('sum("energy_kwh")', "energy", f"\"carrier\" = 'electricity' AND {METERED}"), 6,
                      about="Bought electricity: the main meters only, because machines behind them are part of it."),
                Panel("Fuel and heat", "stat", "kwatth", total('sum("energy_kwh")', "energy", _FUEL), 6),
                Panel("CO₂e scope 1", "stat", "masskg",
                      total('sum("co2e_kg")', "emissions", f"\"scope\" = '1' AND {SITE}"), 6,
                      about="Live and provisional: factors as they were known when the reading came."),
                Panel("CO₂e scope 2, location-based", "stat", "masskg",
                      total('sum("co2e_kg")', "emissions",
                            f"\"scope\" = '2' AND {SITE} AND "
                            "(\"carrier\" != 'electricity' OR \"asset\" =~ /^${main:regex}$/)"), 6,
                      about="Electricity of the main meters only, because machines behind them are part of it."),
            ),
        ),
        Row(
            "Course",
            9,
            (
                Panel("Power by asset", "timeseries", "kwatt",
                      course('mean("power_kw")', "energy", SITE, "asset"), 12, "$tag_asset"),
                Panel("CO₂e rate by asset", "timeseries", "suffix: kg/h",
                      course('mean("co2e_rate_kg_h")', "emissions", SITE, "asset"), 12, "$tag_asset"),
            ),
        ),
        Row("What is wrong", 8, (alerts(14), grades(10))),
    ),
)  # fmt: skip
