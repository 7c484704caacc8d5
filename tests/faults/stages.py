"""A gateway's log, history and database → the sets of rows at every stage, and what is missing, doubled or off."""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final

import duckdb

from config.errors import GatewayError
from pipeline.batch import INPUT
from pipeline.gaps import Gap
from pipeline.log.log import LogReader
from tests.services.influxd import Influxd

_NEWEST = 100_000
Row = tuple[str, int, float]  # series key, time [ns], value
_ACCOUNT: Final = (".account_", "gateway.ledger-")  # parts of the series that stand in the ledger, not in the history
_MEASURED: Final = (".count", ".energy_index", "-gap.gap")  # endings of the series that come from devices


class Witness:
    """Reads the log beside the gateway, as another process might, and keeps every row it ever held."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.rows: list[tuple[int, int, float]] = []
        self.inputs = 0
        self.position = 0
        self._ends: list[tuple[int, int, int]] = []  # of each commit: position, and rows and inputs up to it
        self._looking = threading.Lock()

    def __call__(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if (self.data / "log.db").exists():
                self.look()
            stop.wait(0.1)
        self.look()

    def look(self) -> None:
        """Read what the log has more than at the last look; nothing while it cannot be opened."""
        with self._looking:
            try:
                reader = LogReader(self.data)
            except (sqlite3.Error, GatewayError):  # it is just being made, or its disk is away
                return
            with closing(reader):
                reader.load_boots()
                for window in reader.read(self.position, 10**9):
                    assert window.position == self.position + 1, "a commit vanished before everyone had read it"
                    self.position = window.position
                    for b in window.batches:
                        self.rows += zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True)
                        self.inputs += len(b) if b.header.stratum == INPUT else 0
                    self._ends.append((self.position, len(self.rows), self.inputs))

    @contextmanager
    def set_back(self) -> Iterator[None]:
        """Look away while the gateway's disk is set back; what was read and is not there now was never accepted.

        Whoever reads beside the gateway sees a commit before its sync has returned.
        """
        with self._looking:
            yield
            last = self.last_position()
            del self._ends[bisect_right(self._ends, last, key=itemgetter(0)) :]
            self.position, rows, self.inputs = self._ends[-1] if self._ends else (0, 0, 0)
            del self.rows[rows:]

    def last_position(self) -> int:
        """Return the log's last position, 0 before there is one."""
        try:
            with closing(LogReader(self.data)) as reader:
                return reader.last_position()
        except (sqlite3.Error, GatewayError):
            return 0

    def knows(self, key: str) -> bool:
        """Return whether there is such a series."""
        with closing(LogReader(self.data)) as reader:
            return bool(reader.query("SELECT 1 FROM series WHERE key = ?", (key,)))

    def newest_ns(self, key: str) -> int:
        """Return the time of the newest row seen of a series [ns], 0 before the first."""
        try:
            with closing(LogReader(self.data)) as reader:
                found = reader.query("SELECT id FROM series WHERE key = ?", (key,))
        except (sqlite3.Error, GatewayError):
            return 0
        mine = found[0][0] if found else -1
        return next((time_ns for series, time_ns, _ in reversed(self.rows[-5_000:]) if series == mine), 0)

    def behind(self, consumer: str) -> int:
        """Return how many rows a consumer has still to take."""
        with closing(LogReader(self.data)) as reader:
            return reader.rows_after(reader.cursor(consumer).position)

    def saw(self, key: str, value: float) -> bool:
        """Return whether a value of a series was among the newest rows."""
        with closing(LogReader(self.data)) as reader:
            ids = {number for (number,) in reader.query("SELECT id FROM series WHERE key = ?", (key,))}
        return any(s in ids and v == value for s, _, v in self.rows[-_NEWEST:])

    def taken(self, consumer: str) -> int:
        """Return the position a consumer has noted as taken."""
        with closing(LogReader(self.data)) as reader:
            return reader.cursor(consumer).position

    def dead(self) -> list[tuple[str, str]]:
        """Return reason and text of every dead letter, oldest first."""
        with closing(LogReader(self.data)) as reader:
            rows = reader.query("SELECT reason, raw FROM dead ORDER BY id")
            return [(str(reason), bytes(raw).decode(errors="replace")) for reason, raw in rows]

    def logged(self) -> Counter[Row]:
        """Return every row ever seen, by its series' key."""
        return self._named(self.rows)

    def between(self, first: int, last: int) -> Counter[Row]:
        """Return the rows of the commits from one position to another, both included."""
        upto = [(at, rows) for at, rows, _ in self._ends]
        start = max((rows for at, rows in upto if at < first), default=0)
        return self._named(self.rows[start : max((rows for at, rows in upto if at <= last), default=0)])

    def _named(self, rows: list[tuple[int, int, float]]) -> Counter[Row]:
        with closing(LogReader(self.data)) as reader:
            keys = dict(reader.query("SELECT id, key FROM series"))
        return Counter((keys[s], t, v) for s, t, v in rows)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the readings: counts over all stages, the largest error of a meter's energy [kWh], gap causes.

    The error is None where no meter's energy was judged.
    """

    accepted: int
    missing: int
    doubled: int
    energy_error_kwh: float | None
    gaps: dict[str, int]

    def sound(self, resolution_kwh: float = 1e-3) -> bool:
        """Return whether nothing is missing or doubled and the energy is exact within the meter's resolution."""
        return self.missing == 0 == self.doubled and (self.energy_error_kwh or 0.0) <= resolution_kwh

    def __add__(self, other: Verdict) -> Verdict:
        """Return the verdict of two stretches of time taken together."""
        errors = [v.energy_error_kwh for v in (self, other) if v.energy_error_kwh is not None]
        return Verdict(
            self.accepted + other.accepted,
            self.missing + other.missing,
            self.doubled + other.doubled,
            max(errors, default=None),
            dict(Counter(self.gaps) + Counter(other.gaps)),
        )


Stretch = tuple[int, int]  # begin, end [ns]
EVER: Final[Stretch] = (0, 2**63 - 1)


def judge(
    witness: Witness,
    meters: Collection[str],
    *,
    published: Collection[int] = (),
    influx: Influxd | None = None,
    between: Stretch = EVER,
) -> Verdict:
    """Compare sets of rows from stage to stage, after the gateway has ended in order.

    Missing: messages the broker took that are not in the log, rows of the log that are not in the history, numbers and
    amounts of the history that are not in InfluxDB. Doubled: the same the other way, and instants with two rows. The
    energy error is |Σ amounts − (last index − first index)|, the largest of all meters. `between`: only rows of it.
    """
    witness.look()
    logged, stored = within(witness.logged(), between), within(in_history(witness.data), between)
    logged, stored = (
        Counter({row: n for row, n in rows.items() if not any(p in row[0] for p in _ACCOUNT)})
        for rows in (logged, stored)
    )
    messages = Counter({int(v): n for (key, _, v), n in logged.items() if key == "messages.sequence.count"})
    missing = len(set(published) - set(messages)) + (logged - stored).total()
    instants = Counter(row[:2] for row in logged.elements() if not row[0].startswith("gateway."))
    doubled = (stored - logged).total() + sum(n - 1 for n in instants.values())
    if influx is not None:
        less, more = against_influx(stored, influx, between=between)
        missing, doubled = missing + less, doubled + more
    errors = [error for meter in meters if (error := energy_error(stored, meter)) is not None]
    assert between != EVER or len(errors) == len(meters), "a meter was not read twice: its energy cannot be judged"
    causes = Counter(Gap(int(v)).name.lower() for (key, _, v), n in logged.items() if key.endswith("-gap.gap"))
    causes.pop("none", None)
    accepted = witness.inputs if between == EVER else sum(n for row, n in logged.items() if row[0].endswith(_MEASURED))
    return Verdict(accepted, missing, doubled, max(errors, default=None), dict(causes))


def within(rows: Counter[Row], between: Stretch) -> Counter[Row]:
    """Return the rows of a stretch of time, its ends included."""
    begin, end = between
    return Counter({row: n for row, n in rows.items() if begin <= row[1] <= end})


def in_history(data: Path) -> Counter[Row]:
    """Return every row of the raw files as they stand: nothing is compacted within such a test's time."""
    with closing(LogReader(data)) as reader:
        keys = dict(reader.query("SELECT id, key FROM series"))
    query = f"SELECT series, time_ns, value FROM read_parquet('{data}/history/raw/*.parquet')"
    return Counter((keys[s], t, v) for s, t, v in duckdb.sql(query).fetchall())


def against_influx(
    stored: Counter[Row], influx: Influxd, database: str = "proof", between: Stretch = EVER
) -> tuple[int, int]:
    """Return how many numbers and amounts of the history InfluxDB has not, and how many it has too many."""
    missing = more = 0
    for field, measurement, ending in (
        ("sequence_count", "process", ".sequence.count"),
        ("energy_kwh", "energy", ".energy_import.energy"),
    ):
        expected = {(key.split(".")[0], t, v) for key, t, v in stored if key.endswith(ending)}
        rows = influx.query(database, f'SELECT "{field}" FROM "{measurement}" GROUP BY "asset"')
        begin, end = between
        got = Counter((r["asset"], r["time"], r[field]) for r in rows if begin <= r["time"] <= end)
        missing += len(expected - set(got))
        more += got.total() - len(expected & set(got))
    return missing, more


def energy_error(stored: Counter[Row], meter: str) -> float | None:
    """Return |Σ amounts − (last index − first index)| of a meter [kWh], None where its index was not read twice."""
    index = sorted((t, v) for key, t, v in stored if key == f"{meter}.energy_import.energy_index")
    if len(index) < 2:
        return None
    begin = index[0][0]
    amounts = [v for key, t, v in stored.elements() if key == f"{meter}.energy_import.energy" and t > begin]
    return abs(sum(amounts) - (index[-1][1] - index[0][1]))
