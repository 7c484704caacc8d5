"""An exchange of a meter, declared with its final and initial index, is booked to the last unit, whatever was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.books import Books
from carbon.entries import MICRO, Entries
from carbon.exchange import Rows, exchanges, jump, settle
from carbon.ledger import Ledger, Reason, verify
from carbon.restate import Correction, Span, restate_activity
from config.load import load
from config.meters import MeterEvent
from pipeline import quality as q
from pipeline.batch import Header, make
from pipeline.clock import SECOND_NS
from tanflow.exchanges import kept, settle_all, settle_hourly
from tests.carbon.plant import CONFIG, HOUR_S, START_NS, Plant, open_plant
from tests.waiting import until

LINE = "main.electricity/2/purchased_electricity/location"
SWAP = "{on: 2025-01-01, type: swap, serial: B2, final_index: %s, initial_index: %s, certificate: C2}"
POINT = "{import: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}}"


def config(final: float, initial: float, *, more: str = "", rated: str = "") -> str:
    register = (
        f"meters: {{M1: {{device: main.m, serial: A1, accuracy: 0.5{more}, events: [{SWAP % (final, initial)}]}}}}"
    )
    text = CONFIG.replace("connections:", f"accounting: {{{register}}}\nconnections:", 1)
    precise = POINT.replace("address: 0, type: float32", "address: 0, type: float64")
    return text.replace(POINT, precise, 1).replace("type: meter\n", f"type: meter\n        {rated}\n", 1)


async def read(plant: Plant, times_s: Sequence[float], index: Sequence[float]) -> None:
    """Let the real ingest accept readings one by one."""
    gateway = plant.gateway
    series = gateway.table.ids["main.import.energy_index"]
    for at, value in zip(times_s, index, strict=True):
        now = START_NS + int(at * SECOND_NS)
        header = Header("floor", gateway.table.revision, gateway.clock.boot, now, 0)
        await gateway.ingests["floor"].accept(make(header, now, [series], value))


async def book(plant: Plant, hours: int) -> None:
    await plant.tick(hours * HOUR_S)
    await plant.book()


def outcome(plant: Plant, folder: Path) -> str:
    loaded = load(folder / "gateway.yaml")
    (found,) = settle_all(Books.of(loaded.gateway, loaded.templates, folder), plant.folder)
    return found.state


def entries(plant: Plant) -> Entries:
    with Ledger.open(plant.folder) as ledger:
        (number,) = [n for n, line in ledger.lines.items() if line.key == LINE]
        return Entries.join(list(ledger.read(lines={number})))


# 18 kWh/h, read every 10 minutes. The old meter goes at 05:00 with 1,090 kWh; it was last read at 04:50 (1,087). The
# new one is first read at 07:00 and has counted 36 kWh since 05:00. 12 hours are 216 kWh.
MINUTES = [m for m in range(0, 721, 10) if not 291 <= m < 420]


def truth(minute: float) -> float:
    return 18.0 * minute / 60


CASES = {
    "from zero": (1090.0, 0.0, "rated_kw: 100"),
    "not from zero: looks like a reset": (1090.0, 12.5, "rated_kw: 100"),
    "to a higher index": (1090.0, 250_000.0, "rated_kw: 100"),
    "to a higher index, and nothing says how fast it can run": (1090.0, 250_000.0, ""),
    "lower, as after a rollover": (1090.0, 900.0, ""),
}


@pytest.mark.parametrize(("final", "initial", "rated"), CASES.values(), ids=CASES)
async def test_the_total_is_what_was_used_exactly(tmp_path: Path, final: float, initial: float, rated: str) -> None:
    async with open_plant(tmp_path, config(final, initial, rated=rated)) as plant:
        index = [1000 + truth(m) if m <= 300 else initial + truth(m) - 90 for m in MINUTES]
        await read(plant, [m * 60 for m in MINUTES], index)
        await book(plant, 13)
        seen = int(entries(plant).amount.sum())
        assert seen != 216 * MICRO  # ingest cannot know what happened in between
        assert outcome(plant, tmp_path) == "settled"
        booked = entries(plant)
        assert booked.amount.tolist() == pytest.approx([18 * MICRO] * 12, abs=2)
        assert int(booked.amount.sum()) == 216 * MICRO
        assert not booked.estimated.any()
        assert not (booked.quality & np.uint16(q.QUANTITY_ESTIMATED | q.UNCERTAIN)).any()
        assert np.flatnonzero(booked.quality & np.uint16(q.SWAP)).tolist()[:3] == [4, 5, 6]
        assert outcome(plant, tmp_path) == "settled before"
        with Ledger.open(plant.folder) as ledger:
            (said,) = [b.reason.text for b in ledger.blocks() if b.reason and b.reason.method == "meter exchange"]
        assert said == f"M1 exchanged on 2025-01-01: A1 ended at {final}, B2 began at {initial}"
        assert not verify(plant.folder, None).problems


async def test_it_waits_for_its_last_hour(tmp_path: Path) -> None:
    async with open_plant(tmp_path, config(1090.0, 0.0, rated="rated_kw: 100")) as plant:
        await read(plant, [0, 1200, 7200], [1080, 1086, 26])
        await book(plant, 1)
        assert outcome(plant, tmp_path) == "waits"  # one reading after the jump confirms nothing
        await read(plant, [7800], [29])
        assert outcome(plant, tmp_path) == "waits"
        await book(plant, 4)
        assert outcome(plant, tmp_path) == "settled"
        assert int(entries(plant).amount.sum()) == (10 + 29) * MICRO


async def test_behind_transformers_each_part_is_multiplied_by_its_own_ratio(tmp_path: Path) -> None:
    swap = ", ct: {ratio: 400/5}, shows: secondary"
    text = config(20.0, 0.0, more=swap, rated="rated_kw: 1000").replace("certificate: C2}", "ct: {ratio: 300/5}}")
    async with open_plant(tmp_path, text.replace("on: 2025-01-01", "on: 2025-01-02")) as plant:
        day = 24 * HOUR_S
        await read(plant, [day - 1200, day - 600, day + 600, day + 1200], [18.0, 19.0, 1.0, 2.5])
        await book(plant, 26)
        assert outcome(plant, tmp_path) == "settled"
        # (20 − 18) · 80 of the old transformers, (2.5 − 0) · 60 of the new ones.
        assert int(entries(plant).amount.sum()) == (160 + 150) * MICRO


async def test_a_meter_that_starts_up_with_zeros_is_found(tmp_path: Path) -> None:
    async with open_plant(tmp_path, config(1090.0, 500.0, rated="rated_kw: 100")) as plant:
        await read(plant, [0, 1200, 1800, 1860, 2400, 3000], [1080, 1086, 0, 0, 503, 506])
        await book(plant, 2)
        assert outcome(plant, tmp_path) == "settled"
        assert int(entries(plant).amount.sum()) == (10 + 6) * MICRO


async def test_what_somebody_has_restated_is_left_alone(tmp_path: Path) -> None:
    async with open_plant(tmp_path, config(1090.0, 0.0, rated="rated_kw: 100")) as plant:
        await read(plant, [0, 1200, 1800, 2400], [1080, 1086, 3, 6])
        await book(plant, 2)
        with Ledger.open(plant.folder, write=True) as ledger:
            meters = {n: Correction(replace(m, ratio=2.0), Fraction(2)) for n, m in ledger.meters.items()}
            span = Span(START_NS, START_NS + HOUR_S * SECOND_NS, plant.gateway.books.zone)
            assert restate_activity(ledger, set(ledger.lines), meters, span, Reason("restatement", "x")).changed
        before = entries(plant).amount.tolist()
        assert outcome(plant, tmp_path) == "waits"
        assert entries(plant).amount.tolist() == before


async def test_a_running_gateway_settles_by_itself_beside_its_accountant(tmp_path: Path) -> None:
    text = config(1090.0, 0.0, rated="rated_kw: 100")
    async with open_plant(tmp_path, text) as plant:
        await read(plant, [0, 1200, 1800, 2400], [1080, 1086, 3, 6])
        await book(plant, 2)
        gateway = plant.gateway
        task = asyncio.create_task(settle_hourly(gateway.books, plant.folder, gateway.clock))
        await until(lambda: int(entries(plant).amount.sum()) == 16 * MICRO)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await read(plant, [3 * HOUR_S], [100])  # the accountant goes on from where it was
        await book(plant, 4)
        assert int(entries(plant).amount.sum()) == (16 + 94) * MICRO


async def test_hours_of_which_rows_are_gone_are_left_alone(tmp_path: Path) -> None:
    async with open_plant(tmp_path, config(1090.0, 0.0, rated="rated_kw: 100")) as plant:
        await read(plant, [0, 1200, 1800, 2400, 3600], [1080, 1086, 3, 6, 12])
        await book(plant, 2)
        books = plant.gateway.books
        (exchange,) = exchanges(books)
        whole = kept(plant.folder, (exchange.index, exchange.series))

        def partly(key: str, start_ns: int, end_ns: int) -> Rows:
            rows = whole(key, start_ns, end_ns)
            return rows.take(rows.time_ns <= START_NS + 2400 * SECOND_NS)

        before = entries(plant).amount.tolist()
        with Ledger.open(plant.folder, write=True) as ledger:
            assert settle(ledger, books, exchange, partly).why == "not all rows of its hours are kept any more"
        assert entries(plant).amount.tolist() == before


@given(
    used=st.lists(st.integers(0, 50), min_size=4, max_size=40), data=st.data(), old=st.integers(100, 10**6),
    new=st.integers(0, 10**6), before=st.integers(0, 20), since=st.integers(0, 20),
)  # fmt: skip
def test_the_jump_is_found_wherever_it_is(
    used: list[int], data: st.DataObject, old: int, new: int, before: int, since: int
) -> None:
    """An index of whole units in which one meter follows another: what the jump explains is what was used."""
    at = data.draw(st.integers(1, len(used) - 1))
    first = old + np.cumsum(used[:at])
    final = int(first[-1]) + before
    second = new + since + np.cumsum([0, *used[at:]])
    # A meter whose display goes on where the other's ended, or that used more in the gap than the two differ by, cannot
    # be told from one meter.
    if 0 < final - new <= before + since + 50:
        return
    value = np.concatenate([first, second]).astype(float)
    n = len(value)
    index = Rows(np.arange(n), np.zeros(n, np.int64), value, np.zeros(n, np.uint16))
    event = MeterEvent.model_validate(
        {"on": "2025-01-01", "type": "swap", "serial": "B", "final_index": final, "initial_index": new}
    )
    found = jump(index, event)
    assert found is not None
    explained = (final - value[found]) + (value[found + 1] - new)
    true = before + since
    total = value[found] - value[0] + explained + value[-1] - value[found + 1]
    assert total == first[-1] - first[0] + true + second[-1] - second[0]


def test_every_declared_exchange_of_a_meter_that_is_read_is_known(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(config(1.0, 0.0), "utf-8")
    loaded = load(path)
    (found,) = exchanges(Books.of(loaded.gateway, loaded.templates, tmp_path))
    assert (found.stream, found.index, found.old_serial) == ("main.electricity", "main.import.energy_index", "A1")
