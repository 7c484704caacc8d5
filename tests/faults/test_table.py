"""The table tells what was judged, and a dash where nothing was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.stages import Verdict
from tests.faults.table import Fault, happened


def test_an_energy_that_was_not_judged_is_no_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_SEEN", tmp_path)
    happened(Fault("OPC UA", "nobody's energy", Verdict(5, 0, 0, None, {})))
    happened(Fault("Modbus", "a meter's", Verdict(5, 0, 0, 0.0004, {"timeout": 2}), 1.26))
    told = table.table(tmp_path)
    assert "| nobody's energy | 5 | 0 | 0 | – | – | – |" in told
    assert "| a meter's | 5 | 0 | 0 | 0.000400 | 1.3 s | timeout 2 |" in told


def test_stretches_of_time_together_are_as_bad_as_both() -> None:
    whole = Verdict(5, 1, 0, None, {"timeout": 2}) + Verdict(7, 0, 2, 0.002, {"timeout": 1, "reset": 1})
    assert whole == Verdict(12, 1, 2, 0.002, {"timeout": 3, "reset": 1})
    assert not whole.sound()
    assert Verdict(5, 0, 0, None, {}).sound()
    assert not Verdict(5, 0, 0, 0.002, {}).sound()
