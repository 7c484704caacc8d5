"""The JSON schema for editors is what the models say."""

import json

import pytest

from config import schema
from config.quantities import QUANTITIES


def test_the_file_is_fresh() -> None:
    assert schema.main(["--check"]) == 0, "run: python -m config.schema"


def test_a_stale_file_is_told_and_can_be_written(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema, "FILE", tmp_path / "s.json")  # type: ignore[operator]
    assert schema.main(["--check"]) == 1
    assert "run: python -m config.schema" in capsys.readouterr().err
    assert schema.main([]) == 0
    assert schema.main(["--check"]) == 0
    assert schema.main(["--what"]) == 2


def test_editors_know_quantities_templates_and_refuse_unknown_keys() -> None:
    data = json.loads(schema.FILE.read_text("utf-8"))
    quantities = set(data["$defs"]["Point"]["properties"]["quantity"]["enum"])
    assert {"power", "energy_index", "count"} <= quantities < set(QUANTITIES)
    assert "eastron_sdm630" in json.dumps(data["$defs"]["Device"]["properties"]["template"])
    assert data["additionalProperties"] is False
