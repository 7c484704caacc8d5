"""`tanflow users`: who may sign in, from the command line; no password is ever an argument or printed."""

from __future__ import annotations

import io
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tanflow.cli import main
from tanflow.web.access.users import FILE, read
from tests.tanflow.web import PASSWORD
from tests.waiting import until_sync

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command within this process, with standard input as given."""

    def call(*arguments: str, typed: str = "") -> int:
        monkeypatch.setattr(sys, "argv", ["tanflow", "users", *arguments, "--data", str(tmp_path)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return call


def test_users_are_added_listed_changed_and_removed(run: Run, tmp_path: Path, capsys: Capture) -> None:
    assert run("add", "Ann", "--role", "operator", "--password-stdin", typed=PASSWORD + "\n") == 0
    assert "must" not in (said := capsys.readouterr().out)
    assert "without signing in" in said
    before = read(tmp_path / FILE)["Ann"]
    assert (before.role, before.knows(PASSWORD)) == ("operator", True)
    assert run("password", "Ann", "--password-stdin", typed="quite another one") == 0
    after = read(tmp_path / FILE)["Ann"]
    assert (after.role, after.knows("quite another one"), after.salt != before.salt) == ("operator", True, True)
    assert run("list") == 0
    assert "acknowledge, read, silence" in capsys.readouterr().out
    assert run("remove", "Ann") == 0
    assert "no user is left" in capsys.readouterr().out
    assert read(tmp_path / FILE) == {}
    assert run("list") == 0
    assert "nobody needs to sign in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "typed", "code", "sentence"),
    [
        (("add", "Bo", "--role", "viewer", "--password-stdin"), "short", 1, "10 to 256 characters"),
        (("add", "Bo", "--role", "viewer", "--password-stdin"), "", 1, "10 to 256 characters"),
        (("add", "ann", "--role", "viewer", "--password-stdin"), PASSWORD, 1, "there is a user 'Ann' already"),
        (("add", "local", "--role", "viewer", "--password-stdin"), PASSWORD, 1, "a meaning of its own"),
        (("add", "Bo", "--role", "king", "--password-stdin"), PASSWORD, 2, "king"),
        (("add", "Bo", "--role", "viewer"), PASSWORD, 1, "--password-stdin"),
        (("add", "Bo", "--role", "viewer", "--password", PASSWORD), "", 2, "--password"),
        (("password", "An", "--password-stdin"), PASSWORD, 1, "did you mean 'Ann'?"),
        (("remove", "An"), "", 1, "did you mean 'Ann'?"),
    ],
)
def test_what_cannot_be_is_told(
    run: Run, capsys: Capture, arguments: tuple[str, ...], typed: str, code: int, sentence: str
) -> None:
    assert run("add", "Ann", "--role", "viewer", "--password-stdin", typed=PASSWORD) == 0
    capsys.readouterr()
    assert run(*arguments, typed=typed) == code
    said = capsys.readouterr()
    assert sentence in said.err
    assert PASSWORD not in said.out + (said.err if "--password" not in arguments else "")


def test_without_a_data_directory_it_says_so(run: Run, tmp_path: Path, capsys: Capture) -> None:
    tmp_path.rmdir()
    assert run("add", "Ann", "--role", "viewer", "--password-stdin", typed=PASSWORD) == 1
    assert "is no data directory" in capsys.readouterr().err


def test_on_a_terminal_the_password_is_asked_twice_and_not_shown(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "tanflow", "users", "add", "Ann", "--role", "viewer", "--data", str(tmp_path)]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program[0], program)
    shown = b""

    def see(text: bytes) -> bool:
        nonlocal shown
        shown += os.read(terminal, 4_096)
        return text in shown

    until_sync(lambda: see(b"Password of Ann: "), what="the first question")
    os.write(terminal, PASSWORD.encode() + b"\n")
    until_sync(lambda: see(b"Once more: "), what="the second question")
    os.write(terminal, PASSWORD.encode() + b"\n")
    until_sync(lambda: see(b"may sign in as viewer"), what="that it is done")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(terminal)
    assert PASSWORD.encode() not in shown
    assert read(tmp_path / FILE)["Ann"].knows(PASSWORD)


def test_of_a_directory_that_is_not_there_nothing_is_said(run: Run, tmp_path: Path, capsys: Capture) -> None:
    tmp_path.rmdir()
    assert run("list") == 1
    told = capsys.readouterr()
    assert "no users" not in told.out
    assert "is no data directory" in told.err
