"""Specs as they are compiled → columns that make each again: many thousand series take a fraction of the room.

Where objects had been, holes would stay between all that is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, Final, Self

from pipeline.spec import Like, Spec

_AT_ONCE: Final = 500  # specs that stand in memory as objects


class Texts:
    """Texts one after the other in one buffer."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._bytes = bytearray()
        self._ends = array("I", [0])
        self.extend(texts)

    def extend(self, texts: Iterable[str]) -> None:
        """Add texts."""
        texts = iter(texts)
        while part := [text.encode() for text in islice(texts, _AT_ONCE)]:
            self._ends.extend(islice(accumulate(map(len, part), initial=len(self._bytes)), 1, None))
            self._bytes += b"".join(part)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[str]:
        begin = 0
        for end in self._ends[1:]:
            yield self._bytes[begin:end].decode()
            begin = end

    def __getitem__(self, at: int) -> str:
        """Return the text at a place, which is one of 0 … len − 1."""
        return self._bytes[self._ends[at] : self._ends[at + 1]].decode()


class Shared:
    """Values of which many are equal: each is kept once, and which of them a place has."""

    def __init__(self) -> None:
        self.number = array("i")
        self._distinct: dict[Any, int] = {}
        self._kept: dict[int, int] = {}  # by the id of what is kept: the same object is looked at once

    @property
    def values(self) -> list[Any]:
        """Return each distinct value, in the order of their numbers."""
        return list(self._distinct)

    def extend(self, values: Sequence[Any]) -> None:
        """Add values."""
        numbers = list(map(self._kept.get, map(id, values)))
        self.number.extend(self._number(v) if n is None else n for v, n in zip(values, numbers, strict=True))

    def _number(self, value: Any) -> int:
        known = len(self._distinct)
        number = self._distinct.setdefault(value, known)
        if number == known:
            self._kept[id(value)] = number
        return number


class SpecList:
    """Specs in their order; read again and again, each time as new objects."""

    def __init__(self, specs: Iterable[Spec] = ()) -> None:
        self.keys, self.places = Texts(), Texts()
        self.likes, self.tags = Shared(), Shared()
        self.amounts: dict[int, str] = {}  # by the place in the list, where there is one
        self.products: dict[int, tuple[tuple[str, str], ...]] = {}
        self += specs

    def __iadd__(self, specs: Iterable[Spec]) -> Self:
        specs = iter(specs)
        while part := list(islice(specs, _AT_ONCE)):
            begin = len(self)
            self.amounts.update((row, spec.amount) for row, spec in enumerate(part, begin) if spec.amount)
            self.products.update((row, spec.products) for row, spec in enumerate(part, begin) if spec.products)
            self.likes.extend([spec.like for spec in part])
            self.tags.extend([spec.tags for spec in part])
            self.places.extend(spec.place for spec in part)
            self.keys.extend(spec.key for spec in part)
        return self

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Spec]:
        likes: list[Like] = self.likes.values
        tags: list[tuple[tuple[str, str], ...]] = self.tags.values
        columns = zip(self.keys, self.tags.number, self.likes.number, self.places, strict=True)
        for row, (key, tag_set, like, place) in enumerate(columns):
            yield Spec(key, tags[tag_set], likes[like], self.amounts.get(row, ""), self.products.get(row, ()), place)
