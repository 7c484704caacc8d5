"""What the throughput benchmark feeds is read, converted and logged as if devices had answered."""

from __future__ import annotations

from pathlib import Path

from benchmarks.throughput import UNITS, VALUES, Feed, opened


async def test_each_answer_fed_becomes_readings_with_energy_and_co2(tmp_path: Path) -> None:
    async with opened(UNITS, tmp_path, "http://127.0.0.1:9") as gateway:
        feed, before = Feed(gateway), gateway.log.reader.rows_after(0)
        await feed.accept(2)
        await feed.accept(1)
        rows = gateway.log.reader.rows_after(0) - before
    readings = UNITS * (3 * VALUES + 1)  # and one row a unit that it answers
    assert gateway.sources["floor"].ingest.counters.committed == readings
    assert rows == readings + UNITS * (3 + 2 * 2)  # CO₂ a hour of each power; energy and its CO₂ from the second on
