"""State ↔ bytes: whatever is put in comes out, and only the series it is of are touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from config.errors import GatewayError
from pipeline import snapshot
from pipeline.meter import MeterState
from tests.pipeline.journal import assert_same_state

SIZE = 12
times, values = hnp.arrays(np.int64, SIZE), hnp.arrays(np.float64, SIZE)


@given(
    st.builds(MeterState, times, values, times, values),
    st.sets(st.integers(0, SIZE - 1)),
    st.lists(st.binary(max_size=20), max_size=5),
)
def test_state_and_tokens_come_back(state: MeterState, ids: set[int], tokens: list[bytes]) -> None:
    series = np.array(sorted(ids), np.int32)
    restored = MeterState.fresh(SIZE)
    assert snapshot.decode(snapshot.encode(state, series, tokens), restored) == tokens
    expected = MeterState.fresh(SIZE)
    for mine, its in zip(expected.columns, state.columns, strict=True):
        mine[series] = its[series]
    assert_same_state(restored, expected)


def test_the_state_may_go_on_after_it_was_restored() -> None:
    """What was read from bytes is not tied to them."""
    data = snapshot.encode(MeterState.fresh(3), np.arange(3, dtype=np.int32), [])
    restored = MeterState.fresh(3)
    snapshot.decode(data, restored)
    restored.value[1] = 5.0
    assert restored.value.tolist()[1] == 5.0


def test_a_snapshot_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FORMAT", 2)
    data = snapshot.encode(MeterState.fresh(1), np.zeros(1, np.int32), [])
    monkeypatch.undo()
    with pytest.raises(GatewayError, match="format 2"):
        snapshot.decode(data, MeterState.fresh(1))
