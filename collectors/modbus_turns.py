"""Units and their periods in; who is due now out, each at its own period, phases spread evenly."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence

from collectors.line_rest import MEET_S
from collectors.modbus_client import Link
from collectors.modbus_unit import Unit

# A timer may fire a little before its time; who is due this soon is due now [s].
_EARLY_S = 0.001


class Turns:
    """The schedule of a connection's units.

    Units of equal period take turns in a ring: the one that has been read goes to its end. So what a turn costs
    depends on how many periods there are, not on how many units; a ring is sorted anew only after turns were let pass.
    """

    def __init__(self, units: Sequence[Unit], start: float) -> None:
        """Spread units of equal period evenly over it, those of one link too; slow ones are met within MEET_S."""
        together: dict[float, dict[Link, list[Unit]]] = {}
        for unit in units:
            together.setdefault(unit.period_s, {}).setdefault(unit.link, []).append(unit)
        self._first_lap_s = 0.0  # when all are at their place in the regular schedule
        self._heap: list[tuple[float, float, deque[Unit]]] = []  # (when its next one is due, period, ring)
        for period_s, links in together.items():
            self._first_lap_s = max(self._first_lap_s, start + period_s)
            ring: list[Unit] = []
            for turn, mates in enumerate(links.values()):
                for place, unit in enumerate(mates):
                    phase = (place + turn / len(links)) / len(mates)
                    unit.first_slot_s = start + phase * period_s
                    unit.due_s = start + phase * min(period_s, MEET_S)
                    ring.append(unit)
            ring.sort(key=_due)
            self._heap.append((ring[0].due_s, period_s, deque(ring)))
        heapq.heapify(self._heap)

    @property
    def next_s(self) -> float:
        """When the next unit is due [s monotonic]."""
        return self._heap[0][0] if self._heap else float("inf")

    def due(self, now: float) -> Iterator[Unit]:
        """Yield all that are due, in order, each told of the cycles that were let pass; their next turns are set."""
        heap, now, in_order = self._heap, now + _EARLY_S, True
        while heap and heap[0][0] <= now:
            due_s, period_s, ring = heap[0]
            until = min([now, *(due for due, _, _ in heap[1:3])])  # when another ring has its turn
            while due_s <= until:
                unit = ring[0]
                following = due_s + period_s
                if due_s < self._first_lap_s and due_s < unit.first_slot_s:
                    following = unit.first_slot_s
                if following <= now:
                    unit.skipped()
                    following += ((now - following) // period_s + 1) * period_s
                if following < ring[-1].due_s:  # it was let pass, or met before its place
                    in_order = False  # behind those that are due now, which still stand in theirs
                unit.due_s = following
                ring.rotate(-1)
                yield unit
                due_s = ring[0].due_s
            heapq.heapreplace(heap, (due_s, period_s, ring))
        if not in_order:
            rings = [(period_s, deque(sorted(ring, key=_due))) for _, period_s, ring in heap]
            heap[:] = [(ring[0].due_s, period_s, ring) for period_s, ring in rings]
            heapq.heapify(heap)


def _due(unit: Unit) -> float:
    return unit.due_s
