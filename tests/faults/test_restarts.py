"""A second gateway, reloads killed in, torn tails: a gateway goes on from each of them."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import pytest
import yaml

from tests.faults.plant import DATABASE, METERS, Plant
from tests.faults.stages import judge
from tests.faults.table import Fault, happened
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto

SEED: Final = 20_260_103
RELOADS: Final = 3
Tear = Callable[[Path, random.Random], None]


class Act(NamedTuple):
    """What is done to a gateway that accepts, which it may end; its row of the table, and how often in full."""

    group: str
    what: str
    do: Callable[[Plant, random.Random], None]
    times: int


def second_gateway(plant: Plant, chance: random.Random) -> None:
    """Start another on the same data directory: it says who has it, and the first does not notice."""
    assert plant.process is not None
    command = [sys.executable, "-m", "tanflow", "run", "-c", str(plant.config)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert second.returncode not in (0, None)
    assert f"belongs to a running gateway (process {plant.process.pid})" in " ".join(second.stderr.split())
    assert "Traceback" not in second.stderr
    assert plant.process.poll() is None


def reloads(plant: Plant, chance: random.Random) -> None:
    """Change the configuration again and again while messages flow, and kill the gateway amid the last change."""
    answer = plant.data / "reload.json"
    for _ in range(RELOADS):
        answer.unlink(missing_ok=True)
        reload(plant)
        plant.until(answer.exists, "the reload")
        assert not orjson.loads(answer.read_bytes())["problems"], answer.read_text()
        plant.accepts(time.monotonic())
    reload(plant)
    time.sleep(chance.uniform(0.0, 0.5))  # the random moment is the point of it
    plant.kill()


def reload(plant: Plant) -> None:
    """Change how often meters are asked and how strong one is, and tell the gateway."""
    told = yaml.safe_load(plant.config.read_text())
    floor, meter = told["connections"]["floor"], told["areas"]["hall"]["assets"][METERS[0]]
    floor["every_s"] = {0.05: 0.06, 0.06: 0.07, 0.07: 0.05}[floor["every_s"]]
    meter["rated_kw"] = 201 - meter["rated_kw"]
    plant.config.write_text(yaml.safe_dump(told))
    assert plant.process is not None
    plant.process.send_signal(signal.SIGHUP)


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


def torn(*tears: Tear) -> Callable[[Plant, random.Random], None]:
    """Return an act: kill the gateway and tear what it has written."""

    def do(plant: Plant, chance: random.Random) -> None:
        plant.until(lambda: any((plant.data / "history" / "raw").glob("*.parquet")), "the first cut")
        with plant.witness.set_back():
            plant.kill()
            for tear in tears:
                tear(plant.data, chance)

    return do


ALIVE: Final = (
    Act("process", "a second gateway on the same data directory is refused, naming the first", second_gateway, 20),
    Act("process", f"reload under load {RELOADS} times, then killed in another one", reloads, 30),
)
TORN: Final = (
    Act("disk", "the log's last commit half written", torn(half_a_commit), 20),
    Act("disk", "files of the history half written", torn(half_a_file), 20),
    Act("disk", "the ledger's journal garbled", torn(half_a_booking), 20),
)
ALL_TORN: Final = Act("disk", "log, history and ledger torn", torn(half_a_commit, half_a_file, half_a_booking), 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each act on its own in full, one after the other in the small dose."""
    if "acts" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        each = [(act,) for act in (*ALIVE, *TORN)] if full else [(*ALIVE, ALL_TORN)]
        metafunc.parametrize("acts", each, ids=lambda acts: acts[0].what)


def test_goes_on_after_it(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, acts: tuple[Act, ...], full: bool
) -> None:
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    chance, back_s = random.Random(SEED), 0.0
    with plant.alive():
        accepts(plant)
        for act in acts:
            for _ in range(act.times if full else 1):
                act.do(plant, chance)
                back_s = max(back_s, accepts(plant))
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    what = "; ".join(f"{act.what}, {act.times if full else 1} times" for act in acts)
    happened(Fault(acts[0].group, what, verdict, back_s))


def accepts(plant: Plant) -> float:
    """Start the gateway if it has ended; return how long until it accepted something [s]."""
    since = time.monotonic()
    if plant.process is None or plant.process.poll() is not None:
        plant.start()
    return plant.accepts(since)
