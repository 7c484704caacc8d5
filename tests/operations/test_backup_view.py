"""The history is compacted while a backup copies it: the files of the view are held, or what went is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from config.errors import GatewayError
from tanflow.backup.taking import take
from tanflow.backup.view import left_over
from tests.operations.backups import held


class Compaction:
    """Takes the raw files away once the view of them is there, as putting them together does."""

    def __init__(self, data: Path) -> None:
        self.files = sorted((data / "history" / "raw").glob("*.parquet"))

    def __call__(self, told: str) -> None:
        if told.startswith("copying") and told.endswith("files of the history"):
            for file in self.files:
                file.unlink()


def test_a_history_on_a_disk_of_its_own_is_held(earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link from one file system to another is refused (EXDEV), link(2)."""
    rows, compaction, link = held(earlier), Compaction(earlier), os.link

    def one_disk(source: Path, target: Path) -> None:
        disks = [(earlier / "history") in path.parents for path in (source, target)]
        if disks[0] != disks[1]:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        link(source, target)

    monkeypatch.setattr(os, "link", one_disk)
    take(earlier, tmp_path / "b", compaction)
    assert not compaction.files[0].exists()
    assert held(tmp_path / "b") == rows
    assert not [*earlier.rglob(".backup-*")]


def test_where_nothing_can_be_held_what_went_is_told(
    earlier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without hard links (EPERM); the disk of the backup is not to blame."""
    compaction = Compaction(earlier)

    def none(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(source))

    monkeypatch.setattr(os, "link", none)
    with pytest.raises(GatewayError, match=r"was put together with others before it was copied.*take the backup again"):
        take(earlier, tmp_path / "b", compaction)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_what_a_killed_backup_left_beside_the_history_is_found(earlier: Path) -> None:
    left = earlier / "history" / ".backup-a1b2"
    left.mkdir()
    assert left_over(earlier) == [left]
