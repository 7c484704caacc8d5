"""Live values around a reading back: none twice, and none dropped however old its source says it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from collectors.opcua_columns import Columns
from collectors.opcua_intake import Intake, items_of
from collectors.rows import Rows
from pipeline.counters import Counters
from pipeline.meter import NEVER
from tests.collectors.driving import bound, ids_of, origin

S = 1_000_000_000
T0 = 1_700_000_000 * S


class Bench:
    """An intake of two items that were last accepted at T0, and the rows that come of it."""

    def __init__(self) -> None:
        points = {n: {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s={n}"}} for n in ("a", "b")}
        device = bound("plc", points)
        ids = ids_of([device])
        self.counters = Counters()
        self.rows = Rows(origin(), [device], ids, self.counters)
        self.intake = Intake(origin(), items_of([device], ids), 1, self.rows, self.counters)
        newest = np.full(max(ids.values()) + 1, NEVER)
        newest[self.intake.series] = T0
        self.intake.hold()
        self.intake.resume(newest)
        self.intake.renew()

    def release(self) -> None:
        while self.intake.release():
            pass

    def times(self, item: int) -> list[int]:
        """Return the times taken of an item since the last look [s after T0]."""
        batch = self.rows.take()
        return [(t - T0) // S for t in batch.time_ns[batch.series == self.intake.series[item]].tolist()]


def values(item: int, seconds: npt.ArrayLike) -> Columns:
    time_ns = T0 + np.asarray(seconds, np.int64) * S
    n = len(time_ns)
    number, status = np.arange(n, dtype=np.float64), np.zeros(n, np.int64)
    return Columns(np.full(n, item), time_ns, number, status, np.full(n, 11, np.uint8))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_after_a_reading_back_values_of_a_clock_that_is_set_back_are_taken(bench: Bench) -> None:
    intake = bench.intake
    intake.take(values(0, [3600]), T0)
    intake.take_back(values(0, range(1, 3600)))
    intake.covered(0, T0, T0 + 3599 * S)
    bench.release()
    assert bench.times(0) == list(range(1, 3601))
    for second in range(1800, 1860):
        intake.take(values(0, [second]), T0)
    assert bench.times(0) == list(range(1800, 1860))
    assert bench.counters.rejected == 0


def test_an_item_that_shows_itself_late_brings_its_last_value_once(bench: Bench) -> None:
    intake = bench.intake
    intake.take_back(values(0, [1, 2, 3]))
    intake.covered(0, T0, T0 + 3 * S)
    bench.release()
    assert bench.times(0) == [1, 2, 3]
    intake.take(values(0, [3]), T0)
    intake.take(values(0, [4, 3]), T0)
    assert bench.times(0) == [4, 3]


def test_what_waits_of_the_stretch_read_back_is_here_already(bench: Bench) -> None:
    intake = bench.intake
    intake.take_back(values(0, [1, 2, 3]))
    intake.covered(0, T0, T0 + 3 * S)
    intake.take(values(0, [2, 3, 4]), T0)
    bench.release()
    assert bench.times(0) == [1, 2, 3, 4]


def test_a_value_polled_again_while_it_waits_is_taken_once(bench: Bench) -> None:
    intake = bench.intake
    for _ in range(3):
        intake.renew()
        intake.take(values(1, [5]), T0)
    bench.release()
    assert bench.times(1) == [5]
