"""A gateway's log, history and database → the sets of rows at every stage, and what is missing, doubled or off."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from config.errors import GatewayError
from pipeline.batch import INPUT
from pipeline.gaps import Gap
from pipeline.log.log import LogReader
from tests.services.influxd import Influxd
from tests.waiting import until_sync

Row = tuple[str, int, float]  # series key, time [ns], value


class Witness:
    """Reads the log beside the gateway, as another process might, and keeps every row it ever held."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.rows: list[tuple[int, int, float]] = []
        self.inputs = 0
        self.position = 0
        self._looking = threading.Lock()

    def __call__(self, stop: threading.Event) -> None:
        until_sync(lambda: (self.data / "log.db").exists() or stop.is_set(), 120)
        while not stop.is_set():
            self.look()
            stop.wait(0.05)
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

    def last_position(self) -> int:
        """Return the log's last position, 0 before there is one."""
        try:
            with closing(LogReader(self.data)) as reader:
                return reader.last_position()
        except (sqlite3.Error, GatewayError):
            return 0

    def behind(self, consumer: str) -> int:
        """Return how many rows a consumer has still to take."""
        with closing(LogReader(self.data)) as reader:
            return reader.rows_after(reader.cursor(consumer).position)

    def logged(self) -> Counter[Row]:
        """Return every row ever seen, by its series' key."""
        with closing(LogReader(self.data)) as reader:
            keys = dict(reader.query("SELECT id, key FROM series"))
        return Counter((keys[s], t, v) for s, t, v in self.rows)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the readings: counts over all stages, the largest error of a meter's energy [kWh], gap causes."""

    accepted: int
    missing: int
    doubled: int
    energy_error_kwh: float
    gaps: dict[str, int]

    def sound(self, resolution_kwh: float = 1e-3) -> bool:
        """Return whether nothing is missing or doubled and the energy is exact within the meter's resolution."""
        return self.missing == 0 == self.doubled and self.energy_error_kwh <= resolution_kwh


def judge(
    witness: Witness, meters: Collection[str], *, published: Collection[int] = (), influx: Influxd | None = None
) -> Verdict:
    """Compare sets of rows from stage to stage, after the gateway has ended in order.

    Missing: messages the broker took that are not in the log, rows of the log that are not in the history, numbers and
    amounts of the history that are not in InfluxDB. Doubled: the same the other way, and instants with two rows. The
    energy error is |Σ amounts − (last index − first index)|, the largest of all meters.
    """
    witness.look()
    logged, stored = witness.logged(), in_history(witness.data)
    messages = Counter({int(v): n for (key, _, v), n in logged.items() if key == "messages.sequence.count"})
    missing = len(set(published) - set(messages)) + (logged - stored).total()
    instants = Counter(row[:2] for row in logged.elements() if not row[0].startswith("gateway."))
    doubled = (stored - logged).total() + sum(n - 1 for n in instants.values())
    if influx is not None:
        less, more = against_influx(stored, influx)
        missing, doubled = missing + less, doubled + more
    error = max((energy_error(stored, meter) for meter in meters), default=0.0)
    causes = Counter(Gap(int(v)).name.lower() for (key, _, v), n in logged.items() if key.endswith("-gap.gap"))
    causes.pop("none", None)
    return Verdict(witness.inputs, missing, doubled, error, dict(causes))


def in_history(data: Path) -> Counter[Row]:
    """Return every row of the raw files as they stand: nothing is compacted within such a test's time."""
    with closing(LogReader(data)) as reader:
        keys = dict(reader.query("SELECT id, key FROM series"))
    query = f"SELECT series, time_ns, value FROM read_parquet('{data}/history/raw/*.parquet')"
    return Counter((keys[s], t, v) for s, t, v in duckdb.sql(query).fetchall())


def against_influx(stored: Counter[Row], influx: Influxd, database: str = "proof") -> tuple[int, int]:
    """Return how many numbers and amounts of the history InfluxDB has not, and how many it has too many."""
    missing = more = 0
    for field, measurement, ending in (
        ("sequence_count", "process", ".sequence.count"),
        ("energy_kwh", "energy", ".energy_import.energy"),
    ):
        expected = {(key.split(".")[0], t, v) for key, t, v in stored if key.endswith(ending)}
        rows = influx.query(database, f'SELECT "{field}" FROM "{measurement}" GROUP BY "asset"')
        got = Counter((row["asset"], row["time"], row[field]) for row in rows)
        missing += len(expected - set(got))
        more += got.total() - len(expected & set(got))
    return missing, more


def energy_error(stored: Counter[Row], meter: str) -> float:
    """Return |Σ amounts − (last index − first index)| of a meter [kWh]."""
    index = sorted((t, v) for key, t, v in stored if key == f"{meter}.energy_import.energy_index")
    amounts = [v for key, _, v in stored.elements() if key == f"{meter}.energy_import.energy"]
    return abs(sum(amounts) - (index[-1][1] - index[0][1])) if index else 0.0
