"""Configuration → the books: every stream with its lines and factors, the meters behind them, and the intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol, Self
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.compute import compute
from carbon.entries import Activity, Entries, Line, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.factors.laboratory import by_laboratory
from carbon.lines import Rules
from carbon.live.timeline import LiveFactors
from carbon.meters import MeterSteps, meter_steps
from carbon.papers.register import Register
from carbon.streams import Stream, streams
from carbon.virtual import Formula, formula
from config.bindings import bind
from config.model import Gateway
from config.points import DeviceMap
from pipeline.batch import Times
from pipeline.clock import SECOND_NS
from pipeline.compile import compile_plan
from pipeline.spec import Spec

_MINUTE_NS: Final = 60 * SECOND_NS


class Numbers(Protocol):
    """What gives lines, factors and meters their numbers: a transaction of the ledger."""

    def line(self, line: Line) -> int: ...
    def factor(self, factor: Factor) -> int: ...
    def meter(self, meter: MeterVersion) -> int: ...


@dataclass(frozen=True)
class Books:
    """Everything the account of a configuration is kept by. `rules[key]` are the (line, factors) of a stream."""

    config: Gateway
    streams: Mapping[str, Stream]
    rules: Mapping[str, tuple[tuple[Line, FactorSteps], ...]]
    uncovered: FactorSteps  # electricity that no certificate and no contract covers
    meters: Mapping[str, MeterSteps] = field(default_factory=dict)  # by stream; one without has no register entry
    live: LiveFactors | None = None  # of the location, where a provider is asked for them

    @classmethod
    def of(cls, config: Gateway, templates: Mapping[str, DeviceMap], base: Path = Path()) -> Self:
        """Return the books of a checked configuration; `base` is the folder its relative paths start from."""
        return cls.planned(config, templates, compile_plan(config, list(bind(config, templates)), base).specs, base)

    @classmethod
    def planned(cls, config: Gateway, templates: Mapping[str, DeviceMap], specs: Iterable[Spec], base: Path) -> Self:
        """Return the books of a configuration whose series are compiled already."""
        found = streams(config, bind(config, templates), specs)
        rules = Rules(config, base)
        zone = ZoneInfo(config.site.zone)
        by_device = {meter.device: (name, meter) for name, meter in config.accounting.meters.items() if meter.device}
        meters = {
            key: meter_steps(*by_device[stream.device], zone)
            for key, stream in found.items()
            if stream.device in by_device
        }
        books = cls(config, found, {key: rules.of(stream) for key, stream in found.items()}, rules.market, meters)
        live = config.factors.live
        if live is None:
            return books
        asked = LiveFactors.of(live, rules.location, books.interval_ns, books.phase_ns, zone)
        return replace(books, live=asked)

    def with_papers(self, documents: Iterable[Mapping[str, Any]]) -> Self:
        """Return the books with what laboratories found of fuels, as the ledger's documents say."""
        labs = Register.of(documents).in_force("lab")
        if not labs:
            return self
        rules = {
            key: tuple((line, by_laboratory(line, steps, self.streams[key], labs, self.zone)) for line, steps in of_one)
            for key, of_one in self.rules.items()
        }
        return replace(self, rules=rules)

    # ── intervals ─────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.config.site.zone)

    @cached_property
    def interval_ns(self) -> int:
        """Length of the account's intervals."""
        return int(self.config.accounting.interval.removesuffix("min")) * _MINUTE_NS

    @cached_property
    def phase_ns(self) -> int:
        """Where intervals begin: whole ones on the site's clock, which may be half an hour off UTC's."""
        offset = datetime(2000, 1, 1, tzinfo=UTC).astimezone(self.zone).utcoffset()
        return -int(offset.total_seconds()) * SECOND_NS % self.interval_ns if offset else 0

    @property
    def grace_ns(self) -> int:
        return int(self.config.accounting.grace_s * SECOND_NS)

    def interval_of(self, time_ns: int) -> int:
        """Return where the interval an instant lies in begins."""
        return (time_ns - self.phase_ns) // self.interval_ns * self.interval_ns + self.phase_ns

    def intervals_of(self, time_ns: Times) -> Times:
        """Return where the interval of each instant begins."""
        return (time_ns - self.phase_ns) // self.interval_ns * self.interval_ns + self.phase_ns

    # ── booking ───────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Keys of the streams in the order activities number them."""
        return tuple(self.streams)

    @cached_property
    def formulas(self) -> tuple[Formula, ...]:
        """Return how each virtual meter follows from streams by number."""
        numbers = {name: number for number, name in enumerate(self.names)}
        made = ((s.virtual, numbers[name]) for name, s in self.streams.items() if s.virtual)
        return tuple(formula(meter, number, numbers) for meter, number in made)

    @cached_property
    def _groups(self) -> tuple[tuple[FactorSteps, dict[int, Line]], ...]:
        """Lines that share their factors, each by the number of its stream: computed together."""
        groups: dict[int, tuple[FactorSteps, dict[int, Line]]] = {}
        for number, name in enumerate(self.names):
            for line, steps in self.rules[name]:
                groups.setdefault(id(steps), (steps, {}))[1][number] = line
        return tuple(groups.values())

    def live_lines(self) -> Iterator[tuple[FactorSteps, set[str]]]:
        """Yield the configured factors live ones stand for, with the keys of their lines."""
        for steps, lines in self._groups:
            if self.live and self.live.speaks_for(steps):
                yield steps, {line.key for line in lines.values()}

    def entries(self, numbers: Numbers, activity: Activity) -> Entries:
        """Return the entries of every line of activities, whose streams are numbered as in `names`."""
        activity, meters = self._metered(numbers, activity)
        parts = []
        for steps, lines in self._groups:
            line_of = np.full(len(self.names), -1, np.int32)
            present = [s for s in np.unique(activity.stream).tolist() if s in lines]
            line_of[present] = [numbers.line(lines[s]) for s in present]
            mine = line_of[activity.stream] >= 0
            rows = activity.take(mine)
            factors = self.live.instead(steps, rows) if self.live else steps
            parts.append(compute(rows, line_of[rows.stream], factors, numbers.factor, meters[mine]))
        return Entries.join(parts)

    def _metered(self, numbers: Numbers, activity: Activity) -> tuple[Activity, npt.NDArray[np.int32]]:
        """Return the rows with what their meters let one doubt, and the number of their meter versions, −1: none."""
        found = np.full(len(activity), -1, np.int32)
        estimated, quality = activity.estimated.copy(), activity.quality.copy()
        for stream in np.unique(activity.stream).tolist():
            steps = self.meters.get(self.names[stream])
            if steps is None:
                continue
            mine = activity.stream == stream
            rows = activity.take(mine)
            at = steps.at(rows.start_ns)
            known = {step: numbers.meter(steps.versions[step]) for step in np.unique(at).tolist()}
            found[mine] = [known[step] for step in at.tolist()]
            doubted = steps.doubt(rows)
            estimated[mine], quality[mine] = doubted.estimated, doubted.quality
        return replace(activity, estimated=estimated, quality=quality), found
