"""What is made of a backup, and where; what killed ones leave; backups somebody has tampered with."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from config.errors import GatewayError
from tanflow.backup import manifest
from tanflow.backup.origin import MARK, Restored
from tanflow.backup.restoring import restore
from tanflow.backup.taking import take
from tanflow.backup.view import left_over, view
from tests.operations.backups import changed, held
from tests.tanflow.command import said


def test_a_folder_a_killed_backup_left_is_removed_whatever_its_number(earlier: Path, tmp_path: Path) -> None:
    """In a container every process has the same few numbers: this one's own, and that of one that runs."""
    left = [earlier / f".backup-{number}" for number in (os.getpid(), os.getppid(), "a1b2")]
    for place in left:
        place.mkdir()
    with view(earlier):
        (alive,) = {*earlier.glob(".backup-*")} - {*left}
        assert left_over(earlier) == []
        take(earlier, tmp_path / "meanwhile")
        assert alive.is_dir()
    assert not [*earlier.glob(".backup-*")]


def test_a_backup_is_restored_into_an_empty_directory_wherever_it_is(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into the root of a disk, which cannot be replaced; behind a link; where one stands. It stays itself."""
    take(earlier, tmp_path / "b.tar")
    wanted = {"format", "history", "ledger.db", "log.db", MARK}
    disk, plain, missing = tmp_path / "disk", tmp_path / "plain", tmp_path / "missing"
    (disk / "lost+found").mkdir(parents=True)
    plain.mkdir()
    (tmp_path / "link").symlink_to("plain")
    (tmp_path / "dangling").symlink_to("missing")
    before = disk.stat().st_ino
    restore(tmp_path / "b.tar", disk)
    restore(tmp_path / "b.tar", tmp_path / "link")
    restore(tmp_path / "b.tar", tmp_path / "dangling")
    assert disk.stat().st_ino == before
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    restore(tmp_path / "b.tar", Path())
    for made in (disk, plain, missing, tmp_path / "here"):
        assert wanted <= {path.name for path in made.iterdir()}
        assert held(made) == held(earlier)
        assert not [*made.glob(".*")]
    with pytest.raises(GatewayError, match="is not empty"):
        restore(tmp_path / "b.tar", plain)


def killed_at(rename: int, backup: Path, place: Path) -> bool:
    """Restore in a process that ends before a rename; return whether there were so many."""
    script = f"""
import os, pathlib
from tanflow.backup.restoring import restore
left, rename = {rename}, pathlib.Path.rename
def renamed(source, target):
    global left
    left -= 1
    return rename(source, target) if left else os._exit(9)
pathlib.Path.rename = renamed
restore(pathlib.Path({str(backup)!r}), pathlib.Path({str(place)!r}))
"""
    return subprocess.run([sys.executable, "-c", script], check=False).returncode == 9


def test_a_restore_killed_in_an_empty_directory_is_named(earlier: Path, tmp_path: Path) -> None:
    """Before each of its renames; no gateway begins on what is left of it, and all that is to be removed is named."""
    take(earlier, tmp_path / "b")
    place, rename = tmp_path / "x", 1
    place.mkdir()
    while killed_at(rename, tmp_path / "b", place):
        left = sorted(path.name for path in place.iterdir())
        assert len(left) == rename
        assert "log.db" not in left
        what = ", ".join(left[1:])
        with pytest.raises(GatewayError, match=rf"{left[0]} is left of a restore that was cut off.*{what}$") as told:
            restore(tmp_path / "b", place)
        assert ("put beside it" in str(told.value)) == (rename > 1)
        for name in left:
            shutil.rmtree(place / name) if (place / name).is_dir() else (place / name).unlink()
        rename += 1
    assert rename > 4
    assert held(place) == held(earlier)


@pytest.mark.parametrize("fails", ["rename", "fsync"])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_restore_that_fails_at_its_end_leaves_nothing(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, is_there: bool
) -> None:
    """The last rename into an existing directory, or the only one of a new one; or the last sync of all."""
    take(earlier, tmp_path / "b")
    place = tmp_path / "x"
    if is_there:
        place.mkdir()
    rename, synced = Path.rename, manifest.synced

    def broken_rename(source: Path, target: Path) -> Path:
        if target in (place, place / "log.db"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source))
        return rename(source, target)

    def broken_sync(path: Path) -> None:
        if path == tmp_path:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        synced(path)

    with monkeypatch.context() as patch:
        if fails == "rename":
            patch.setattr(Path, "rename", broken_rename)
        else:
            patch.setattr(manifest, "synced", broken_sync)
        with pytest.raises(GatewayError, match="x cannot be made: Input/output error"):
            restore(tmp_path / "b", place)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["b", "data", *(["x"] if is_there else [])])
    assert not is_there or not [*place.iterdir()]
    restore(tmp_path / "b", place)
    assert held(place) == held(earlier)


@pytest.mark.parametrize("is_there", [True, False])
def test_of_two_restores_at_once_one_is_refused_and_touches_nothing(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """The other has come between its look and its first step; or is done, and a gateway has begun, before its end."""
    take(earlier, tmp_path / "b")
    place = tmp_path / "x"
    if is_there:
        place.mkdir()
    draft = place / ".backup-restore" if is_there else tmp_path / "x.part"
    mkdir = Path.mkdir

    def late(path: Path, *how: Any, **more: Any) -> None:
        if path == draft:
            mkdir(path)
            (path / "of the other").touch()
        mkdir(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", late)
        with pytest.raises(GatewayError, match=rf"{draft} is left of a restore that was cut off, or of one under way"):
            restore(tmp_path / "b", place)
    assert [path.name for path in draft.iterdir()] == ["of the other"]
    shutil.rmtree(draft)
    settled = manifest.settled

    def begun(folder: Path) -> None:
        settled(folder)
        place.mkdir(exist_ok=True)
        (place / "log.db").write_text("of a gateway")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "settled", begun)
        with pytest.raises(GatewayError, match=r"is not empty|Directory not empty"):
            restore(tmp_path / "b", place)
    assert [path.name for path in place.iterdir()] == ["log.db"]
    assert (place / "log.db").read_text() == "of a gateway"


@pytest.mark.parametrize(
    ("name", "value"),
    [("at_ns", "x"), ("at_ns", 1e30), ("at_ns", -1), ("at_ns", True), ("host", 7), ("files", {"log.db": ["1", ""]})],
)
def test_a_manifest_of_nonsense_is_told_before_anything_is_made(
    earlier: Path, tmp_path: Path, name: str, value: object
) -> None:
    take(earlier, tmp_path / "b")
    changed(tmp_path / "b", **{name: value})
    with pytest.raises(GatewayError, match="is not that of a backup"):
        restore(tmp_path / "b", tmp_path / "x")
    assert {path.name for path in tmp_path.iterdir()} == {"data", "b"}


@pytest.mark.parametrize("at_ns", ["x", 1e30, None])
def test_a_mark_of_nonsense_does_not_end_a_gateway(tmp_path: Path, at_ns: object) -> None:
    (tmp_path / MARK).write_bytes(orjson.dumps({"host": "h", "folder": "f", "made_ns": at_ns, "at_ns": at_ns}))
    assert Restored.of(tmp_path) is None


def test_no_more_is_unpacked_than_a_backup_says_it_holds(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred MB of zeros where the manifest says a few bytes; and a manifest that says more than the disk has."""
    take(earlier, tmp_path / "b")
    with (tmp_path / "b" / "format").open("wb") as file:
        file.truncate(100 << 20)
    written: list[int] = []
    copied = manifest.copied

    def counted(*how: Any) -> tuple[int, str]:
        written.append((done := copied(*how))[0])
        return done

    monkeypatch.setattr(manifest, "copied", counted)
    with pytest.raises(GatewayError, match="format is not what was backed up"):
        restore(tmp_path / "b", tmp_path / "x")
    assert max(written) < 1 << 20
    changed(tmp_path / "b", files={"log.db": [1 << 60, ""]})
    with pytest.raises(GatewayError, match=r"holds 1,152,921,504,607 MB, but only [\d,]+ MB are free"):
        restore(tmp_path / "b", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_a_backup_says_of_itself_colours_no_terminal(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take(earlier, tmp_path / "b")
    changed(tmp_path / "b", host="\x1b[31mred\n2025 ok", folder="\x07", head="\x1b[2J")
    answer = said(monkeypatch, capsys, "restore", tmp_path / "b", "--data", tmp_path / "x")
    assert answer.code == 0
    assert "\\x1b[31mred\\n2025 ok" in answer.err
    changed(tmp_path / "b", files={"\x1b[31mred": [1, ""]})
    answer = said(monkeypatch, capsys, "restore", tmp_path / "b", "--data", tmp_path / "y")
    assert "\\x1b[31mred is missing" in answer.err
    assert not {"\x1b", "\x07"} & {*answer.err, *answer.out}


@pytest.mark.parametrize("name", ["b.tar.gz", "b.TAR", "b.tgz", "b.zip"])
def test_a_name_of_another_archive_becomes_no_directory(earlier: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(GatewayError, match=r"not packed: write .*/b\.tar$"):
        take(earlier, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_full_disk_of_the_target_is_told_as_that(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database of the copy may grow to two pages only, which SQLite tells as a full disk."""
    connect = sqlite3.connect

    def small(*what: Any, **how: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*what, **how)
        if ".part" in str(what[0]):
            made.execute("PRAGMA max_page_count=2")
        return made

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(GatewayError, match=r"/b cannot be written: No space left on device"):
        take(earlier, tmp_path / "b")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_what_is_no_backup_is_told_in_a_line_and_never_waited_for(tmp_path: Path) -> None:
    """A pipe nobody writes to would be waited for for ever, a device may be read for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "words").write_text("energy,kWh\n" * 1_000)
    for source in (tmp_path / "pipe", Path("/dev/zero"), tmp_path / "words"):
        with pytest.raises(GatewayError, match="is no backup") as caught:
            restore(source, tmp_path / "new")
        assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("new")] == []
