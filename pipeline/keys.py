"""Keys of many thousand series and their ids → a mapping in arrays: each takes 16 bytes and its text, no objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.spec_list import Texts


class Keys(Mapping[str, int]):
    """Key → id, and back by `text`; in the order of the ids. A key is found by its hash among the sorted ones."""

    def __init__(self, keys: Sequence[str] | Texts, ids: npt.NDArray[np.int32]) -> None:
        order = np.argsort(ids)
        self._ids = ids[order]
        self._text = Texts(keys[i] for i in order.tolist())
        hashes = np.fromiter(map(_hash, self._text), np.uint32, len(self._text))
        self._by_hash = np.argsort(hashes, kind="stable").astype(np.int32)
        self._hashes = hashes[self._by_hash]

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._text)

    def __getitem__(self, key: str) -> int:
        wanted = _hash(key)
        at = int(self._hashes.searchsorted(np.uint32(wanted)))
        while at < len(self._hashes) and self._hashes[at] == wanted:
            place = int(self._by_hash[at])
            if self._text[place] == key:
                return int(self._ids[place])
            at += 1
        raise KeyError(key)

    def text(self, number: int) -> str:
        """Return the key of an id; raises KeyError for one that has none."""
        place = int(self._ids.searchsorted(np.int32(number)))  # of another type all would be converted, each time
        if place == len(self._ids) or self._ids[place] != number:
            raise KeyError(number)
        return self._text[place]


def _hash(key: object) -> int:
    """Return as much of a key's hash as tells nearly all keys of a plant apart."""
    return hash(key) & 0xFFFFFFFF
