"""The journal of preload.c → what a power cut leaves of a directory: what was synced, and any part of what was not."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from tests.faults.preload import Step

_HEAD: Final = struct.Struct("<IIIIQq")
_SECTOR: Final = 512


class Record(NamedTuple):
    """One act upon the directory; `at` is an offset, a length or, of a sync, how far the journal was when it began."""

    kind: Step
    inode: int
    at: int
    name: str
    data: bytes


class Change(NamedTuple):
    """A write, or with no data a change of length, that is not yet on the disk."""

    since: int  # where in the journal
    at: int
    data: bytes | None


@dataclass(eq=False)
class File:
    """What the disk holds of a file, and what it was told since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def take(self, change: Change) -> None:
        if change.data is None:
            del self.synced[change.at :]
            self.synced.extend(bytes(change.at - len(self.synced)))
        else:
            self.synced.extend(bytes(max(0, change.at - len(self.synced))))
            self.synced[change.at : change.at + len(change.data)] = change.data


class Naming(NamedTuple):
    """A name that was given to a file or, without one, taken away; not yet on the disk."""

    since: int
    name: str
    file: File | None
    made: bool = False  # the file came into being with it


@dataclass
class Directory:
    """The files of a directory as the disk has them, rebuilt from what stood there and the journal since.

    Syncing a file brings its contents and, as ext4, XFS and Btrfs do, the name it was made with. Any other name is on
    the disk once its directory is synced; names keep their order among each other, contents keep none.
    """

    root: Path
    names: dict[str, File] = field(default_factory=dict)
    _now: dict[str, File] = field(default_factory=dict)
    _inodes: dict[int, File] = field(default_factory=dict)
    _namings: list[Naming] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in self.root.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                self.names[str(path)] = self._inodes[path.stat().st_ino] = File(bytearray(path.read_bytes()))
        self._now = dict(self.names)

    def follow(self, journal: Path) -> None:
        """Do what the journal tells."""
        for since, record in records(journal):
            match record.kind:
                case Step.WRITE | Step.TRUNCATE:
                    data = record.data if record.kind is Step.WRITE else None
                    self._inodes[record.inode].pending.append(Change(since, record.at, data))
                case Step.OPEN:
                    file = self._inodes[record.inode] = File()
                    self._name(Naming(since, record.name, file, made=True))
                case Step.UNLINK:
                    self._name(Naming(since, record.name, None))
                case Step.RENAME:
                    self._name(Naming(since, record.data.decode(), self._now[record.name]))
                    self._name(Naming(since, record.name, None))
                case Step.SYNC:
                    self._sync(record)

    def _name(self, naming: Naming) -> None:
        self._namings.append(naming)
        _give(self._now, naming)

    def _sync(self, record: Record) -> None:
        file = self._inodes.get(record.inode)

        def meant(n: Naming) -> bool:
            return n.since < record.at and (
                n.made and n.file is file if not record.name else n.name.rpartition("/")[0] == record.name
            )

        for naming in filter(meant, self._namings):
            _give(self.names, naming)
        self._namings = [n for n in self._namings if not meant(n)]
        if file is not None and not record.name:
            for change in (c for c in file.pending if c.since < record.at):
                file.take(change)
            file.pending = [c for c in file.pending if c.since >= record.at]

    def on_disk(self, path: Path) -> bool:
        """Return whether every write to a file has been synced; the sync has returned then."""
        file = self._now.get(str(path))
        return file is not None and not file.pending

    def untold(self) -> list[str]:
        """Return the files that are not as the journal says: something was done past it."""
        found = {str(p) for p in self.root.rglob("*") if p.is_file() and not p.name.endswith("-shm")}
        both = found & self._now.keys()
        return sorted(found ^ self._now.keys()) + [p for p in both if Path(p).read_bytes() != _all(self._now[p])]

    def lose_power(self, chance: Random) -> int:
        """Write what a cut might have left: of what is not synced some, in no order, a write perhaps half.

        Return how many acts were lost.
        """
        share, lost = chance.choice((0.0, 0.5, 0.9)), 0
        keep = int(share * (len(self._namings) + 1))
        for naming in self._namings[:keep]:
            _give(self.names, naming)
        for file in self.names.values():
            for change in file.pending:
                if chance.random() < share:
                    file.take(_torn(change, chance) if chance.random() < 0.1 else change)
                else:
                    lost += 1
        lost += len(self._namings) - keep
        folders = [p.relative_to(self.root) for p in self.root.rglob("*") if p.is_dir()]
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in (Path(), *folders):
            (self.root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, file in self.names.items():
            Path(name).write_bytes(file.synced)
        return lost


def records(journal: Path) -> Iterator[tuple[int, Record]]:
    """Yield (where, record); what a kill left half written at the end did not happen."""
    text, at = journal.read_bytes(), 0
    while at + _HEAD.size <= len(text):
        kind, name, data, _, inode, where = _HEAD.unpack_from(text, at)
        start = at + _HEAD.size
        if start + name + data > len(text):
            return
        told = text[start : start + name].decode()
        yield at, Record(Step(kind), inode, where, told, text[start + name : start + name + data])
        at = start + name + data


def _give(names: dict[str, File], naming: Naming) -> None:
    if naming.file is None:
        names.pop(naming.name, None)
    else:
        names[naming.name] = naming.file


def _all(file: File) -> bytes:
    whole = File(bytearray(file.synced))
    for change in file.pending:
        whole.take(change)
    return bytes(whole.synced)


def _torn(change: Change, chance: Random) -> Change:
    """Return the first sectors of a write."""
    if change.data is None:
        return change
    return change._replace(data=change.data[: _SECTOR * chance.randrange(1 + len(change.data) // _SECTOR)])
