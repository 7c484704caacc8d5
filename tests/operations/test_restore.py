"""What is made of a backup, and where; what killed ones leave; backups somebody has tampered with."""

from __future__ import annotations

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
from tests.operations.test_backup import changed, held
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


def test_a_restore_killed_in_an_empty_directory_is_named(earlier: Path, tmp_path: Path) -> None:
    take(earlier, tmp_path / "b")
    place = tmp_path / "x"
    place.mkdir()
    script = f"""
import os, pathlib
from tanflow.backup.restoring import restore
pathlib.Path.rename = lambda *_: os._exit(9)
restore(pathlib.Path({str(tmp_path / "b")!r}), pathlib.Path({str(place)!r}))
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    (left,) = place.iterdir()
    with pytest.raises(GatewayError, match=rf"{left} is left of a restore that was cut off.*remove it first"):
        restore(tmp_path / "b", place)
    shutil.rmtree(left)
    restore(tmp_path / "b", place)
    assert held(place) == held(earlier)


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
