"""Plan and log → the revision in force and the state of every connection, as of the last commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from pipeline import snapshot
from pipeline.batch import Header, Times, make
from pipeline.clock import Clock
from pipeline.heartbeat import GATEWAY, TICK_KEY
from pipeline.ingest import Ingest
from pipeline.log.log import Log, LogReader
from pipeline.log.writer import Entry
from pipeline.meter import MeterState
from pipeline.places import is_same
from pipeline.plan import Plan
from pipeline.quality import CLOCK, UNCERTAIN
from pipeline.series import SeriesTable
from pipeline.spec import Spec

_CHUNK_ROWS: Final = 500_000
# What, when changed, makes an old index meaningless to the new series: its next reading is a new base.
_BASIS: Final = ("connection", "quantity", "unit", "kind", "mul", "div", "offset", "modulus")


@dataclass(frozen=True, slots=True)
class Stored:
    """The revision last in force: its number, digest and plan."""

    number: int
    digest: str
    table: SeriesTable | None


def stored(log: Log) -> Stored:
    """Return the log's last revision; number 0 and no table in a new log."""
    query = "SELECT revision, digest, plan FROM revisions ORDER BY revision DESC LIMIT 1"
    rows = log.reader.query(query)
    if not rows:
        return Stored(0, "", None)
    number, digest, plan = rows[0]
    return Stored(number, str(digest), SeriesTable.unpack(number, plan))


async def compile_table(log: Log, plan: Plan, before: Stored) -> SeriesTable:
    """Return the table of a plan with its persistent ids; the number is the old one where nothing changed."""
    ids = await log.series_ids(plan.specs.keys)
    table = SeriesTable(before.number, plan.specs, ids, plan.factors, plan.rules)
    if table.digest != before.digest:
        table.revision += 1
    return table


def with_retired(log: Log, table: SeriesTable) -> SeriesTable:
    """Return the table with the series that only rows of earlier revisions still in the log have: sinks need them."""
    oldest = log.reader.oldest_revision()
    specs: dict[str, Spec] = {}
    factors = {f.name: f for f in table.factors}
    query = "SELECT revision, plan FROM revisions WHERE revision >= ? AND revision < ? ORDER BY revision DESC"
    for number, plan in log.reader.query(query, (oldest, table.revision)):
        earlier = SeriesTable.unpack(number, plan)
        specs = {s.key: s for s in earlier.specs if s and s.key not in table.ids} | specs
        factors = {f.name: f for f in earlier.factors} | factors
    if not specs:
        return table
    ids = dict(log.reader.query("SELECT key, id FROM series"))
    retired = frozenset(ids[key] for key in specs)
    return SeriesTable(table.revision, [*specs.values(), *filter(None, table.specs)], ids, factors, retired=retired)


@dataclass(frozen=True, slots=True)
class Era:
    """A revision and from where on it holds: the log's position, and the instant as its boot's clock was set right."""

    table: SeriesTable
    position: int | None  # None: adopted by a version that did not write it down
    at_ns: int


def eras(reader: LogReader) -> list[Era]:
    """Return every revision that may be read, oldest first; each table knows all series ever.

    A boot whose clock is not trusted yet holds what it adopted, and all that follows.
    """
    ids = dict(reader.query("SELECT key, id FROM series"))
    where = _adopted(reader)
    query = "SELECT revision, at_ns, plan FROM revisions ORDER BY revision"
    read = [(int(at_ns), SeriesTable.unpack(number, plan)) for number, at_ns, plan in reader.query(query)]
    ever: dict[str, Spec] = {s.key: s for _, table in read for s in table.specs if s}
    made = []
    for at_ns, table in read:
        position, boot = where.get(table.revision, (None, ""))
        offset_ns = reader.boots.get(boot, 0)
        if offset_ns is None:
            break
        specs = list((ever | {s.key: s for s in table.specs if s}).values())
        retired = frozenset(ids[s.key] for s in specs if s.key not in table.ids)
        whole = SeriesTable(table.revision, specs, ids, {f.name: f for f in table.factors}, retired=retired)
        made.append(Era(whole, position, at_ns + offset_ns))
    return made


def _adopted(reader: LogReader) -> dict[int, tuple[int, str]]:
    """Return (position, boot) by revision; an earlier version's log has no such table until a gateway opens it."""
    if not reader.query("SELECT 1 FROM sqlite_master WHERE name = 'adopted'"):
        return {}
    return {number: (at, boot) for number, at, boot in reader.query("SELECT revision, position, boot FROM adopted")}


def recover(log: Log, ingests: Mapping[str, Ingest]) -> None:
    """Bring every connection's state to the end of the log: its snapshot, then its later measured rows again."""
    starts: dict[str, int] = {}
    for connection, ingest in ingests.items():
        row = log.reader.query("SELECT position, state FROM snapshots WHERE connection = ?", (connection,))
        if row:
            position, state = row[0]
            ingest.tokens.extend(snapshot.decode(state, ingest.state, ingest.newest_ns))
            starts[connection] = position
    position = min((starts.get(c, 0) for c in ingests), default=0)
    while windows := log.reader.read_raw(position, _CHUNK_ROWS):
        for connection, ingest in ingests.items():
            later = [b for w in windows if w.position > starts.get(connection, 0) for b in w.batches]
            ingest.recover(later)
        position = windows[-1].position


async def adopt(
    log: Log, table: SeriesTable, before: Stored, config: dict[str, Any], clock: Clock, ingests: Mapping[str, Ingest]
) -> None:
    """Commit a new revision: its plan, a row that says from where on it holds, and the state it begins with."""
    if before.table is not None:
        old = before.table
        earlier = {
            name: Ingest(log, old, name, clock, i.counters, i.accepting, i.stamps) for name, i in ingests.items()
        }
        recover(log, earlier)
        for name, ingest in ingests.items():
            ingest.state = _carry(old, table, earlier[name].state)
            ingest.tokens = earlier[name].tokens
            ingest.newest_ns = _newest(old, table, earlier[name].newest_ns)
    text = orjson.dumps(config, option=orjson.OPT_SORT_KEYS).decode()  # secrets are in it only as where they are kept
    row = (table.revision, clock.now_ns(), table.digest, table.pack(), text)
    note = {"revision": {"number": table.revision, "digest": table.digest}}
    header = Header(GATEWAY, table.revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), note=note)
    quality = 0 if clock.trusted else CLOCK | UNCERTAIN
    batch = make(header, header.received_ns, [table.ids[TICK_KEY]], float(table.revision), quality)
    await log.append(
        Entry(
            [batch],
            snapshots=[ingest.snapshot() for ingest in ingests.values()],
            statements=[
                ("DELETE FROM snapshots", ()),
                ("INSERT INTO revisions (revision, at_ns, digest, plan, config) VALUES (?, ?, ?, ?, ?)", row),
                # the batch stands in the log by now: its position is the last
                ("INSERT INTO adopted SELECT ?, max(position), ? FROM log", (table.revision, clock.boot)),
            ],
        )
    )


def _carry(old: SeriesTable, new: SeriesTable, state: MeterState) -> MeterState:
    """Return the state under the new table; series whose basis changed, and new ones, begin again."""
    carried = MeterState.fresh(len(new))
    kept = [i for key, i in new.ids.items() if key in old.ids and _same(old.spec(i), new.spec(i))]
    for mine, was in zip(carried.columns, state.columns, strict=True):
        mine[kept] = was[kept]
    return carried


def _newest(old: SeriesTable, new: SeriesTable, newest_ns: Times) -> Times:
    """Return the times of the newest rows under the new table; those of another connection are its own source's."""
    carried = MeterState.fresh(len(new)).time_ns
    for key, series in new.ids.items():
        if key in old.ids and old.spec(old.ids[key]).like.connection == new.spec(series).like.connection:
            carried[series] = newest_ns[old.ids[key]]
    return carried


def _same(old: Spec, new: Spec) -> bool:
    pairs = ((getattr(old.like, name), getattr(new.like, name)) for name in _BASIS)
    alike = all(a == b or (isinstance(a, float) and np.isnan(a) and np.isnan(b)) for a, b in pairs)
    return alike and is_same(old.place, new.place)
