"""Data of the first gateway that had log, history and ledger → today's goes on with it: same ids, sums and chain."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from carbon.ledger import Head, Ledger, verify
from config.load import load
from pipeline.log.log import LogReader
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tanflow.soundness import problems
from tests.operations.conftest import EARLIER, an_hour_later
from tests.proof.running import running
from tests.waiting import until

EXPECTED: dict[str, Any] = json.loads((EARLIER / "expected.json").read_text())


def in_history(folder: Path) -> tuple[int, dict[str, float]]:
    """Return how many rows were archived by then, and the energy in them by series."""
    with closing(LogReader(folder)) as reader:
        keys = dict(reader.query("SELECT id, key FROM series"))
    [file] = [f for f in (folder / "history" / "raw").iterdir() if int(f.stem.split("_")[3]) == EXPECTED["position"]]
    rows = duckdb.sql(f"SELECT count(*) FROM read_parquet('{file}')").fetchall()[0][0]
    sums = duckdb.sql(f"SELECT series, sum(value) FROM read_parquet('{file}') WHERE span_ns > 0 GROUP BY series")
    return rows, {keys[s]: v for s, v in sums.fetchall() if keys[s].endswith(".energy")}


def compare(folder: Path) -> None:
    """Hold everything the earlier gateway had against what is there now."""
    with closing(LogReader(folder)) as reader:
        ids = dict(reader.query("SELECT key, id FROM series"))
    assert EXPECTED["ids"].items() <= ids.items()
    assert len(set(ids.values())) == len(ids)
    seq, digest = EXPECTED["head"].split(":")
    assert verify(folder, Head(int(seq), digest)).problems == []
    with Ledger.open(folder) as ledger:
        entries = [*ledger.read(upto=int(seq))]
    assert sum(int(e.co2e.sum()) for e in entries) == EXPECTED["co2e_ug"]
    assert sum(int(e.energy.sum()) for e in entries) == EXPECTED["energy_uwh"]
    rows, energy = in_history(folder)
    assert rows == EXPECTED["rows"]
    assert energy == pytest.approx(EXPECTED["energy_kwh"], rel=1e-12)


def _accepted(gateway: Gateway, position: int) -> bool:
    return gateway.log.position > position


def test_what_is_compared_is_there(earlier: Path) -> None:
    assert EXPECTED["co2e_ug"] > 0
    assert EXPECTED["rows"] > 3_000
    assert problems(earlier) == []
    compare(earlier)


async def test_todays_gateway_goes_on_with_it(earlier: Path, tmp_path: Path) -> None:
    """Opened, run and closed twice: positions go on, nothing that was there is another; a backup of it is sound."""
    loaded = load(EARLIER / "gateway.yaml")
    place = loaded.gateway.data.model_copy(update={"dir": earlier, "ballast_mb": 1})
    config = loaded.gateway.model_copy(update={"data": place, "api": None, "sinks": {}})
    last = EXPECTED["position"]
    for _ in range(2):
        async with open_gateway(config, loaded.templates, clock=an_hour_later(earlier)) as gateway:
            assert gateway.log.position >= last
            assert gateway.log.reader.boots  # the earlier boots are known
            last = gateway.log.position
            async with running(gateway):
                await until(partial(_accepted, gateway, last + 2), 300, "it accepts")
        compare(earlier)
        assert problems(earlier) == []
    take(earlier, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "again")
    compare(tmp_path / "again")


async def test_meters_count_on_from_where_the_earlier_gateway_had_come_to(earlier: Path) -> None:
    """The state of its counters is taken over: the next reading is an amount since its last one, not a new base."""
    loaded = load(EARLIER / "gateway.yaml")
    place = loaded.gateway.data.model_copy(update={"dir": earlier, "ballast_mb": 1})
    config = loaded.gateway.model_copy(update={"data": place, "api": None, "sinks": {}})
    async with open_gateway(config, loaded.templates, clock=an_hour_later(earlier)) as gateway:
        series = gateway.table.ids["main-meter.energy_import.energy_index"]
        assert gateway.ingests["floor"].newest_ns[series] > 0
        assert gateway.ingests["floor"].state.time_ns[series] > 0
