"""The days on which clocks change, on a site in Berlin: 23 and 25 hours, in windows, account and what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from carbon.entries import MICRO
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from tests.faults.stages import Verdict
from tests.faults.table import Fault, happened
from tests.proof.booking import DAY_NS, HOUR_NS, at, booking, meter

ZONE = "Europe/Berlin"
LOCATION = "main.electricity/2/purchased_electricity/location"
READ = "main.import.energy_index"
OF = "type: formula, asset: main, formula: energy(import), unit: kWh, keep_h: 100"
WINDOWS = f"windows: {{of-hour: {{{OF}, every: 60min}}, of-day: {{{OF}, every: day}}}}"
STEP_NS = 900 * SECOND_NS
KWH = 2.25  # each quarter of an hour


@pytest.mark.parametrize(("when", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)], ids=["begins", "ends"])
async def test_a_day_has_the_hours_it_has(tmp_path: Path, when: tuple[int, int, int], hours: int) -> None:
    """Readings each quarter of an hour from the noon before to the noon after; each window's hour and day is exact."""
    year, month, day = when
    begin, end = at(ZONE, year, month, day), at(ZONE, year, month, day + 1)
    first, last = begin - DAY_NS // 2, end + DAY_NS // 2
    assert end - begin == hours * HOUR_NS
    times = np.arange(first, last + 1, STEP_NS)
    async with booking(tmp_path, meter(ZONE, "DE", WINDOWS), first) as site:
        for n, time_ns in enumerate(times.tolist()):
            await site.show(READ, time_ns, 1_000 + KWH * n)
        await site.book(last + 2 * HOUR_NS)
        while any([await consumer.step() for consumer in site.gateway.consumers]):
            pass
        rows = [b for w in site.gateway.log.read(0, 10**9) for b in w.batches]
        keys = {number: key for key, number in site.gateway.table.ids.items()}
        edges = [begin + n * HOUR_NS for n in range(hours + 1)]
        by_hour = site.sums(LOCATION, edges, "energy")[0]
        (of_day,) = site.sums(LOCATION, [begin, end], "energy")[0]
    per_hour = KWH * HOUR_NS / STEP_NS
    assert by_hour == [round(per_hour * MICRO)] * hours
    assert of_day == round(per_hour * hours * MICRO)
    hour, whole = window(rows, keys, "main.of-hour.kpi"), window(rows, keys, "main.of-day.kpi")
    assert [hour.get(edge) for edge in edges[1:]] == pytest.approx([per_hour] * hours)
    assert whole[end] == pytest.approx(per_hour * hours)
    stored = [t for b in rows for t, s in zip(b.time_ns.tolist(), b.series.tolist(), strict=True) if keys[s] == READ]
    missing, doubled = Counter(times.tolist()) - Counter(stored), Counter(stored) - Counter(times.tolist())
    error_kwh = abs(of_day / MICRO - per_hour * hours)
    verdict = Verdict(len(stored), missing.total(), doubled.total(), error_kwh, {})
    assert verdict.sound(), verdict
    what = f"the day summer time {'begins' if hours == 23 else 'ends'}, Europe/Berlin (injected clock)"
    happened(
        Fault("clock", what, verdict, None, f"{hours} hours of {per_hour:g} kWh in the account and in the windows")
    )


def window(rows: Sequence[Batch], keys: Mapping[int, str], key: str) -> dict[int, float]:
    """Return the values of a figure by the end of their window."""
    found = (zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True) for b in rows)
    return {t: v for columns in found for s, t, v in columns if keys[s] == key}
