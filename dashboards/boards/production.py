"""Production intensity: energy and CO₂ per tonne, with what is missing of each window."""

from __future__ import annotations

from typing import Final

from dashboards.panels import SITE, SITES, Board, Panel, Row, alerts, course

BOARD: Final = Board(
    uid="tanflow-production",
    title="tanflow: production intensity",
    folder="Site",
    variables=(SITES,),
    span="now-7d",
    refresh="1m",
    rows=(
        Row(
            "Per tonne",
            9,
            (
                Panel("Energy per tonne", "timeseries", "suffix: kWh/t",
                      course('last("energy_intensity_kwh_t")', "kpi", SITE, "asset", "window"), 12,
                      "$tag_asset $tag_window", every="15m"),
                Panel("CO₂e per tonne", "timeseries", "suffix: kg/t",
                      course('last("co2e_per_tonne_kg_t")', "kpi", SITE, "asset", "window"), 12, "$tag_asset",
                      every="15m"),
            ),
        ),
        Row(
            "What it is made of",
            8,
            (
                Panel("Product", "bars", "suffix: t", course('sum("mass_t")', "process", SITE, "asset"), 8,
                      "$tag_asset", every="15m"),
                Panel("Energy of fuels", "bars", "kwatth",
                      course('sum("energy_kwh")', "energy", f"{SITE} AND \"carrier\" !~ /^(electricity|solar)$/",
                             "asset", "carrier"), 8, "$tag_asset $tag_carrier", every="15m"),
                Panel("Completeness of the windows", "timeseries", "percentunit",
                      course('last("completeness")', "kpi", f"{SITE} AND \"window\" =~ /intensity|tonne/", "asset",
                             "window"), 8, "$tag_asset $tag_window",
                      "Share of a window its inputs cover. An alert ignores windows below its own limit.", "15m"),
            ),
        ),
        Row("Alerts", 7, (alerts(24, f'{SITE} AND "alert" =~ /intensity/'),)),
    ),
)  # fmt: skip
