"""Keys and specs kept in columns answer as a dictionary and a list of them would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.keys import Keys
from pipeline.specs import Specs
from tests.pipeline.tables import spec

NUMBERED = st.dictionaries(st.text(min_size=1, max_size=20), st.integers(0, 2**31 - 2), max_size=40).filter(
    lambda ids: len(set(ids.values())) == len(ids)
)


@given(NUMBERED, st.text(max_size=20))
def test_keys_are_found_as_in_a_dictionary(ids: dict[str, int], other: str) -> None:
    keys = Keys(list(ids), np.array(list(ids.values()), np.int32))
    assert keys == ids
    assert list(keys.values()) == sorted(ids.values())
    assert all(keys.text(number) == key for key, number in ids.items())
    assert keys.get(other) == ids.get(other)


def test_keys_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.keys.hash", lambda _: 7, raising=False)
    keys = Keys(["a", "b", "c"], np.array([4, 0, 9], np.int32))
    assert (keys["a"], keys["b"], keys["c"], keys.get("d")) == (4, 0, 9, None)
    with pytest.raises(KeyError):
        keys.text(5)


def test_specs_come_back_as_they_were_given() -> None:
    given_ = [
        spec("压缩机.e.energy", amount="压缩机.e.co2e", products=(("压缩机.e.co2e", "grid"), ("b.p.power", "heat"))),
        spec("压缩机.e.co2e"),
        spec("b.p.power", products=(("压缩机.e.co2e", "grid"),)),
    ]
    ids = {"压缩机.e.energy": 6, "压缩机.e.co2e": 2, "b.p.power": 3}
    specs = Specs(given_, ids, ("heat", "grid"))
    assert [specs[ids[s.key]] for s in given_] == given_
    assert list(specs) == [None, None, given_[1], given_[2], None, None, given_[0]]
    assert specs.tagged("asset", "压缩机").tolist() == [2, 6]
    assert specs.where(lambda like: like.quantity == "power").tolist() == [3]
    assert specs.coded("key")[0] == ["压缩机.e.co2e", "b.p.power", "压缩机.e.energy"]
