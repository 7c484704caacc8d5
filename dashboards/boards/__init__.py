"""All dashboards; a new one is one file and one line here."""

from __future__ import annotations

from typing import Final

from dashboards.boards import chillers, compressors, energy_carbon, furnaces, gateway, overview, production
from dashboards.panels import Board

BOARDS: Final[tuple[Board, ...]] = (
    overview.BOARD,
    energy_carbon.BOARD,
    production.BOARD,
    compressors.BOARD,
    furnaces.BOARD,
    chillers.BOARD,
    gateway.BOARD,
)
