"""Furnaces: heat per tonne, losses up the flue, temperature and product."""

from __future__ import annotations

from typing import Final

from dashboards.panels import ASSET, SITES, Board, Panel, Row, assets_of, course, figure

BOARD: Final = Board(
    uid="tanflow-furnaces",
    title="tanflow: furnaces",
    folder="Machines",
    variables=(SITES, assets_of("furnace", label="Furnaces")),
    rows=(
        Row(
            "Efficiency",
            8,
            (
                figure("Energy per tonne", "energy_per_tonne_kwh_t", "suffix: kWh/t", 8, window="energy-per-tonne"),
                figure("Flue loss", "flue_loss_pct", "percent", 8, window="flue-loss",
                       about="Siegert's formula, share of the fuel's net calorific value."),
                figure("Excess air", "excess_air_pct", "percent", 8, window="excess-air"),
            ),
        ),
        Row(
            "Fuel and product",
            8,
            (
                Panel("Gas", "bars", "suffix: m³", course('sum("volume_m3")', "process", ASSET, "asset"), 8,
                      "$tag_asset", "At the meter's reference state.", every="15m"),
                Panel("Product", "bars", "suffix: t", course('sum("mass_t")', "process", ASSET, "asset"), 8,
                      "$tag_asset", every="15m"),
                Panel("CO₂e", "bars", "masskg", course('sum("co2e_kg")', "emissions", ASSET, "asset"), 8, "$tag_asset",
                      every="15m"),
            ),
        ),
        Row(
            "Now",
            8,
            (
                Panel("Furnace temperature", "timeseries", "celsius",
                      course('mean("furnace_temperature_degc")', "process", ASSET, "asset"), 8, "$tag_asset"),
                Panel("Flue gas temperature", "timeseries", "celsius",
                      course('mean("flue_temperature_degc")', "process", ASSET, "asset"), 8, "$tag_asset"),
                Panel("Oxygen in the flue gas", "timeseries", "percent",
                      course('mean("flue_o2_pct")', "process", ASSET, "asset"), 8, "$tag_asset"),
            ),
        ),
    ),
)  # fmt: skip
