"""Arguments of the command line → what it says and its exit code, called within the test's process."""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from tanflow.cli import main


class Said(NamedTuple):
    """Exit code, output and errors of a command."""

    code: int
    out: str
    err: str

    @property
    def both(self) -> tuple[int, str]:
        """The exit code, and output and errors as one text."""
        return self.code, self.out + self.err


def said(monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], *arguments: object) -> Said:
    """Call `tanflow` with arguments; no mistake of a user ends in a traceback."""
    monkeypatch.setattr(sys, "argv", ["tanflow", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capture.readouterr()
    assert "Traceback" not in told.err
    return Said(ended.value.code if isinstance(ended.value.code, int) else 0, told.out, told.err)
