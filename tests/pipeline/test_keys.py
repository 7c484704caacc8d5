"""Keys and specs kept in columns answer as a dictionary and a list of them would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.keys import Keys
from pipeline.spec import Spec
from pipeline.spec_list import SpecList
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
    monkeypatch.setattr("pipeline.keys._hash", lambda _: 7)
    keys = Keys(["a", "b", "c"], np.array([4, 0, 9], np.int32))
    assert (keys["a"], keys["b"], keys["c"], keys.get("d")) == (4, 0, 9, None)
    with pytest.raises(KeyError):
        keys.text(5)


GIVEN = [
    spec("压缩机.e.energy", amount="压缩机.e.co2e", products=(("压缩机.e.co2e", "grid"), ("b.p.power", "heat"))),
    spec("压缩机.e.co2e"),
    spec("b.p.power", products=(("压缩机.e.co2e", "grid"),)),
]


def test_a_list_of_specs_gives_back_what_was_added_each_time_it_is_read() -> None:
    specs = SpecList(GIVEN[:1])
    specs += (replace(one, place=f"{n}@码头") for n, one in enumerate(GIVEN[1:]))
    specs += replicas()
    wanted = [GIVEN[0], *(replace(one, place=f"{n}@码头") for n, one in enumerate(GIVEN[1:])), *replicas()]
    assert len(specs) == len(wanted)
    assert [list(specs), list(specs)] == [wanted, wanted]
    assert len(specs.likes.values) == 3 + 2  # of replicas, every other is like the one before


def replicas() -> Iterator[Spec]:
    """Yield more specs than a list takes at once; what is alike is equal but never the same object."""
    for n in range(1_203):
        like = replace(GIVEN[2].like, low=float(n % 2))
        yield Spec(f"c.p{n}.power", (("asset", f"c{n % 7}"),), like)


def test_specs_come_back_as_they_were_given() -> None:
    given_ = GIVEN
    ids = {"压缩机.e.energy": 6, "压缩机.e.co2e": 2, "b.p.power": 3}
    specs = Specs(given_, ids, ("heat", "grid"))
    assert [specs[ids[s.key]] for s in given_] == given_
    assert list(specs) == [None, None, given_[1], given_[2], None, None, given_[0]]
    assert specs.tagged("asset", "压缩机").tolist() == [2, 6]
    assert specs.where(lambda like: like.quantity == "power").tolist() == [3]
    assert specs.coded("key")[0] == ["压缩机.e.co2e", "b.p.power", "压缩机.e.energy"]


def test_a_key_takes_16_bytes_and_its_text() -> None:
    names = [f"asset-{n:05}.power.power" for n in range(1_000)]
    keys = Keys(names, np.arange(1_000, dtype=np.int32))
    arrays = [value for value in vars(keys).values() if isinstance(value, np.ndarray)]
    ends = keys._text._ends
    assert sum(a.nbytes for a in arrays) + (len(ends) - 1) * ends.itemsize == 16 * len(names)
    assert len(keys._text._bytes) == sum(map(len, names))


def test_what_stands_in_many_sets_of_tags_is_kept_once() -> None:
    names = [f"m{n}" for n in range(3)]
    given_ = [Spec(f"{name}.p.power", (("asset", name), ("site", "码" + "头")), GIVEN[0].like) for name in names]
    alone = [replace(one, tags=tuple((key, "".join(value)) for key, value in one.tags)) for one in given_]
    specs = Specs(alone, {one.key: number for number, one in enumerate(alone)}, ())
    found = [one.tags for one in specs if one]
    assert found == [one.tags for one in given_]
    assert len({id(pair) for tags in found for pair in tags}) == len(names) + 1
