"""200 simulated units of which 120 are bad: the good ones keep their period, every miss is a gap row with its cause."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from pipeline.gaps import Gap
from simulators.faults import Link
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit
from tests.peers.modbus_rig import Run, bound, running
from tests.waiting import until

EVERY_S: Final = 3.0
TIMEOUT_S: Final = 1.0  # no good unit is that slow, however loaded the machine
READINGS: Final = 4
# Of every ten units by their place: how it answers, and the causes its gaps may have.
BAD: Final[dict[int, tuple[Link, set[Gap]]]] = {
    1: (Link(drop="silent"), {Gap.TIMEOUT, Gap.BREAKER}),
    3: (Link(lag_s=3 * TIMEOUT_S), {Gap.TIMEOUT, Gap.BREAKER}),
    5: (Link(exception=4), {Gap.EXCEPTION}),
    # Two beside each other whose request makes the gateway hang up.
    6: (Link(drop="close"), {Gap.DISCONNECTED, Gap.BREAKER}),
    7: (Link(drop="close"), {Gap.DISCONNECTED, Gap.BREAKER}),
    8: (Link(garbage=b"not one byte of this is Modbus"), {Gap.MALFORMED, Gap.BREAKER}),
}


@asynccontextmanager
async def served(units_each: int) -> AsyncIterator[list[str]]:
    """Serve 200 units, so many on one port; yield their addresses."""
    addresses = []
    async with AsyncExitStack() as stack:
        for first in range(0, 200, units_each):
            units = {}
            for n in range(first, first + units_each):
                unit = units[n % 10 + 1] = Unit({"holding": Block(0, 1, n.to_bytes(2))})
                unit.link = BAD[n % 10][0] if n % 10 in BAD else None
            server = await stack.enter_async_context(ModbusServer(units=units))
            addresses += [f"127.0.0.1:{server.port}/{number}" for number in units]
        yield addresses


def tiled(run: Run, asset: str) -> bool:
    """Return whether an asset's gap rows cover the time without a hole: each begins where the one before ended."""
    rows = [row for row in run.rows(f"{asset}.meter-gap") if row[2] != Gap.NONE]
    return all(later[0] - later[1] == earlier[0] for earlier, later in itertools.pairwise(rows))


@pytest.mark.parametrize("units_each", [1, 10], ids=["a connection each", "ten behind each gateway"])
async def test_bad_units_do_not_hold_up_good_ones(units_each: int) -> None:
    good = [f"m{n}" for n in range(200) if n % 10 not in BAD]
    async with served(units_each) as addresses:
        devices = [bound(f"m{n}", at, {"x": {"address": 0}}) for n, at in enumerate(addresses)]
        async with running(devices, every_s=EVERY_S, timeout_s=TIMEOUT_S) as run:
            await until(lambda: all(run.values(f"{name}.x") for name in good))
            begin = {name: len(run.rows(f"{name}.x")) for name in good}
            await until(lambda: all(len(run.rows(f"{name}.x")) >= begin[name] + READINGS for name in good))
            extra = max(len(run.rows(f"{name}.x")) - begin[name] for name in good) - READINGS
    # All good units advance together: none is left behind while the slowest makes its readings.
    assert extra <= 3
    for n in range(200):
        name = f"m{n}"
        if n % 10 not in BAD:
            assert set(run.values(f"{name}.x")) == {float(n)}
            assert set(run.gaps(name)) == {Gap.NONE}
            continue
        assert not run.values(f"{name}.x")
        assert run.gaps(name)
        assert set(run.gaps(name)) <= BAD[n % 10][1]
        assert tiled(run, name)
        assert run.counters.links[f"{name}.meter"]
