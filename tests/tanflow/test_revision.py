"""Changes of configuration over restarts: what goes on without a gap, what begins anew, what is kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.bindings import bind
from config.errors import GatewayError
from config.model import Gateway
from pipeline.batch import DERIVED, Header, make
from pipeline.clock import Clock
from pipeline.compile import compile_plan
from pipeline.counters import Counters
from pipeline.heartbeat import TICK_KEY
from pipeline.ingest import Ingest
from pipeline.log.log import Log
from pipeline.quality import CLOCK, UNCERTAIN
from pipeline.series import SeriesTable
from sinks.line_protocol import Encoder
from tanflow import revision
from tests.pipeline.tables import SECOND, START

E1, E2 = "a.e1.energy_index", "a.e2.energy_index"
MINUTE = 60 * SECOND


def counter(**known: Any) -> dict[str, Any]:
    return {"quantity": "energy_index", "unit": "kWh", "modbus": {"address": 0, "type": "uint32"}} | known


def config(points: Mapping[str, Any], connection: str = "floor", address: str = "127.0.0.1/1", **more: Any) -> Gateway:
    """Return a plant of one asset `a` with one device of these points."""
    device = {"connection": connection, "address": address, "points": points}
    return Gateway.model_validate(
        {
            "version": 1,
            "site": {"name": "s", "region": "CN-GD"},
            "connections": {"floor": {"protocol": "modbus"}, "roof": {"protocol": "modbus"}},
            "areas": {"hall": {"assets": {"a": {"type": "other", "devices": {"m": device}}}}},
        }
        | more
    )


BOTH = config({"e1": counter(), "e2": counter()})


@dataclass
class Boot:
    """One life of a gateway without its sources."""

    log: Log
    table: SeriesTable
    ingests: dict[str, Ingest]

    async def read(self, minute: int, **values: float) -> None:
        """Let each point show a raw value at a minute."""
        for name, value in values.items():
            key = next(
                k
                for k in self.table.ids
                if k.startswith(f"a.{name}.") and not self.table.spec(self.table.ids[k]).like.stratum
            )
            series = self.table.ids[key]
            header = Header("", 0, self.log.clock.boot, START + minute * MINUTE, 0)
            ingest = self.ingests[self.table.spec(series).like.connection]
            await ingest.accept(make(header, START + minute * MINUTE, [series], value))

    def amounts(self, point: str) -> list[tuple[float, float, float]]:
        """Return (end minute, span minutes, kWh) of a point's intervals, over all lives."""
        series = self.table.ids[f"a.{point}.energy"]
        found = []
        for batch in (b for w in self.log.reader.read_raw(0, 10_000_000) for b in w.batches):
            if batch.header.stratum == DERIVED:
                mine = batch.take(batch.series == series)
                minutes = ((mine.time_ns - START) / MINUTE).tolist()
                found += list(zip(minutes, (mine.span_ns / MINUTE).tolist(), mine.value.tolist(), strict=True))
        return found


@asynccontextmanager
async def boot(folder: Path, gateway: Gateway, clock: Clock | None = None) -> AsyncIterator[Boot]:
    """Start on a data directory as the gateway does, and stop without a word: no snapshot at the end."""
    log = Log(folder, clock or Clock(), 0.001)
    await log.open_boot()
    before = revision.stored(log)
    table = await revision.compile_table(log, compile_plan(gateway, bind(gateway, {})), before)
    accepting = asyncio.Event()
    accepting.set()
    ingests = {n: Ingest(log, table, n, log.clock, Counters(), accepting) for n in gateway.connections}
    if table.revision == before.number:
        revision.recover(log, ingests)
    else:
        await revision.adopt(log, table, before, gateway.dump(), log.clock, ingests)
    yield Boot(log, table, ingests)
    await log.close()


async def test_the_same_plan_is_the_same_revision(tmp_path: Path) -> None:
    for _ in range(3):
        async with boot(tmp_path, BOTH) as life:
            assert life.table.revision == 1
            assert len(life.log.reader.query("SELECT 1 FROM revisions")) == 1
    async with boot(tmp_path, config({"e1": counter(), "e2": counter(scale=0.1)})) as life:
        assert life.table.revision == 2
    async with boot(tmp_path, BOTH) as life:
        assert life.table.revision == 3  # back again is a change too: rows between were of another plan


async def test_a_changed_rule_is_a_revision_though_no_series_changes(tmp_path: Path) -> None:
    """Who reads a firing alert must find the limit it fired at."""
    mass = counter(quantity="mass_index", unit="t")
    window = {"type": "energy_intensity", "energy": ["a.e1"], "product": "a.mass"}

    def plant(above: float, every: str = "60min") -> Gateway:
        alerts = {"high": {"window": "w", "above": above, "clear_below": 1}}
        return config({"e1": counter(), "mass": mass}, windows={"w": window | {"every": every}}, alerts=alerts)

    for number, gateway in enumerate([plant(5), plant(6), plant(6, "15min")], 1):
        for _ in range(2):
            async with boot(tmp_path, gateway) as life:
                assert life.table.revision == number


async def test_a_restart_goes_on_without_a_gap(tmp_path: Path) -> None:
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=10, e2=100)
        await life.read(1, e1=11, e2=101)
    async with boot(tmp_path, BOTH) as life:
        await life.read(5, e1=14, e2=105)
        assert life.amounts("e1") == [(1, 1, 1), (5, 4, 3)]
        assert life.amounts("e2") == [(1, 1, 1), (5, 4, 4)]


CHANGES = {
    "scale": config({"e1": counter(scale=0.1), "e2": counter()}),
    "unit": config({"e1": counter(unit="MWh"), "e2": counter()}),
    "offset": config({"e1": counter(offset=5), "e2": counter()}),
    "width": config({"e1": counter(modbus={"address": 0, "type": "uint16"}), "e2": counter()}),
    "digits": config({"e1": counter(digits=6), "e2": counter()}),
    "kind": config({"e1": counter(kind="gauge"), "e2": counter()}),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_changed_basis_clears_that_series_and_no_other(tmp_path: Path, what: str) -> None:
    """The first reading after the change is a new base; the other counter does not notice."""
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=10, e2=100)
        await life.read(1, e1=11, e2=101)
    async with boot(tmp_path, CHANGES[what]) as life:
        assert life.table.revision == 2
        state, ids = life.ingests["floor"].state, life.table.ids
        assert state.time_ns[ids[E1]] < 0
        assert state.value[ids[E2]] == 101
        await life.read(5, e1=500, e2=105)
        assert life.amounts("e2") == [(1, 1, 1), (5, 4, 4)]
        if what != "kind":
            assert life.amounts("e1") == [(1, 1, 1)]
            factor = life.table.mul[ids[E1]] / life.table.div[ids[E1]]
            await life.read(6, e1=501, e2=106)
            assert life.amounts("e1")[1:] == [(6, 1, pytest.approx(factor))]


async def test_a_series_that_moves_to_another_connection_begins_anew(tmp_path: Path) -> None:
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=10)
    async with boot(tmp_path, config({"e1": counter(), "e2": counter()}, "roof")) as life:
        await life.read(5, e1=99)
        await life.read(6, e1=100)
        assert life.amounts("e1") == [(6, 1, 1)]
    async with boot(tmp_path, config({"e1": counter(), "e2": counter()}, "roof")) as life:
        await life.read(7, e1=102)
        assert life.amounts("e1") == [(6, 1, 1), (7, 1, 2)]


async def test_what_does_not_touch_the_arithmetic_clears_nothing(tmp_path: Path) -> None:
    """A new range or rate of the register, another point beside it, another name of the site."""
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=10)
    points = {"e1": counter(valid=[0, 1e9], max_rate=1e6), "new": counter()}
    async with boot(tmp_path, config(points, site={"name": "other", "region": "CN-GD"})) as life:
        assert life.table.revision == 2
        await life.read(5, e1=13, new=1)
        assert life.amounts("e1") == [(5, 5, 3)]


@pytest.mark.parametrize(
    ("point", "address", "follows"),
    [
        ({"modbus": {"address": 9, "type": "uint32"}}, "127.0.0.1/1", False),
        ({"modbus": {"address": 0, "type": "uint32", "word_order": "little"}}, "127.0.0.1/1", False),
        ({}, "127.0.0.1/2", False),
        ({}, "127.0.0.2:1502/1", True),
    ],
    ids=["register", "order", "unit", "host"],
)
async def test_another_register_or_unit_shows_another_index(
    tmp_path: Path, point: dict[str, Any], address: str, follows: bool
) -> None:
    """What it shows does not follow from what the other showed, near as it may be; a meter that has moved goes on."""
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=100)
    async with boot(tmp_path, config({"e1": counter(**point), "e2": counter()}, address=address)) as life:
        assert life.table.revision == 2
        await life.read(5, e1=180)
        await life.read(6, e1=181)
        assert life.amounts("e1") == ([(5, 5, 80)] if follows else []) + [(6, 1, 1)]


async def test_ids_are_kept_for_keys_that_return(tmp_path: Path) -> None:
    async with boot(tmp_path, BOTH) as life:
        first = dict(life.table.ids)
        await life.read(0, e2=100)
    async with boot(tmp_path, config({"e1": counter(), "e3": counter()})) as life:
        assert E2 not in life.table.ids
        assert not set(life.table.ids.values()) & {first[k] for k in first if k.startswith("a.e2.")}
    async with boot(tmp_path, BOTH) as life:
        assert life.table.ids == first
        await life.read(9, e2=500)
        assert life.amounts("e2") == []  # nobody watched it meanwhile: a new base
        await life.read(10, e2=501)
        assert life.amounts("e2") == [(10, 1, 1)]


async def test_rows_of_an_earlier_revision_keep_their_series(tmp_path: Path) -> None:
    """Where a sink is behind, it still writes rows of a point that is no longer configured."""
    async with boot(tmp_path, BOTH) as life:
        await life.read(0, e1=1, e2=2)
        gone = life.table.ids[E2]
    async with boot(tmp_path, config({"e1": counter()})) as life:
        with pytest.raises(KeyError):
            life.table.spec(gone)
        wide = revision.with_retired(life.log, life.table)
        assert (wide.spec(gone).key, wide.revision) == (E2, 2)
        assert wide.spec(life.table.ids[E1]).key == E1
        revisions = {b.header.revision for w in life.log.reader.read_raw(0) for b in w.batches}
        assert revisions == {1, 2}
        assert len(life.log.reader.query("SELECT 1 FROM revisions")) == 2


async def test_another_point_may_take_over_what_an_asset_is_accounted_by(tmp_path: Path) -> None:
    """Its amounts go to the field where the earlier one's went; of two that both are configured that is refused."""
    async with boot(tmp_path, config({"e1": counter()})) as life:
        await life.read(0, e1=1)
        first = life.table.ids["a.e1.energy"]
    async with boot(tmp_path, config({"e2": counter()})) as life:
        await life.read(5, e2=1)
        wide = revision.with_retired(life.log, life.table)
        assert wide.retired >= {first}
        assert life.table.ids["a.e2.energy"] not in wide.retired
        assert wide.spec(first).like.field == wide.spec(life.table.ids["a.e2.energy"]).like.field
        Encoder(wide)
        last = revision.eras(life.log.reader)[-1].table
        assert last.retired >= {first}
        Encoder(last)
        both = SeriesTable(2, filter(None, wide.specs), wide.ids, {f.name: f for f in wide.factors})
        with pytest.raises(GatewayError, match="overwrite each other"):
            Encoder(both)


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.iterdir()]


async def test_a_revision_is_a_row_and_its_text_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANT_TOKEN", "hunter2-very-secret")
    sink = {
        "type": "influxdb",
        "api": "v2",
        "url": "http://db",
        "org": "o",
        "bucket": "b",
        "token": {"env": "PLANT_TOKEN"},
    }
    gateway = config({"e1": counter()}, sinks={"db": sink})
    async with boot(tmp_path, gateway) as life:
        ((digest, text),) = life.log.reader.query("SELECT digest, config FROM revisions")
        (row,) = [b for w in life.log.read(0) for b in w.batches if b.header.note]
        assert row.header.note == {"revision": {"number": 1, "digest": digest}}
        assert row.series.tolist() == [life.table.ids[TICK_KEY]]
        assert "PLANT_TOKEN" in text
        assert "hunter2" not in text
    assert not any(b"hunter2" in content for content in contents(tmp_path))


async def test_a_revision_of_an_untrusted_boot_is_moved_with_it(tmp_path: Path) -> None:
    async with boot(tmp_path, BOTH, Clock(anchor_ns=0, trusted=False)) as life:
        (row,) = [b for w in life.log.reader.read_raw(0) for b in w.batches if b.header.note]
        assert row.quality.tolist() == [CLOCK | UNCERTAIN]
