"""A configuration → what `tanflow doctor` says of its gateway, asked as a user does, at the time a test wants."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from tanflow.cli import main
from tests.waiting import until_sync

_PATIENCE_S: Final = 300.0
_PACE_S: Final = 0.5  # between two looks: each reads the whole log


def doctor(config: Path, *options: str, at_ns: int = 0) -> tuple[int, dict[str, Any]]:
    """Return its exit code and what it found; `at_ns` is the machine's clock [ns UTC], 0: the true one."""
    into = io.StringIO()
    clock = SimpleNamespace(time_ns=lambda: at_ns or time.time_ns())
    argv = ["tanflow", "doctor", "-c", str(config), "--json", *options]
    with redirect_stdout(into), patch.object(sys, "argv", argv), patch("tanflow.doctor.visit.time", clock):
        try:
            main()
        except SystemExit as ended:
            return int(ended.code or 0), json.loads(into.getvalue())
    raise AssertionError("a command ends with an exit code")


def wrong(said: dict[str, Any], about: str = "") -> list[str]:
    """Return the sentences of what is wrong, of one thing."""
    return [f["what"] for f in said["findings"] if f["wrong"] and f["about"].startswith(about)]


def finding(said: dict[str, Any], words: str, about: str = "") -> dict[str, Any]:
    """Return the one finding that says so; it is wrong, and says what to do."""
    found = [f for f in said["findings"] if words in f["what"] and f["about"].startswith(about)]
    assert len(found) == 1, (words, said["findings"])
    assert found[0]["wrong"]
    assert found[0]["do"]
    return dict(found[0])


def until_asked(config: Path, holds: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
    """Ask until what is said holds, and return it; fails with what was said last."""
    said: dict[str, Any] = {}

    def asked() -> bool:
        if said:
            time.sleep(_PACE_S)
        said.update(doctor(config)[1])
        return bool(holds(said))

    try:
        until_sync(asked, _PATIENCE_S, what)
    except AssertionError as error:
        raise AssertionError(f"{error}; last said: {said['findings']}") from error
    return said


def until_told(config: Path, words: str, about: str) -> dict[str, Any]:
    """Ask until a finding about something says so, and return it, see `finding`."""
    said = until_asked(config, lambda said: any(words in w for w in wrong(said, about)), words)
    return finding(said, words, about)


def until_well(config: Path, about: str = "") -> dict[str, Any]:
    """Ask until nothing is wrong any more, or nothing of one thing; return what is said."""
    return until_asked(config, lambda said: not wrong(said, about), f"the doctor is content with {about or 'all'}")
