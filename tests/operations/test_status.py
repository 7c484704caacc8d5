"""What `tanflow status` says of readers of the log that are not read for any more."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from pipeline.log.log import LogReader
from tests.operations.test_doctor import Still, still
from tests.tanflow.command import said

__all__ = ["still"]


def test_a_reader_the_log_has_not_waited_for_is_gone(
    still: Still, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sink that was taken out, not one that is merely behind."""
    still.put("INSERT OR REPLACE INTO cursors VALUES ('taken-out', 3, x''), ('behind', 9, x'')")
    still.put("DELETE FROM log WHERE position < 10")
    with closing(LogReader(still.data)) as reader:
        rows = reader.rows_after(9)
    out = said(monkeypatch, capsys, "status", "--data", still.data).out
    assert re.search(r"^taken-out +3 +gone from the configuration *$", out, re.M)
    assert re.search(rf"^behind +9 +{rows} *$", out, re.M)
    assert out.count("gone from") == 1
