"""The document benchmarks write: blocks are found again, kept and named after what made them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import report, run


def test_blocks_replace_only_themselves_and_come_in_order(tmp_path: Path) -> None:
    path = tmp_path / "PERFORMANCE.md"
    path.write_text("# Old\n\nA table of long ago.\n")
    for name, text in (("soak_month", "a month"), ("drain", "first"), ("gateway", "a plant"), ("drain", "second")):
        report.put_block(path, name, text)
    report.head(path)
    report.in_order(path, ("gateway", "drain"))
    text = path.read_text()
    assert text.startswith("# Performance")
    assert [part for part in ("a plant", "second", "a month") if part in text] == ["a plant", "second", "a month"]
    assert text.index("a plant") < text.index("second") < text.index("a month")
    assert "long ago" not in text
    assert "first" not in text


def test_text_between_blocks_is_not_lost_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "PERFORMANCE.md"
    path.write_text("# P\n\n<!-- a -->\nx\n<!-- /a -->\n\na note\n")
    with pytest.raises(ValueError, match="a note"):
        report.in_order(path, ("a",))
    assert "a note" in path.read_text()


def test_a_block_is_headed_by_the_command_that_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["soak.py", "--hours", "0.2", "--name", "a b"])
    assert "`python -m benchmarks.soak --hours 0.2 --name 'a b'`" in report.heading("Soak", "soak")


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import time; time.sleep(3600)"])
def test_a_benchmark_that_fails_or_hangs_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(run, "python", lambda *_: [sys.executable, "-c", code])
    monkeypatch.setattr(run, "MOST_S", 1.0)
    assert not run.ended_well("any")


def test_a_benchmark_that_ends_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "python", lambda *_: [sys.executable, "-c", ""])
    assert run.ended_well("any")


def test_every_benchmark_that_writes_a_block_has_a_target() -> None:
    writing = {path.stem for path in (report.ROOT / "benchmarks").glob("*.py") if "put_block(ROOT" in path.read_text()}
    assert writing == {*run.SPEED, *run.OTHERS, "soak"}
