"""Clocks of devices against the gateway's own: what no clock that is right can say is doubted, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import quality as q
from pipeline.batch import Batch
from pipeline.meter import MeterState, fold
from pipeline.normalise import doubt_clocks
from tests.pipeline.tables import HEADER, HOUR, SECOND, START, meter_table, readings

YEAR = 365 * 24 * HOUR
NOW = START + 8 * YEAR


def received(batch: Batch, at_ns: int) -> Batch:
    return replace(batch, header=replace(HEADER, received_ns=at_ns))


def stamped(times_ns: list[int], received_ns: int, quality: int = 0) -> Batch:
    batch = readings([0] * len(times_ns), [1.0] * len(times_ns), quality=quality)
    return received(replace(batch, time_ns=np.array(times_ns, np.int64)), received_ns)


times = st.integers(0, 2**62)


@given(times_ns=st.lists(times, max_size=20), received_ns=times, quality=st.sampled_from([0, q.UNCERTAIN, q.BAD]))
def test_a_row_is_doubted_for_its_own_distance_from_the_receipt_only(
    times_ns: list[int], received_ns: int, quality: int
) -> None:
    doubted = doubt_clocks(stamped(times_ns, received_ns, quality))
    for time_ns, found in zip(times_ns, doubted.quality.tolist(), strict=True):
        if received_ns - 3_652 * 24 * HOUR <= time_ns <= received_ns + HOUR:
            assert found == quality
        else:
            assert found == q.CLOCK | max(quality, q.UNCERTAIN)
    assert doubted.time_ns.tolist() == times_ns  # what a device said stays as it said it


@given(times_ns=st.lists(times, max_size=20), received_ns=times, cut=st.integers(0, 20))
def test_how_rows_are_split_into_batches_changes_nothing(times_ns: list[int], received_ns: int, cut: int) -> None:
    parts = [doubt_clocks(stamped(part, received_ns)) for part in (times_ns[:cut], times_ns[cut:])]
    whole = doubt_clocks(stamped(times_ns, received_ns))
    assert np.concatenate([p.quality for p in parts]).tolist() == whole.quality.tolist()


@pytest.mark.parametrize("since_1970_s", [1, 946_684_800, 315_532_800], ids=["1970", "2000", "1980"])
def test_a_reading_of_a_clock_that_was_never_set_is_no_base(since_1970_s: int) -> None:
    """48,000 kWh would be plausible for 100 kW over 56 years; they were used before the first reading that counts."""
    table = meter_table(max_rate=100.0)
    state, amounts = MeterState.fresh(len(table)), []
    rows = [(since_1970_s * SECOND, 1_000.0), (NOW, 49_000.0), (NOW + HOUR, 49_080.0)]
    for time_ns, value in rows:
        batch = replace(stamped([time_ns], max(time_ns, NOW)), value=np.array([value]))
        folded = fold(table, state, doubt_clocks(batch))
        state = folded.state
        amounts += list(zip(folded.amounts.value.tolist(), folded.amounts.span_ns.tolist(), strict=True))
    assert amounts == [(80.0, HOUR)]


def test_what_was_recorded_years_ago_stays_as_it_is_with_the_clock_of_then() -> None:
    batch = received(readings([0, 60, 120], [1.0, 2.0, 3.0]), START + 120 * SECOND)
    assert doubt_clocks(batch) is batch
    assert doubt_clocks(received(batch, NOW)).quality.tolist() == [0, 0, 0]  # nor is history of eight years doubted
