"""Specs of many thousand series → columns by id that make each again when it is asked for.

What alike series share stands here once, the rest in arrays: a fraction of what a Spec and its strings take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.keys import Keys
from pipeline.spec import Like, Product, Spec
from pipeline.spec_list import SpecList

Ids = npt.NDArray[np.int32]


class Specs:
    """What is known of each series by its id, None for ids that are not in the revision."""

    def __init__(self, specs: Iterable[Spec], ids: Mapping[str, int], factors: Sequence[str]) -> None:
        given = specs if isinstance(specs, SpecList) else SpecList(specs)
        at = np.fromiter((ids[key] for key in given.keys), np.int32, len(given))
        self._size = int(at.max(initial=-1)) + 1
        self._factors = factors
        self.keys = Keys(given.keys, at)
        self.known = np.flatnonzero(self._by_id(at, np.ones(len(at), np.int32)) >= 0).astype(np.int32)
        self.likes: list[Like] = given.likes.values
        self.like = self._by_id(at, given.likes.number)  # which of `likes` a series has
        pairs: dict[tuple[str, str], tuple[str, str]] = {}  # site, carrier and most others stand in many sets
        self._tag_sets = [tuple(pairs.setdefault(pair, pair) for pair in tags) for tags in given.tags.values]
        self._tags = self._by_id(at, given.tags.number)
        self.amount = self._by_id(at[list(given.amounts)], [ids[key] for key in given.amounts.values()])
        self.amount.setflags(write=False)
        self._places = np.zeros(self._size, np.array(max(given.places, key=len, default="")).astype("S").dtype)
        self._places[at] = [place.encode() for place in given.places]
        self.products = self._layers(given.products, at, ids)

    def _by_id(self, at: Ids, numbers: npt.ArrayLike) -> Ids:
        column = np.full(self._size, -1, np.int32)
        column[at] = numbers
        return column

    def _layers(
        self, products: Mapping[int, tuple[tuple[str, str], ...]], at: Ids, ids: Mapping[str, int]
    ) -> tuple[Product, ...]:
        names = {name: number for number, name in enumerate(self._factors)}
        layers = []
        for layer in range(max(map(len, products.values()), default=0)):
            pairs = {row: of_one[layer] for row, of_one in products.items() if len(of_one) > layer}
            sources = at[list(pairs)]
            targets, timelines = [ids[key] for key, _ in pairs.values()], [names[name] for _, name in pairs.values()]
            layers.append(Product(self._by_id(sources, targets), self._by_id(sources, timelines)))
        return tuple(layers)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, series: int) -> Spec | None:
        if not 0 <= series < self._size:
            raise IndexError(series)
        number = int(self.like[series])
        if number < 0:
            return None
        return self._spec(series, self.keys.text(series), number, int(self._tags[series]))

    def __iter__(self) -> Iterator[Spec | None]:
        keys = iter(self.keys)
        for series, (like, tags) in enumerate(zip(self.like.tolist(), self._tags.tolist(), strict=True)):
            yield self._spec(series, next(keys), like, tags) if like >= 0 else None

    def _spec(self, series: int, key: str, like: int, tags: int) -> Spec:
        amount, products, place = self._amount(series), self._products(series), self._place(series)
        return Spec(key, self._tag_sets[tags], self.likes[like], amount, products, place)

    def _place(self, series: int) -> str:
        place: bytes = self._places[series]
        return place.decode()

    def _amount(self, series: int) -> str:
        target = int(self.amount[series])
        return self.keys.text(target) if target >= 0 else ""

    def _products(self, series: int) -> tuple[tuple[str, str], ...]:
        return tuple(
            (self.keys.text(int(layer.series[series])), self._factors[int(layer.timeline[series])])
            for layer in self.products
            if layer.series[series] >= 0
        )

    def where(self, fits: Callable[[Like], bool]) -> Ids:
        """Return the ids of the series whose shared part fits, ascending."""
        return self._chosen(self.like, [fits(like) for like in self.likes])

    def tagged(self, name: str, value: str) -> Ids:
        """Return the ids of the series with a tag, ascending."""
        return self._chosen(self._tags, [(name, value) in tags for tags in self._tag_sets])

    def _chosen(self, column: Ids, fits: list[bool]) -> Ids:
        ids: Ids = self.known[np.array(fits, bool)[column[self.known]]] if len(self.known) else self.known
        return ids

    def coded(self, name: str) -> tuple[list[Any], list[int]]:
        """Return a field as (each distinct value once, which of them each series has), in the order of the ids."""
        shared: dict[str, tuple[Ids, Sequence[Any]]] = {
            "like": (self.like, self.likes),
            "tags": (self._tags, self._tag_sets),
        }
        if name in shared:
            column, values = shared[name]
            numbers, found = _first_seen(column[self.known].tolist())
            return [values[number] for number in found], numbers
        if name == "key":
            return list(self.keys), list(range(len(self.keys)))
        fields: dict[str, Callable[[int], Any]] = {
            "amount": self._amount,
            "products": self._products,
            "place": self._place,
        }
        of = fields[name]
        numbers, found = _first_seen([of(series) for series in self.known.tolist()])
        return found, numbers


def _first_seen(values: Sequence[Any]) -> tuple[list[int], list[Any]]:
    distinct: dict[Any, int] = {}
    numbers = [distinct.setdefault(value, len(distinct)) for value in values]
    return numbers, list(distinct)
