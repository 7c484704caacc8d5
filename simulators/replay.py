"""A recorded CSV file enters, a device whose readings are its columns leaves: row by row, or by (scaled) time."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from config.errors import GatewayError
from config.strict import Name, Seconds, Strict
from simulators.device import Device

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Column(Strict):
    """A column shown as it is, times `scale` to the canonical unit; an empty cell is no value."""

    column: str
    scale: float = 1.0


class Counted(Column):
    """A column of amounts per row, added up to an index that begins at `start` [canonical unit].

    At each row of `resets` (from 0) the meter begins again from 0 before that row's amount is added. A register that
    rolls over does so by its width: choose `start` below it. An empty cell adds nothing and the index has no value.
    """

    start: float = 0.0
    resets: tuple[int, ...] = ()


class Replay(Strict):
    """How a recording is read and shown; `energy` names the point that is the device's true energy or power."""

    file: Path
    time: str
    time_format: str = "iso"  # or as strptime writes it
    zone: str = "UTC"  # of times without an offset
    ends_day: bool = False  # a row of 00:00 is stamped with the day that ends, not the one that begins
    delimiter: str = ","
    counters: dict[Name, Counted] = Field(default_factory=dict)
    gauges: dict[Name, Column] = Field(default_factory=dict)
    energy: Name | None = None
    pace: Literal["row", "time"] = "row"  # a row a step, or the rows whose time has come
    speed: Annotated[float, Field(gt=0)] = 1.0  # recorded seconds per second, with pace: time
    hold_s: Seconds = 86_400.0  # with pace: time, how long a row's gauges stand until there is no value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.counters and not self.gauges:
            raise ValueError("a replay shows nothing without 'counters:' or 'gauges:'")
        if self.energy is not None and self.energy not in self.counters | self.gauges:
            raise ValueError(f"energy: '{self.energy}' is neither a counter nor a gauge of this replay")
        return self


@dataclass(frozen=True, slots=True)
class Recording:
    """n rows of a file: time_ns int64[n] UTC, each column float64[n], NaN where the cell is empty."""

    time_ns: array[int]
    columns: dict[str, array[float]]

    def __len__(self) -> int:
        return len(self.time_ns)

    def steps(self, first_s: float) -> Iterator[tuple[int, float]]:
        """Yield (now_ns, dt_s) of every row, to step along the recorded time; the first row lasts `first_s`."""
        yield self.time_ns[0], first_s
        for before, now in itertools.pairwise(self.time_ns):
            yield now, (now - before) / 1e9


def read(replay: Replay) -> Recording:
    """Return what a replay needs of its file (`.gz` is unpacked).

    Raises GatewayError naming file, line and column for a cell that is not a time or number, and for time that does
    not go forward.
    """
    wanted = {c.column for c in (*replay.counters.values(), *replay.gauges.values())}
    recording = Recording(array("q"), {name: array("d") for name in wanted})
    stamps = _Stamps(replay)
    with _open(replay.file) as file:
        rows = csv.DictReader(file, delimiter=replay.delimiter)
        if missing := sorted((wanted | {replay.time}) - set(rows.fieldnames or ())):
            raise GatewayError(f"{replay.file}: no column {', '.join(missing)}; there are {rows.fieldnames}")
        for row in rows:
            where = f"{replay.file}:{rows.line_num}"
            try:
                recording.time_ns.append(stamps.next_ns(row[replay.time]))
                for name, values in recording.columns.items():
                    values.append(math.nan if row[name] == "" else float(row[name]))
            except (TypeError, ValueError) as error:
                raise GatewayError(f"{where}: {error}") from error
    if not recording:
        raise GatewayError(f"{replay.file}: no rows")
    return recording


def _open(path: Path) -> io.TextIOBase:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path), "utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


class _Stamps:
    """Text → time [ns UTC] as one recording writes it, row by row."""

    def __init__(self, replay: Replay) -> None:
        self.form = replay.time_format
        self.zone = ZoneInfo(replay.zone)
        self.ends_day = replay.ends_day
        self.last = -(2**63)

    def next_ns(self, text: str) -> int:
        """Return the time of the next row; ValueError if it is not later than the row before."""
        moment = datetime.fromisoformat(text) if self.form == "iso" else datetime.strptime(text, self.form)
        if self.ends_day and moment.hour == moment.minute == moment.second == 0:
            moment += timedelta(days=1)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.zone)
        # The hour that comes twice in autumn: a time that seems to go back is of the second one.
        time_ns = next((t for fold in (0, 1) if (t := _ns(moment.replace(fold=fold))) > self.last), None)
        if time_ns is None:
            raise ValueError(f"{text} is not later than the row before")
        self.last = time_ns
        return time_ns


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


class ReplayDevice(Device):
    """A device that lives through a recording; readings are the points of `replay`.

    With pace `row` each step is the next row, whatever its `dt_s`; with `time` the first row belongs to the first
    step and the rows up to `speed` · elapsed time follow. After the last row counters stand and gauges have no value.
    `row` is the row shown (−1 before the first step), `finished` says that none is left.
    """

    def __init__(self, name: str, replay: Replay, recording: Recording | None = None) -> None:
        super().__init__(name)
        self.replay = replay
        self.recording = recording or read(replay)
        self.row = -1
        self._index = {point: counter.start for point, counter in replay.counters.items()}
        self._elapsed_s: float | None = None

    @property
    def finished(self) -> bool:
        """Return whether the last row is shown."""
        return self.row + 1 >= len(self.recording)

    @property
    def recorded_ns(self) -> int:
        """Return the recorded time of the row shown [ns UTC]; of the first before it is."""
        return self.recording.time_ns[max(self.row, 0)]

    def advance(self, now_ns: int, dt_s: float) -> float:
        self._elapsed_s = 0.0 if self._elapsed_s is None else self._elapsed_s + dt_s * self.replay.speed
        amounts: dict[str, float] = dict.fromkeys(self._index, 0.0)
        due = list(self._due())
        for row in due:
            self._count(row, amounts)
            self.row = row
        self._show(fresh=bool(due))
        energy = self.replay.energy
        if energy is None:
            return 0.0
        if energy in amounts:
            return amounts[energy] * 3_600.0 / dt_s
        power = self.readings[energy]
        return 0.0 if math.isnan(power) else power

    def _due(self) -> Iterator[int]:
        """Yield the rows whose turn it is at this step."""
        row = self.row + 1
        if self.replay.pace == "row":
            yield from range(row, min(row + 1, len(self.recording)))
            return
        while row < len(self.recording) and self._age_s(row) >= 0.0:
            yield row
            row += 1

    def _age_s(self, row: int) -> float:
        """Return how long ago [s recorded] a row's time was."""
        times = self.recording.time_ns
        return (self._elapsed_s or 0.0) - (times[row] - times[0]) / 1e9

    def _count(self, row: int, amounts: dict[str, float]) -> None:
        for point, counter in self.replay.counters.items():
            if row in counter.resets:
                self._index[point] = 0.0
            amount = self.recording.columns[counter.column][row] * counter.scale
            if not math.isnan(amount):
                self._index[point] += amount
                amounts[point] += amount

    def _show(self, fresh: bool) -> None:
        columns, row = self.recording.columns, self.row
        held = self.replay.pace == "time" and self._age_s(row) <= self.replay.hold_s
        for point, gauge in self.replay.gauges.items():
            self.readings[point] = columns[gauge.column][row] * gauge.scale if fresh or held else math.nan
        for point, counter in self.replay.counters.items():
            silent = fresh and math.isnan(columns[counter.column][row])
            self.readings[point] = math.nan if silent else self._index[point]
