"""Compressors: specific power against its grade, load, pressure, and what runs unloaded."""

from __future__ import annotations

from typing import Final

from dashboards.panels import (
    ASSET,
    RUN_STATES,
    SITES,
    Board,
    Panel,
    Row,
    assets_of,
    course,
    figure,
    grades,
)  # fmt: skip

BOARD: Final = Board(
    uid="tanflow-compressors",
    title="tanflow: compressors",
    folder="Machines",
    variables=(SITES, assets_of("compressor", label="Compressors")),
    rows=(
        Row(
            "Efficiency",
            8,
            (
                figure("Specific power", "specific_power_kw_m3_min", "suffix: kW/(m³/min)", 9, window="specific-power",
                       about="Package power over free air delivered, unloaded time included.", decimals=2),
                figure("Specific power, loaded", "specific_power_loaded_kw_m3_min", "suffix: kW/(m³/min)", 8,
                       window="specific-power-loaded", decimals=2),
                grades(7, ASSET),
            ),
        ),
        Row(
            "How they run",
            8,
            (
                Panel("State", "state-timeline", "none",
                      course('last("state_state")', "process", ASSET, "asset", fill="previous"), 10, "$tag_asset",
                      states=RUN_STATES),
                figure("Loaded share of running time", "load_factor_pct", "percent", 7, window="load-factor"),
                figure("Energy taken unloaded", "unload_share_pct", "percent", 7, window="unload-share"),
            ),
        ),
        Row(
            "Now",
            8,
            (
                Panel("Power", "timeseries", "kwatt", course('mean("power_kw")', "energy", ASSET, "asset"), 8,
                      "$tag_asset"),
                Panel("Free air", "timeseries", "suffix: m³/h",
                      course('mean("flow_m3_h")', "process", ASSET, "asset"), 8, "$tag_asset"),
                Panel("Discharge pressure", "timeseries", "pressurebar",
                      course('mean("discharge_pressure_bar")', "process", ASSET, "asset"), 8, "$tag_asset"),
            ),
        ),
    ),
)  # fmt: skip
