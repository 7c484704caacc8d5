"""Thousands of items over what a server takes at once, and over what it really takes where it says something else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua_limits import Limits, in_parts
from pipeline.batch import Batch
from pipeline.gaps import Gap
from tests.collectors.test_opcua_history import PEER, Plant, assert_whole, key
from tests.interop import saw
from tests.services.opcua_history import Start
from tests.waiting import until

HONEST = {"maxMonitoredItemsPerCall": 300, "maxNodesPerRead": 300, "maxNodesPerHistoryReadData": 20}


@given(st.lists(st.integers(), max_size=60), st.integers(1, 40), st.integers(1, 40))
def test_whatever_a_server_takes_each_is_asked_once_and_in_order(whole: list[int], says: int, takes: int) -> None:
    answered: list[int] = []

    async def ask(part: Sequence[int]) -> list[int]:
        assert len(part) <= says
        if len(part) > takes:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations)
        answered.extend(part)
        return [-n for n in part]

    limits = Limits(read=says)
    assert asyncio.run(in_parts(whole, limits, "read", ask)) == [-n for n in whole]
    assert answered == whole
    assert limits.read <= says


async def test_what_is_no_matter_of_size_is_raised() -> None:
    def refusing(code: int) -> Callable[[Sequence[int]], Awaitable[Sequence[int]]]:
        async def ask(part: Sequence[int]) -> list[int]:
            raise ua.UaStatusCodeError(code)

        return ask

    for code in (ua.StatusCodes.BadSessionIdInvalid, ua.StatusCodes.BadTooManyOperations):
        with pytest.raises(ua.UaStatusCodeError):
            await in_parts([1, 2], Limits(), "read", refusing(code))


@pytest.mark.parametrize(
    ("mode", "items", "most", "limits"), [("poll", 2_500, 0, HONEST), ("subscribe", 4_000, 30, {})]
)
async def test_thousands_of_items_and_their_outage(
    start_history: Start, mode: str, items: int, most: int, limits: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Each item moves every two seconds; all are read, and what they did in an outage is read back.

    A server of a loaded machine may not have written its history up to the first live value: that is told. And it may
    fold live values, as it does not sample when it should.
    """
    server = start_history("node-opcua", items=items, step_ms=2_000, keep=50, limits=limits, most=most)
    patient = {"stale_s": 60.0, "timeout_s": 30.0, "backfill_max_s": 600}
    plant = Plant(server, items, mode=mode, every_s=1.0, sampling_s=0.5, queue=10, **patient)
    async with plant.run() as driven:
        await until(lambda: fewest(plant, driven.batches) >= 1, 480)
    plant.end(driven)
    await asyncio.sleep(6.0)  # the outage: three values of each
    async with plant.run() as driven:
        await until(lambda: fewest(plant, driven.batches) >= 3, 480)
        await until(lambda: plant.counters.links["furnace.plc"] == "")
    plant.end(driven)
    told = "does not reach up to now" in caplog.text
    back = read_back(plant, driven.batches)
    for item in range(0, items, 97):
        values = plant.values(item)
        assert len(set(values)) == len(values)
        found = driven.values(key(item))[:2] if told else back[key(item)]
        assert found
        assert_whole(found)
    kind = "more than it states is refused" if most else "limits kept"
    rows = sum(map(len, plant.committed))
    saw("OPC UA limits", PEER["node-opcua"], f"{items:,} items, {kind} ({mode})", f"{rows} rows, none twice")


def read_back(plant: Plant, batches: Sequence[Batch]) -> dict[str, list[float]]:
    """Return the values of each series before the row that says over what time all is whole again."""
    names = {number: key for key, number in plant.ids.items()}
    found: dict[str, list[float]] = {key: [] for key in plant.ids}
    for b in batches:
        columns = zip(b.series.tolist(), b.value.tolist(), b.span_ns.tolist(), strict=True)
        for name, value, span_ns in ((names[series], value, span_ns) for series, value, span_ns in columns):
            if name == "furnace.plc-gap.gap" and value == Gap.NONE and span_ns:
                return found
            found[name].append(value)
    return found


def fewest(plant: Plant, batches: Sequence[Batch]) -> int:
    """Return how many rows the item has that has the fewest."""
    series = np.concatenate([np.empty(0, np.int32), *(b.series for b in batches)])
    rows = np.bincount(series, minlength=max(plant.ids.values()) + 1)
    return int(min(rows[plant.ids[key(item)]] for item in range(plant.items)))
