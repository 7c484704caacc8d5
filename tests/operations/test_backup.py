"""Backups of a gateway that accepts, commits, cuts its history and is killed meanwhile; and what goes on from them."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from carbon.ledger import Ledger, verify
from pipeline.log.log import LogReader
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tests.faults.plant import DATABASE, METERS, Plant, in_thread
from tests.faults.stages import judge
from tests.operations.backups import held
from tests.operations.conftest import started
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto


def published(folder: Path) -> set[int]:
    """Return the series that repeat what the ledger says: the ledger keeps it, the history does not."""
    with closing(LogReader(folder)) as reader:
        return {number for (number,) in reader.query("SELECT id FROM series WHERE key LIKE 'gateway.ledger-%'")}


def writing_papers(data: Path) -> Callable[[threading.Event], None]:
    """Return work that appends documents to the ledger, some twenty a second."""

    def work(stop: threading.Event) -> None:
        count = 0
        while not stop.wait(0.05):
            with Ledger.open(data, write=True) as ledger, ledger.writing() as w:
                w.document({"type": "note", "number": count})
            count += 1

    return work


def test_a_backup_under_load_holds_all_that_was_accepted_before_it_began(
    tmp_path: Path, influx: Influxd, mosquitto: Mosquitto, full: bool
) -> None:
    """Kills before, during and after; documents are written into the ledger all the while; the chain verifies.

    In the small dose once: killed during the backup, into a tar file.
    """
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port)
    plant.subscribe_first(mosquitto)
    with plant.alive(), in_thread(writing_papers(plant.data)):
        for n in range(3) if full else (1,):
            backed_up_under_load(plant, n)


def backed_up_under_load(plant: Plant, n: int) -> None:
    """Back up a gateway that is killed behind the backup, or where `n` is 1 wherever the backup is then."""
    plant.start()
    reached = plant.witness.last_position() + 40
    plant.until(lambda: plant.witness.last_position() > reached, "it accepts")
    plant.witness.look()
    before = Counter(plant.witness.rows)
    target = plant.folder / (f"backup-{n}" + (".tar" if n else ""))
    command = [sys.executable, "-m", "tanflow", "backup", str(target), "-c", str(plant.config)]
    copying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if n == 1:
        time.sleep(random.Random(7).uniform(0.3, 1.5))
        plant.kill()
    told = copying.communicate(timeout=600)[0]
    assert copying.returncode == 0, told
    assert "verified" in told
    plant.kill()
    restored = plant.folder / f"restored-{n}"
    restore(target, restored)
    rows = held(restored)
    assert [key for key in before - rows if key[0] not in published(restored)] == []
    assert verify(restored).ok
    assert not [*plant.data.glob(".backup-*")]


def test_a_gateway_goes_on_from_its_backup(tmp_path: Path, influx: Influxd, mosquitto: Mosquitto) -> None:
    """Its disk is lost: ids, sums and series go on; nothing is doubled, not in the database either."""
    influx.create(DATABASE)
    plant = Plant(tmp_path, influx.url, mosquitto.port, {"connections": {"floor": {"every_s": 0.2}}})
    plant.publisher.per_s = 20
    plant.subscribe_first(mosquitto)
    with plant.alive(publishing=False):
        with in_thread(plant.publisher):
            started(plant)
            plant.stop()
            take(plant.data, tmp_path / "backup.tar")
            with closing(LogReader(plant.data)) as reader:
                ids, last = dict(reader.query("SELECT key, id FROM series")), reader.last_position()
            plant.data.rename(tmp_path / "lost")
            restore(tmp_path / "backup.tar", plant.data)
            plant.start()
            plant.until(lambda: plant.witness.last_position() > last + 10, "it accepts")
        plant.caught_up()
        plant.stop()
    verdict = judge(plant.witness, METERS, published=plant.publisher.acked, influx=influx)
    assert verdict.sound(), verdict
    with closing(LogReader(plant.data)) as reader:
        assert dict(reader.query("SELECT key, id FROM series")) == ids
        assert reader.last_position() > last
    assert "only one of the two may run" in plant.log
