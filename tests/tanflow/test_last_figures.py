"""After a restart the figures of the last windows are shown at once, though their rows have left the log's end."""

from __future__ import annotations

from pathlib import Path

from tanflow.last_figures import recall
from tests.tanflow.asked_plant import HOUR_S, START_NS, asked_plant
from tests.waiting import until

KPI = "press.specific-power.kpi"


async def test_figures_of_closed_windows_are_recalled(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, 3 * HOUR_S) as plant:
        for hour, value in ((1, 6.1), (2, 6.2)):
            await plant.amounts(KPI, [hour * HOUR_S], [value], HOUR_S)
        await plant.gateway.archivist.cut()
    async with asked_plant(tmp_path, 3 * HOUR_S + 60) as plant:
        gateway, series = plant.gateway, plant.gateway.table.ids[KPI]
        await until(lambda: gateway.latest.time_ns[series], what="the end of the log is read")
        gateway.latest.time_ns[series] = 0  # as if it were longer ago than what is read again of the log
        await recall(gateway.latest, gateway.history, gateway.table, gateway.clock.now_ns())
        kpi = next(k for k in (await plant.get("/api/assets/press"))["kpis"] if k["key"] == KPI)
        assert (kpi["value"], kpi["end_ns"]) == (6.2, START_NS + 2 * HOUR_S * 10**9)
