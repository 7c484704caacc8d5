"""Energy and carbon: by asset and carrier live, by scope and method as the account books it."""

from __future__ import annotations

from typing import Final

from dashboards.panels import ASSET, ASSETS, SITE, SITES, Board, Panel, Row, course, total

_ACCOUNT: Final = f"{SITE} AND \"role\" = 'boundary'"
_BOOKED: Final = "As the account books it, restatements included: the same number as in the report."

BOARD: Final = Board(
    uid="tanflow-energy-carbon",
    title="tanflow: energy and carbon",
    folder="Site",
    variables=(SITES, ASSETS),
    span="now-7d",
    refresh="1m",
    rows=(
        Row(
            "The account",
            5,
            (
                Panel("CO₂e by scope", "bargauge", "masskg",
                      total('sum("account_co2e_kg")', "emissions", f"{_ACCOUNT} AND \"method\" != 'market'", "scope"),
                      8, "scope $tag_scope", _BOOKED),
                Panel("Scope 2 by method", "bargauge", "masskg",
                      total('sum("account_co2e_kg")', "emissions", f"{_ACCOUNT} AND \"scope\" = '2'", "method"), 8,
                      "$tag_method-based", "Location and market side by side, never added."),
                Panel("Energy by carrier", "bargauge", "kwatth",
                      total('sum("account_energy_kwh")', "emissions", _ACCOUNT, "carrier"), 8, "$tag_carrier", _BOOKED),
            ),
        ),
        Row(
            "Booked by the hour",
            8,
            (
                Panel("CO₂e booked", "bars", "masskg",
                      course('sum("account_co2e_kg")', "emissions", f"{_ACCOUNT} AND \"method\" != 'market'",
                             "asset", "scope"), 12, "$tag_asset scope $tag_scope", _BOOKED, every="1h"),
                Panel("Energy booked", "bars", "kwatth",
                      course('sum("account_energy_kwh")', "emissions", _ACCOUNT, "asset", "carrier"), 12,
                      "$tag_asset $tag_carrier", _BOOKED, every="1h"),
            ),
        ),
        Row(
            "Energy, live",
            8,
            (
                Panel("Power", "timeseries", "kwatt", course('mean("power_kw")', "energy", ASSET, "asset"), 10,
                      "$tag_asset"),
                Panel("Energy per interval", "bars", "kwatth",
                      course('sum("energy_kwh")', "energy", ASSET, "asset", "carrier"), 8, "$tag_asset $tag_carrier",
                      every="1m"),
                Panel("Energy by asset", "bargauge", "kwatth",
                      total('sum("energy_kwh")', "energy", ASSET, "asset", "carrier"), 6, "$tag_asset $tag_carrier",
                      "Main meters and what stands behind them: the bars do not add up to the site."),
            ),
        ),
        Row(
            "CO₂, live",
            8,
            (
                Panel("CO₂e rate", "timeseries", "suffix: kg/h",
                      course('mean("co2e_rate_kg_h")', "emissions", ASSET, "asset"), 10, "$tag_asset"),
                Panel("CO₂e per interval", "bars", "masskg",
                      course('sum("co2e_kg")', "emissions", ASSET, "asset", "scope"), 8,
                      "$tag_asset scope $tag_scope", every="1m"),
                Panel("CO₂e by asset", "bargauge", "masskg",
                      total('sum("co2e_kg")', "emissions", ASSET, "asset", "scope"), 6, "$tag_asset scope $tag_scope"),
            ),
        ),
    ),
)  # fmt: skip
