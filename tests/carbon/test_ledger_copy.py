"""A copy of a ledger somebody else writes to all the while, or holds for too long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from carbon.ledger import file as ledger_file
from carbon.ledger.file import FILE, LedgerFile
from config.errors import Unavailable

PAPER = b"x" * 100_000  # some twenty-five pages each


def write(folder: Path) -> None:
    with LedgerFile(folder, write=True) as file:
        file.begin()
        file.append("document", 0, PAPER)
        file.commit()


def test_a_ledger_that_is_written_between_any_two_pieces_is_copied_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite begins anew each time: with that it would never come to the end."""
    monkeypatch.setattr(ledger_file, "_COPIED_PAGES", 10)
    write(tmp_path)
    pieces = []

    class Amid(ledger_file._Patience):
        """Another process writes whenever a piece has been copied."""

        def __call__(self, status: int, left: int, pages: int) -> None:
            pieces.append(left)
            if left:
                writer.begin()
                writer.set_cursor(len(pieces), b"")
                writer.commit()
            super().__call__(status, left, pages)

    monkeypatch.setattr(ledger_file, "_Patience", Amid)
    with LedgerFile(tmp_path, write=True) as writer, LedgerFile(tmp_path, write=False) as file:
        file.copy_to(tmp_path / "copy.db")
    assert len(pieces) == ledger_file._COPY_TRIES + 2
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT seq, body FROM chain").fetchall() == [(1, PAPER)]


def test_a_ledger_that_another_process_does_not_let_go_of_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_file, "_BUSY_S", 0.2)
    write(tmp_path)
    with LedgerFile(tmp_path, write=False) as file, closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match=r"ledger\.db is being written by another process; try again"):
            file.copy_to(tmp_path / "copy.db")
