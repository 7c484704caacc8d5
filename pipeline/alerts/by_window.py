"""Rows of figures → one judgement for each window of an alert, made of all it watches there: what kinds share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from pipeline.alerts.judged import Judged, Watchers
from pipeline.batch import Batch
from pipeline.consume import State


class Verdict(NamedTuple):
    """Truth of a window, with value and limit [unit of the figure] and excess [kW], NaN: not known."""

    truth: int
    value: float
    limit: float
    excess: float


class Told(NamedTuple):
    """What is known of one window: its end and length [ns], the value of each part, and all bits of their quality."""

    end: int
    span: int
    parts: Mapping[str, float]
    quality: int = 0


class Rule(Protocol):
    """One alert: its number and key, the series of its parts, and how it judges once it has them all.

    `of` tells its definition: what was learned under another one is forgotten.
    """

    @property
    def alert(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def of(self) -> str: ...
    @property
    def parts(self) -> Mapping[str, int]: ...

    def judge(self, learned: State, told: Told) -> tuple[State, Verdict | None]: ...


@dataclass(frozen=True)
class ByWindow:
    """All alerts of a kind that judges whole windows. A bad value is none; a window told again (late data) is judged
    again while it is the newest. State: {key of an alert: {"of", "at": end, "parts", "quality", "learned": its
    kind's own}}.
    """

    rules: Sequence[Rule]

    @cached_property
    def _watched(self) -> Watchers[tuple[int, str]]:
        """Series → which rules it is a part of, and of what name."""
        rules = enumerate(self.rules)
        return Watchers((series, (number, name)) for number, rule in rules for name, series in rule.parts.items())

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        rows = self._watched.good(batch)
        if not len(rows):
            return state, None
        after, told = dict(state), []
        for number, row, window in self._windows(batch.take(rows), rows.tolist()):
            rule = self.rules[number]
            before: Mapping[str, Any] = after.get(rule.key, {})
            if before.get("of") != rule.of:
                before = {"of": rule.of, "at": 0, "parts": {}, "quality": 0, "learned": {}}
            if window.end < before["at"]:
                continue
            if window.end == before["at"]:
                parts = {**before["parts"], **window.parts}
                window = window._replace(parts=parts, quality=window.quality | before["quality"])
            learned, verdict = before["learned"], None
            if len(window.parts) == len(rule.parts):
                learned, verdict = rule.judge(learned, window)
            known = {"at": window.end, "parts": window.parts, "quality": window.quality}
            after[rule.key] = {"of": rule.of, **known, "learned": learned}
            told += [(rule.alert, row, window.end, *verdict)] if verdict else []
        return after, Judged.of(told)

    def _windows(self, batch: Batch, rows: Sequence[int]) -> Iterator[tuple[int, int, Told]]:
        """Yield the windows a batch tells of each rule, a rule's own in the order of time, with their last row."""
        found: dict[tuple[int, int], tuple[int, Told]] = {}
        columns = (batch.series, batch.time_ns, batch.span_ns, batch.value, batch.quality)
        for row, series, end, span, value, bits in zip(rows, *(c.tolist() for c in columns), strict=True):
            for number, name in self._watched[series]:
                _, known = found.get((number, end), (0, Told(end, span, {})))
                known = known._replace(parts={**known.parts, name: value}, quality=known.quality | bits)
                found[number, end] = row, known
        for (number, _), (row, told) in sorted(found.items(), key=lambda item: item[0]):
            yield number, row, told
