"""Rows of the log → the figures of all windows that are over: one stage for every KPI of the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline import quality as q
from pipeline.accumulate import Sums, add, cut, edges_of
from pipeline.batch import WINDOW, Batch, Header, empty, make
from pipeline.calendar import Calendar
from pipeline.computed import Held, Ints, Pieces
from pipeline.consume import State
from pipeline.figures import Group, Kpi, Row, digest
from pipeline.pieces import Signals

Window = dict[str, Any]  # {"end", "told": tick at which it was last told, and the columns of Sums}


@dataclass(frozen=True)
class Windows:
    """All figures over windows. A window closes when the latest tick has passed its end by the grace.

    completeness = least share of the window that any input covers. A figure that cannot be computed (a division by
    zero, an input that never came) has no row, only its completeness. Closed windows are kept for a while: what
    comes late re-opens one, and its rows are told again on the same series and time, at most once each grace; what
    comes later still is counted. A definition that is new or changed begins with the first window after it.

    State: {"of": digest of all definitions, "seen": latest tick, "late": what came after all or lies across absurdly
    many windows, "kpis": {digest: first start it tells}, "levels", "held": last samples, "groups": {name:
    {"signals", "windows": {start: Window}}}}; arrays, which are lists where it comes from JSON.
    """

    kpis: Sequence[Kpi]
    ids: Mapping[str, int]  # of all series the plans name
    tick: int
    name: str = "windows"
    stratum: Final = WINDOW  # type: ignore[misc]

    @cached_property
    def groups(self) -> list[Group]:
        found: dict[tuple[Calendar, int, int], list[Kpi]] = {}
        for kpi in self.kpis:
            found.setdefault((kpi.calendar, kpi.grace_ns, kpi.keep_ns), []).append(kpi)
        return [Group(*rules, kpis) for rules, kpis in found.items()]

    @cached_property
    def signals(self) -> Signals:
        every = dict.fromkeys(signal for group in self.groups for signal in group.signals)
        return Signals(list(every), list(self.ids.values()), list(self.ids))

    @cached_property
    def _digest(self) -> str:
        return digest(" ".join(d for group in self.groups for d in (group.name, *group.digests)))

    @cached_property
    def _slots(self) -> list[Ints]:
        """The slot of each of the stage's signals in each group, −1 for none."""
        place = {signal: n for n, signal in enumerate(self.signals.order)}
        found = []
        for group in self.groups:
            slots = np.full(len(place), -1, np.int64)
            slots[[place[s] for s in group.signals]] = np.arange(len(group.signals))
            found.append(slots)
        return found

    def fold(self, state: State, batch: Batch, header: Header) -> tuple[State, Batch]:
        """Add a batch to its windows and return the rows of those that are over, or over once more."""
        ticks = batch.time_ns[batch.series == self.tick]
        if not len(ticks) and not self.signals.concerns(batch.series):
            return state, empty(header)
        if state.get("of") != self._digest:
            state = self._taken_over(state)
        held = Held.copied(state["held"])
        pieces, late = self.signals.pieces(batch, held)
        seen = int(max(state["seen"], *ticks.tolist())) if len(ticks) else state["seen"]
        groups, told = {}, _Told()
        for group, slots in zip(self.groups, self._slots, strict=True):
            known = state["groups"][group.name]
            windows: dict[str, Window] = dict(known["windows"])
            late += self._add(group, windows, pieces, slots, state["seen"])
            if len(ticks):
                since = np.array([state["kpis"][d] for d in group.digests], np.int64)
                _open(group, windows, seen)
                _close(group, windows, seen, since, told)
            groups[group.name] = known | {"windows": windows}
        changed = {"seen": seen, "late": state["late"] + late, "held": held._asdict(), "groups": groups}
        return state | changed, told.batch(header)

    def _add(self, group: Group, windows: dict[str, Window], pieces: Pieces, slots: Ints, seen: int) -> int:
        """Add pieces to the windows of a group; return how many came too late or lie across absurdly many."""
        pieces = pieces.take(slots[pieces.signal] >= 0)
        absurd = pieces.end - pieces.start > group.calendar.longest_ns
        late, pieces = int(absurd.sum()), pieces.take(~absurd)
        if not len(pieces.signal):
            return late
        starts, ends = edges = edges_of(group.calendar, pieces)
        parts = cut(pieces, edges, self.signals.amounts)
        for number in np.unique(parts.window):
            mine = parts.take(parts.window == number)
            key, end = str(starts[number]), int(ends[number])
            if end + group.keep_ns <= seen and key not in windows:
                late += len(mine.signal)
                continue
            window = windows.get(key) or _fresh(group, end)
            sums = Sums.copied(window)
            add(sums, mine._replace(signal=slots[mine.signal]))
            windows[key] = window | sums._asdict()
        return late

    def _taken_over(self, state: State) -> State:
        """Return the state with what these definitions can go on with of what others left."""
        seen = state.get("seen", 0)
        known = state.get("kpis", {})
        return {
            "of": self._digest,
            "seen": seen,
            "late": state.get("late", 0),
            "kpis": {d: known.get(d, seen) for group in self.groups for d in group.digests},
            "levels": [level.key for level in self.signals.levels],
            "held": self._held(state)._asdict(),
            "groups": {g.name: _group(g, state.get("groups", {}).get(g.name)) for g in self.groups},
        }

    def _held(self, state: State) -> Held:
        levels = [level.key for level in self.signals.levels]
        held = Held.fresh(len(levels), self.signals.computed)
        if "held" in state:
            was, place = Held.copied(state["held"]), {key: n for n, key in enumerate(state["levels"])}
            for n, key in enumerate(levels):
                if (before := place.get(key)) is not None:
                    held.time[n], held.value[n], held.quality[n] = (c[before] for c in was[:3])
        return held


def _fresh(group: Group, end: int) -> Window:
    return {"end": end, "told": 0} | Sums.fresh(len(group.signals))._asdict()


def _group(group: Group, was: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a group's state: the windows it had, their columns in the order of the signals it has now."""
    here = group.signal_digests
    if was is None or was["signals"] == here:
        return {"signals": here, "windows": was["windows"] if was else {}}
    place = {signal: n for n, signal in enumerate(here)}
    places = np.array([place.get(signal, -1) for signal in was["signals"]], np.int64)
    moved = {k: w | Sums.copied(w).placed(places, len(here))._asdict() for k, w in was["windows"].items()}
    return {"signals": here, "windows": moved}


class _Told:
    """Collects the rows of windows."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self.spans: list[int] = []
        self.rows: list[Row] = []

    def add(self, start: int, end: int, rows: list[Row]) -> None:
        self.rows += rows
        self.times += [end] * len(rows)
        self.spans += [end - start] * len(rows)

    def batch(self, header: Header) -> Batch:
        if not self.rows:
            return empty(header)
        series, values, qualities = zip(*self.rows, strict=True)
        return make(header, self.times, series, values, qualities, self.spans)


def _open(group: Group, windows: dict[str, Window], tick: int) -> None:
    """Open the window a tick lies in: one in which the gateway ran and nothing came is told as empty."""
    around = group.calendar.around(tick)
    if around is not None and str(around[0]) not in windows:
        windows[str(around[0])] = _fresh(group, around[1])


def _close(group: Group, windows: dict[str, Window], tick: int, since: Ints, told: _Told) -> None:
    """Tell every window that is over, or was touched since it was told, and forget those no longer kept.

    Rows of a window older than the newest told are late: what shows the latest value keeps the newer one.
    """
    newest = max((w["end"] for w in windows.values() if w["told"]), default=0)
    for key in sorted((k for k, w in windows.items() if w["end"] <= tick - group.grace_ns), key=int):
        window, start = windows[key], int(key)
        touched = np.asarray(window["touched"], bool)
        wanted: npt.NDArray[np.bool_] | None = None
        if not window["told"]:
            wanted = np.ones(len(group.kpis), bool)
        elif touched.any() and tick >= window["told"] + group.grace_ns:
            wanted = group.concerned(touched)
        if wanted is not None:
            rows = group.rows(Sums.copied(window), window["end"] - start, wanted & (since <= start))
            late = q.LATE if window["end"] < newest else 0
            told.add(start, window["end"], [row._replace(quality=row.quality | late) for row in rows])
            windows[key] = window | {"told": tick, "touched": np.zeros(len(touched), bool)}
        if window["end"] + group.keep_ns <= tick:
            del windows[key]
