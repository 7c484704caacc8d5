"""Backups of a gateway that accepts, commits, cuts its history and is killed meanwhile; and what goes on from them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import orjson
import pytest

from carbon.ledger import Ledger, verify
from config.errors import GatewayError
from pipeline.log.log import LogReader
from sinks.history_query import Reader
from tanflow.backup.manifest import NAME
from tanflow.backup.origin import MARK
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tests.faults.plant import DATABASE, METERS, Plant, in_thread
from tests.faults.stages import judge
from tests.operations.conftest import started
from tests.services.influxd import Influxd
from tests.services.mosquitto import Mosquitto
from tests.tanflow.command import said

Kept = tuple[int, int, float]  # series, time [ns], value


def held(folder: Path) -> Counter[Kept]:
    """Return the rows of a data directory, each once: the history's, and the log's beyond its cursor."""
    archived = Reader(folder / "history").cursor()
    rows: list[Kept] = []
    if archived:
        query = f"SELECT series, time_ns, value FROM read_parquet('{folder}/history/raw/*.parquet')"
        rows = duckdb.sql(query).fetchall()
    with closing(LogReader(folder)) as reader:
        for window in reader.read_raw(archived, 10**9):
            for b in window.batches:
                rows += zip(b.series.tolist(), b.time_ns.tolist(), b.value.tolist(), strict=True)
    return Counter(rows)


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


def test_what_cannot_be_backed_up_or_restored_is_told_and_leaves_nothing(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, folder = tmp_path / "good.tar", tmp_path / "as-folder"
    take(earlier, good)
    take(earlier, folder)

    with pytest.raises(GatewayError, match="exists"):
        take(earlier, good)
    with pytest.raises(GatewayError, match="in the data directory itself"):
        take(earlier, earlier / "backup")
    with pytest.raises(GatewayError, match="no gateway has written"):
        take(tmp_path / "nothing", tmp_path / "x")
    with pytest.raises(GatewayError, match="is not empty"):
        restore(good, earlier)
    with pytest.raises(GatewayError, match="does not exist"):
        restore(tmp_path / "nowhere.tar", tmp_path / "x")

    cut = tmp_path / "cut.tar"
    cut.write_bytes(good.read_bytes()[:-20_000])
    for broken in (cut, earlier):
        with pytest.raises(GatewayError, match=r"not a whole one|is missing|is no backup|not what was backed up"):
            restore(broken, tmp_path / "x")
    flipped = bytearray((folder / "log.db").read_bytes())
    flipped[len(flipped) // 2] ^= 1
    (folder / "log.db").write_bytes(flipped)
    with pytest.raises(GatewayError, match=r"log\.db is not what was backed up"):
        restore(folder, tmp_path / "x")

    answer = said(monkeypatch, capsys, "restore", cut, "--data", tmp_path / "x")
    assert answer.code == 1
    assert "backup" in answer.err
    assert not (tmp_path / "x").exists()
    assert not [*tmp_path.glob("*.part")]


def changed(backup: Path, **said: object) -> None:
    """Write something else into a backup's manifest."""
    before = orjson.loads((backup / NAME).read_bytes())
    (backup / NAME).write_bytes(orjson.dumps(before | said))


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "history/../../evil", "a\\..\\evil"])
def test_a_backup_cannot_write_outside_of_the_data_directory(earlier: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "as-folder"
    take(earlier, folder)
    files = orjson.loads((folder / NAME).read_bytes())["files"]
    changed(folder, files=files | {name: files.pop("format")})
    with pytest.raises(GatewayError, match="is no file of a data directory"):
        restore(folder, tmp_path / "deep" / "x")
    assert not (tmp_path / "evil").exists()


class Synced:
    """What was brought to disk, and what let go of in memory, when something got its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now: set[Path] = set()
        self.when_named: set[Path] = set()
        fsync, fadvise, rename = os.fsync, os.posix_fadvise, Path.rename

        def synced(handle: int) -> None:
            fsync(handle)
            self.now.add(Path(f"/proc/self/fd/{handle}").readlink())

        def advised(handle: int, *advice: int) -> None:
            assert advice == (0, 0, os.POSIX_FADV_DONTNEED)
            assert Path(f"/proc/self/fd/{handle}").readlink() in self.now
            self.forgotten.add(Path(f"/proc/self/fd/{handle}").readlink())
            fadvise(handle, *advice)

        def renamed(source: Path, target: Path) -> Path:
            self.when_named = set(self.now)
            return rename(source, target)

        self.forgotten: set[Path] = set()
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "posix_fadvise", advised)
        monkeypatch.setattr(Path, "rename", renamed)


@pytest.mark.parametrize("name", ["deep/folder/backup", "deep/folder/backup.tar"])
def test_all_of_a_backup_is_on_the_disk_before_it_has_its_name(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Every file, every folder and, after it, whatever new folder it lies in; what is read back comes from the disk."""
    target = tmp_path / name
    disk = Synced(monkeypatch)
    take(earlier, target)
    draft = target.with_name(f"{target.name}.part")
    if target.is_dir():
        made = {draft / path.relative_to(target) for path in target.rglob("*")} | {draft}
        assert disk.forgotten >= {draft / path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    else:
        made = {draft / ".backup-tar"}
        assert disk.forgotten >= made
    assert made - disk.when_named == set()
    assert {target.parent, target.parent.parent, tmp_path} <= disk.now

    disk.now.clear()
    restored = tmp_path / "elsewhere" / "data"
    restore(target, restored)
    draft = restored.with_name("data.part")
    made = {draft / path.relative_to(restored) for path in restored.rglob("*") if not path.name.startswith("log.db-")}
    assert (made | {draft}) - disk.when_named == set()
    assert {restored.parent, tmp_path} <= disk.now


@pytest.mark.parametrize("name", ["backup", "backup.tar"])
def test_what_a_killed_backup_leaves_is_one_thing_and_named(earlier: Path, tmp_path: Path, name: str) -> None:
    """Killed at its very end: what is told to be removed is all there is to remove."""
    script = f"""
import os, pathlib
from tanflow.backup.taking import take
pathlib.Path.rename = lambda *_: os._exit(9)
take(pathlib.Path({str(earlier)!r}), pathlib.Path({str(tmp_path / name)!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    with pytest.raises(GatewayError, match=rf"{name}\.part is left of a backup that was cut off.*remove it first"):
        take(earlier, tmp_path / name)
    shutil.rmtree(tmp_path / f"{name}.part")
    take(earlier, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["data", name])


def test_what_is_made_is_for_nobody_else_to_read(earlier: Path, tmp_path: Path) -> None:
    (earlier / "users.json").write_text("{}")
    take(earlier, tmp_path / "b.tar")
    take(earlier, tmp_path / "b")
    restore(tmp_path / "b.tar", tmp_path / "again")
    made = [tmp_path / "b.tar", *(tmp_path / "b").rglob("*"), *(tmp_path / "again").rglob("*")]
    assert [p for p in made if p.stat().st_mode & 0o077] == []
    assert (tmp_path / "again" / "users.json").exists()
    assert (tmp_path / "again" / MARK).exists()
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames()[0] == NAME
        assert not {"owner", "ballast"} & set(tar.getnames())
