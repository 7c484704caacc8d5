"""A backup as files: whole and on the disk before it has its name, for nobody else to read; what is wrong is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import orjson
import pytest

from config.errors import GatewayError
from tanflow.backup.manifest import NAME
from tanflow.backup.origin import MARK
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tests.operations.backups import changed
from tests.tanflow.command import said


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
