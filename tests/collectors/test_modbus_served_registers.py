"""A simulated unit with scale registers, a clock and four quadrants, over TCP, through the collector to its rows."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest

from config.bindings import BoundDevice
from config.model import Asset, Device
from config.points import Point
from simulators.registers import RegisterMap
from simulators.serve_modbus import ModbusServer, Unit
from tests.peers.modbus_rig import running
from tests.waiting import until

POINTS: dict[str, dict[str, Any]] = {
    "power": {"unit": "W", "modbus": {"address": 10, "type": "int16", "scale_by": [{"address": 12}]}},
    "power_l1": {
        "quantity": "power",
        "unit": "W",
        "modbus": {"address": 11, "type": "int16", "scale_by": [{"address": 12}]},
    },
    "power_factor": {"unit": "1", "modbus": {"address": 14, "type": "float32", "form": "quadrants"}},
    "clock_offset": {"unit": "s", "modbus": {"address": 20, "type": "time_cp56", "zone": "Asia/Shanghai"}},
    "nothing": {"quantity": "power", "unit": "W", "modbus": {"address": 13, "type": "int16", "absent": "sunspec"}},
}


def device(port: int) -> BoundDevice:
    points = {name: Point.model_validate({"quantity": name, **given}) for name, given in POINTS.items()}
    made = Device(connection="floor", address=f"127.0.0.1:{port}/1", points=points)
    return BoundDevice("hall", "m", Asset(type="meter", devices={"meter": made}), "meter", made, None, points)


async def test_values_of_one_row_of_time_are_of_one_step() -> None:
    """Power swings over four decades, so its exponent changes all the time: its third is always its third."""
    async with ModbusServer() as server:
        bound = device(server.port)
        registers = RegisterMap(bound.points)
        unit = server.units[1] = Unit()

        def show(kw: float) -> None:
            readings = {"power": kw, "power_l1": kw / 3, "power_factor": -0.8, "clock_offset": 95.0}
            unit.show(registers.encode(readings | {"nothing": float("nan")}, time.time_ns()))

        async def swing() -> None:
            while True:
                for exponent in np.linspace(-1, 4, 40):
                    show(float(10.0**exponent))
                    await asyncio.sleep(0.003)

        show(1.0)
        swinging = asyncio.create_task(swing())
        async with running([bound], every_s=0.01) as run:
            await until(lambda: len(run.rows("m.power")) > 60)
        swinging.cancel()
    totals = {at: value for at, _, value, quality in run.rows("m.power") if quality == 0}
    parts = {at: value for at, _, value, quality in run.rows("m.power_l1") if quality == 0}
    assert len(totals) > 60
    assert {at: pytest.approx(value, rel=2e-3) for at, value in parts.items()} == {
        at: v / 3 for at, v in totals.items()
    }
    assert len({round(np.log10(value)) for value in totals.values()}) >= 3
    assert {round(value, 6) for value in run.values("m.power_factor")} == {-0.8}
    assert all(60 < offset < 96 for offset in run.values("m.clock_offset"))  # less what a busy machine lets it wait
    assert np.isnan(run.values("m.nothing")).all()
