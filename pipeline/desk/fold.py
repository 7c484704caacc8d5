"""What the desk knows, and a window of the log → what it knows then, and the statements that go with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import orjson

from config.notify import Maintenance, Match
from pipeline.alerts.judged import Places
from pipeline.alerts.stage import Status
from pipeline.batch import Batch, Window
from pipeline.desk.episode import Acknowledged, Episode, covers
from pipeline.desk.known import Known
from pipeline.desk.notices import NEVER, Route, due, intent, marked, next_ns, owed
from pipeline.desk.silences import Silence, maintained
from pipeline.desk.watched import Watched

logger = logging.getLogger("tanflow.desk")

Statement = tuple[str, tuple[Any, ...]]
_KEPT: Final = 100_000  # ended episodes: an alert that flaps for ever must not fill the disk
_CHECK_NS: Final = 60_000_000_000  # maintenance windows open and close on the minute


@dataclass(frozen=True)
class Fold:
    """How windows change what is known. Time is what rows, acts and ticks say: the same log gives the same result."""

    watched: Mapping[str, Watched]
    routes: Sequence[Route]
    maintenance: Sequence[Maintenance]
    zone: ZoneInfo
    tick: int

    @cached_property
    def _series(self) -> dict[int, tuple[str, int]]:
        """Series id → asset.name of its alert and which part it is: 0 state, 1 value, 2 limit, 3 excess."""
        return {
            series: (key, part)
            for key, one in self.watched.items()
            for part, series in enumerate((one.state, one.value, one.limit, one.excess))
        }

    @cached_property
    def _places(self) -> Places:
        return Places({series: series for series in (self.tick, *self._series)})

    def __call__(self, known: Known, window: Window) -> tuple[Known, list[Statement]]:
        """Return what is known after a window, and what is to be written in the commit that says so."""
        run = _Run(self, known.copy(), window.position)
        for batch in window.batches:
            run.through(batch, self._places.rows(batch), self._series)
        return run.known, run.statements


class _Run:
    """One window's way through the desk."""

    def __init__(self, fold: Fold, known: Known, position: int) -> None:
        self.fold, self.known, self.position = fold, known, position
        self.statements: list[Statement] = []
        self._fires = {e.key: e.id for e in known.open.values()}
        self._named: dict[str, int] = {}

    def through(self, batch: Batch, rows: np.ndarray, series: Mapping[int, tuple[str, int]]) -> None:
        """Take a batch's acts, alert rows and ticks in their order."""
        if act := (batch.header.note or {}).get("act"):
            self._act(act, batch.header.received_ns)
        columns = (batch.series[rows].tolist(), batch.time_ns[rows].tolist(), batch.value[rows].tolist())
        for number, at_ns, value in zip(*columns, strict=True):
            if number == self.fold.tick:
                self._time(at_ns)
                continue
            key, part = series[number]
            if part == 0:
                self._moves(key, Status(int(value)), at_ns)
            else:
                self._says(key, part, at_ns, value)

    def _name(self, base: str) -> str:
        """Return an id of this position; a second one of the same in one commit says so."""
        nth = self._named[base] = self._named.get(base, 0) + 1
        return f"{base}{self.position}" if nth == 1 else f"{base}{self.position}.{nth}"

    # ── rows ──────────────────────────────────────────────────────────────────────────────────────

    def _moves(self, key: str, status: Status, at_ns: int) -> None:
        known = self.known
        if status is Status.PENDING:
            known.before[key] = (None, None, None)
        elif status is Status.FIRING and key not in self._fires:
            self._fire(self.fold.watched[key], at_ns, known.before.pop(key, (None, None, None)))
        elif status is Status.CLEAR:
            known.before.pop(key, None)
            if key in self._fires:
                self._end(known.open[self._fires[key]], at_ns)

    def _fire(self, one: Watched, at_ns: int, before: Sequence[float | None]) -> None:
        value, limit, excess = before
        episode = Episode(
            self._name(f"{one.key}@"), one.asset, one.area, one.name, one.kind, one.severity, one.unit, at_ns,
            value=value, limit=limit, worst=value,
        )  # fmt: skip
        if excess is not None:
            episode = episode.wasting(excess, at_ns, one.fresh_ns)
        self._fires[one.key] = episode.id
        self.known.open[episode.id] = episode
        self.known.next_ns = 0

    def _says(self, key: str, part: int, at_ns: int, value: float) -> None:
        """Take a value, limit or excess; of an alert that neither fires nor is about to it means nothing."""
        known = self.known
        if key in known.before:
            latest = [*known.before[key]]
            latest[part - 1] = value
            known.before[key] = tuple(latest)
        elif key in self._fires:
            episode = known.open[self._fires[key]]
            if part == 1:
                episode = episode.valued(value)
            elif part == 2:
                episode = replace(episode, limit=value)
            else:
                episode = episode.wasting(value, at_ns, self.fold.watched[key].fresh_ns)
            known.open[episode.id] = episode

    def _end(self, episode: Episode, at_ns: int, why: str = "") -> None:
        over = episode.ended(at_ns, why)
        del self.known.open[over.id]
        del self._fires[over.key]
        if self.known.told.get(over.id):
            self.known.over[over.id] = over
            self.known.next_ns = 0
        row = (over.id, over.asset, over.name, over.fired_ns, over.ended_ns, orjson.dumps(over).decode())
        self.statements += [
            ("INSERT INTO episodes (id, asset, name, fired_ns, ended_ns, about) VALUES (?, ?, ?, ?, ?, ?)", row),
            ("DELETE FROM episodes WHERE number <= (SELECT max(number) FROM episodes) - ?", (_KEPT,)),
        ]

    # ── acts ──────────────────────────────────────────────────────────────────────────────────────

    def _act(self, act: Mapping[str, Any], at_ns: int) -> None:
        """Take what a person did; what is not understood has no effect."""
        try:
            self._do(act["what"], act["about"], str(act["user"]), at_ns)
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("an act at log position %d has no effect: %r", self.position, error)
        self.known.next_ns = 0
        self._time(at_ns)

    def _do(self, what: str, about: Mapping[str, Any], by: str, at_ns: int) -> None:
        known = self.known
        if what == "acknowledge" and (episode := known.open.get(about["id"])):
            known.open[episode.id] = replace(episode, acknowledged=Acknowledged(by, at_ns, about.get("note", "")))
        elif what == "silence":
            match, until_ns = Match.model_validate(about["match"]), int(about["until_ns"])
            silence = Silence(self._name("s"), match, at_ns, until_ns, about.get("why", ""), by)
            known.silences[silence.id] = silence
        elif what == "unsilence":
            known.silences.pop(about["id"], None)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────

    def _time(self, at_ns: int) -> None:
        """Look at everything that may be due by now."""
        known = self.known
        known.now_ns = now = max(known.now_ns, at_ns)
        if now < known.next_ns:
            return
        known.silences = {i: s for i, s in known.silences.items() if s.until_ns > now and not i.startswith("m")}
        known.silences |= maintained(self.fold.maintenance, self.fold.zone, now)
        for episode in [e for e in known.open.values() if e.key not in self.fold.watched]:
            self._end(episode, now, "removed")
        known.before = {key: v for key, v in known.before.items() if key in self.fold.watched}
        for episode in list(known.over.values()):
            self._tell_end(episode)
        for episode in list(known.open.values()):
            self._look_at(episode)
        known.told = {i: t for i, t in known.told.items() if i in known.open or i in known.over}
        known.next_ns = self._next()

    def _look_at(self, episode: Episode) -> None:
        known, now = self.known, self.known.now_ns
        by = self._silence_of(episode)
        if by != episode.silenced_by:
            episode = known.open[episode.id] = replace(episode, silenced_by=by)
        told = known.told.get(episode.id, {})
        for one in due(self.fold.routes, episode, told, now) if not by else ():
            self._tell(one.channel, one.what, episode)
            told = marked(told, one, now)
        if told:
            known.told[episode.id] = told

    def _tell_end(self, episode: Episode) -> None:
        """Tell that an episode is over, once no silence keeps it."""
        if not self._silence_of(episode):
            for channel in owed(self.fold.routes, episode, self.known.told.get(episode.id, {})):
                self._tell(channel, "resolved", episode)
            del self.known.over[episode.id]

    def _silence_of(self, episode: Episode) -> str:
        return next((s.id for s in self.known.silences.values() if covers(s.match, episode)), "")

    def _tell(self, channel: str, what: Any, episode: Episode) -> None:
        one = self.fold.watched.get(episode.key)
        self.statements.append(intent(channel, what, episode, one.advice if one else "", self.known.now_ns))

    def _next(self) -> int:
        """Return when there is something to look at again."""
        known, fold = self.known, self.fold
        times = [s.until_ns for s in known.silences.values()]
        if fold.maintenance:
            times.append(known.now_ns + _CHECK_NS - known.now_ns % _CHECK_NS)
        heard = (e for e in known.open.values() if not e.silenced_by)
        times += [next_ns(fold.routes, episode, known.told.get(episode.id, {})) for episode in heard]
        return min(times, default=NEVER)
