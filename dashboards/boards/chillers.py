"""Chillers: COP against its grade, approaches that tell fouling, water temperatures."""

from __future__ import annotations

from typing import Final

from dashboards.panels import ASSET, SITES, Board, Panel, Row, assets_of, course, figure


def _water(title: str, field: str) -> Panel:
    query = course(f'mean("{field}_degc")', "process", ASSET, "asset")
    return Panel(title, "timeseries", "celsius", query, 6, "$tag_asset")


BOARD: Final = Board(
    uid="tanflow-chillers",
    title="tanflow: chillers",
    folder="Machines",
    variables=(SITES, assets_of("chiller", label="Chillers")),
    rows=(
        Row(
            "Efficiency",
            8,
            (
                figure("COP", "cop", "none", 12, window="cop", decimals=2,
                       about="The grade is given for hours near full load alone; it is on the overview."),
                figure("Power per ton of refrigeration", "kw_per_rt", "suffix: kW/RT", 12, window="kw-per-rt",
                       decimals=2),
            ),
        ),
        Row(
            "Signs of fouling",
            8,
            (
                figure("Condenser approach", "condenser_approach_k", "suffix: K", 8, window="condenser-approach",
                       about="Condensing temperature above the leaving water: it grows when tubes foul."),
                figure("Evaporator approach", "evaporator_approach_k", "suffix: K", 8, window="evaporator-approach"),
                figure("Heat balance", "heat_balance_pct", "percent", 8, window="heat-balance",
                       about="Heat rejected against cooling plus power; far from zero a flow or sensor is wrong."),
            ),
        ),
        Row(
            "Load",
            8,
            (
                Panel("Power", "timeseries", "kwatt", course('mean("power_kw")', "energy", ASSET, "asset"), 12,
                      "$tag_asset"),
                figure("Cooling", "cooling_kw", "kwatt", 12, window="cooling"),
            ),
        ),
        Row(
            "Water",
            8,
            (
                _water("Chilled water leaving", "evaporator_leaving_water_temperature"),
                _water("Chilled water returning", "evaporator_entering_water_temperature"),
                _water("Condenser water entering", "condenser_entering_water_temperature"),
                _water("Condenser water leaving", "condenser_leaving_water_temperature"),
            ),
        ),
    ),
)  # fmt: skip
