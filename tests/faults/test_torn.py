"""Tails cut off or garbled while the gateway is away: half a commit in the log, half a file in the history."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SEED = 20_260_103
Tear = Callable[[Path, random.Random], None]


def half_a_commit(data: Path, chance: random.Random) -> None:
    """Lay a commit that was under way at the end of the write-ahead log: its first pages, then nothing or noise."""
    wal = data / "log.db-wal"
    text = wal.read_bytes()
    page = text[32 : 32 + 24 + 4096]  # a frame as it might come next, its check sum wrong
    torn = page[: chance.randrange(1, len(page))] if chance.random() < 0.5 else chance.randbytes(3 * len(page))
    wal.write_bytes(text + torn)


def half_a_file(data: Path, chance: random.Random) -> None:
    """Leave a cut of the history as a crash does: temporaries half written, one of them noise."""
    whole = max((data / "history" / "raw").glob("*.parquet"), key=lambda path: path.stat().st_size).read_bytes()
    for level in ("raw", "1m", "1h"):
        torn = whole[: chance.randrange(len(whole))] if level != "1h" else chance.randbytes(2_000)
        (data / "history" / level / f"1_2_{10**9}_{10**9 + 1}_9.parquet.tmp").write_bytes(torn)


def half_a_booking(data: Path, chance: random.Random) -> None:
    """Leave the ledger's journal as a crash does that came before its header was on the disk."""
    (data / "ledger.db-journal").write_bytes(chance.randbytes(chance.randrange(1, 3_000)))


TEARS = {
    "the log's last commit half written": half_a_commit,
    "files of the history half written": half_a_file,
    "the ledger's journal garbled": half_a_booking,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each tear on its own in full, one after the other in the small dose."""
    if "tears" in metafunc.fixturenames:
        each = [{what: tear} for what, tear in TEARS.items()] if metafunc.config.getoption("--full") else [TEARS]
        metafunc.parametrize("tears", each, ids=lambda tears: next(iter(tears)))


def test_goes_on_from_a_torn_end(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, tears: Mapping[str, Tear], full: bool
) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    chance, times = random.Random(SEED), 20 if full else 1
    with plant.alive():
        for tear in (*tears.values(),) * times:
            plant.start()
            plant.accepts(time.monotonic())
            plant.until(lambda: any((plant.data / "history" / "raw").glob("*.parquet")), "the first cut")
            with plant.witness.set_back():
                plant.kill()
                tear(plant.data, chance)
        since = time.monotonic()
        plant.start()
        back_s = plant.accepts(since)
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    happened(Fault("disk", f"{'; '.join(tears)}, {times} times", verdict, back_s))
