"""A gateway that ends is started again, as its service manager does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.plant import Plant, in_thread
from tests.waiting import until_sync

_RESTART_S: Final = 0.5
_DEADLINE_S: Final = 300.0


class KeptUp:
    """Starts the plant's gateway whenever it is not running; `ended` are the codes it ended with."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.ended: list[int] = []
        self._starting = threading.Lock()

    def __call__(self, stop: threading.Event) -> None:
        self.plant.start()
        while not stop.wait(_RESTART_S):
            with self._starting:
                if self.plant.process is not None and (code := self.plant.process.poll()) is not None:
                    self.ended.append(code)
                    self.plant.start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """End the gateway with signal 9, and start it again when the block is left: nobody may use its disk in it."""
        with self._starting:
            self.plant.kill()
            yield
            self.plant.start()

    def ends(self, before: int) -> None:
        """Return when it has ended more often than before."""
        until_sync(lambda: len(self.ended) > before, _DEADLINE_S, "the gateway has ended")

    def accepts(self, since: float) -> float:
        """Return how long after `since` [monotonic s] a new reading is accepted, whichever gateway it is."""
        self.plant.witness.look()
        before = self.plant.witness.inputs
        until_sync(lambda: self.plant.witness.inputs > before, _DEADLINE_S, "readings are accepted")
        return time.monotonic() - since


@contextmanager
def kept_up(plant: Plant) -> Iterator[KeptUp]:
    """Keep the plant's gateway up until the block is left; it still runs then."""
    keeper = KeptUp(plant)
    with in_thread(keeper):
        yield keeper
