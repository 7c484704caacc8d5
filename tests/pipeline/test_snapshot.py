"""State ↔ bytes: whatever is put in comes out, and only the series it is of are touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from config.errors import GatewayError
from pipeline import snapshot
from pipeline.batch import Times
from pipeline.meter import NEVER, MeterState
from tests.pipeline.journal import assert_same_state

SIZE = 12
times, values = hnp.arrays(np.int64, SIZE), hnp.arrays(np.float64, SIZE)


@given(
    st.builds(MeterState, times, values, times, values),
    times,
    st.sets(st.integers(0, SIZE - 1)),
    st.lists(st.binary(max_size=20), max_size=5),
)
def test_state_and_tokens_come_back(state: MeterState, newest: Times, ids: set[int], tokens: list[bytes]) -> None:
    series = np.array(sorted(ids), np.int32)
    restored = MeterState.fresh(SIZE)
    known = restored.time_ns.copy()
    assert snapshot.decode(snapshot.encode(state, newest, series, tokens), restored, known) == tokens
    expected = MeterState.fresh(SIZE)
    for mine, its in zip(expected.columns, state.columns, strict=True):
        mine[series] = its[series]
    assert_same_state(restored, expected)
    assert known[series].tolist() == newest[series].tolist()
    assert (np.delete(known, series) == NEVER).all()


def test_the_state_may_go_on_after_it_was_restored() -> None:
    """What was read from bytes is not tied to them."""
    data = snapshot.encode(MeterState.fresh(3), np.arange(3), np.arange(3, dtype=np.int32), [])
    restored, known = MeterState.fresh(3), np.zeros(3, np.int64)
    snapshot.decode(data, restored, known)
    known[1] = 5
    restored.value[1] = 5.0
    assert restored.value.tolist()[1] == 5.0


def test_a_snapshot_of_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "FORMAT", 2)
    data = snapshot.encode(MeterState.fresh(1), np.zeros(1, np.int64), np.zeros(1, np.int32), [])
    monkeypatch.undo()
    with pytest.raises(GatewayError, match="format 2"):
        snapshot.decode(data, MeterState.fresh(1), np.zeros(1, np.int64))


# The snapshot of an earlier version: three series of five (ids 0, 2, 4), no times of their newest rows in it.
EARLIER = bytes.fromhex(
    "28b52ffd249a8d0300b24515229029e9f3bbbbbbbbbb4f24aba51208b49d0058983b2dc021f6b1632ea58da8bfc5142ffeff"
    "8bbf0887c34701a4a84cf8c1ff03fee55f40613425221da9f290e8e2b445d263b91ac369932c565338750d085baa930b0040"
    "6030301818cc0017550603d9415ad0468a10856b4201e0bf4362"
)


def test_a_snapshot_of_an_earlier_version_knows_what_was_folded_last() -> None:
    restored, known = MeterState.fresh(5), np.full(5, NEVER)
    assert snapshot.decode(EARLIER, restored, known) == [b"token"]
    assert restored.time_ns.tolist() == known.tolist() == [10, NEVER, 20, NEVER, 30]
    assert restored.value[[0, 2, 4]].tolist() == [1.0, 2.0, 3.0]
