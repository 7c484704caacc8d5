"""How often something may be tried: a number of times at once, then one more each so many seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_KEPT: Final = 1_000  # names someone may make up


@dataclass(slots=True)
class Limit:
    """`burst` tries at once, one more each `each_s`."""

    burst: int
    each_s: float
    now_s: Callable[[], float]
    _free_s: float = float("-inf")  # when all tries would be free again

    def wait_s(self, tries: int = 1) -> float:
        """Return how long until so many tries are free, 0 when they are."""
        return max(0.0, self._free_s - self.now_s() - (self.burst - tries) * self.each_s)

    def take(self, tries: int = 1) -> None:
        """Count tries."""
        self._free_s = max(self._free_s, self.now_s()) + tries * self.each_s

    def give_back(self) -> None:
        """Do not count the last try."""
        self._free_s -= self.each_s


@dataclass(slots=True)
class Limits:
    """A limit for each name; of many names those tried longest ago are forgotten."""

    burst: int
    each_s: float
    now_s: Callable[[], float]
    _by_name: OrderedDict[str, Limit] = field(default_factory=OrderedDict)

    def of(self, name: str) -> Limit:
        """Return the limit of a name."""
        if name not in self._by_name:
            self._by_name[name] = Limit(self.burst, self.each_s, self.now_s)
        self._by_name.move_to_end(name)
        while len(self._by_name) > _KEPT:
            self._by_name.popitem(last=False)
        return self._by_name[name]
