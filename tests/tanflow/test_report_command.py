"""`tanflow report` as a person uses it: every format, both languages, and what is told when there is nothing."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from tests.carbon import report_cases as cases
from tests.tanflow.command import Said, said

CONFIG = """version: 1
site: {name: dongguan-1, region: CN-GD, zone: Asia/Shanghai}
connections: {floor: {protocol: modbus}}
areas:
  supply:
    assets:
      main-meter: {type: meter, devices: {m: {connection: floor, address: 10.0.0.1/1, template: eastron_sdm630}}}
"""
Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Tanflow:
    """Call the command in a folder with a configuration and the ledger of a plant."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.yaml").write_text(CONFIG)
    cases.plant(tmp_path / "data").close()

    def call(*arguments: object) -> Said:
        return said(monkeypatch, capfd, "report", *arguments)

    return call


def test_every_format_is_written_where_one_looks_for_it(tanflow: Tanflow, tmp_path: Path) -> None:
    for format in ("html", "xlsx", "json", "csv"):
        code, _, err = tanflow("--year", 2025, "--format", format)
        assert (code, err.split(":")[0]) == (0, f"report-2025.{format}")
        assert (tmp_path / f"report-2025.{format}").stat().st_size > 10_000
    assert "10,854.093" in (tmp_path / "report-2025.html").read_text()
    assert json.loads((tmp_path / "report-2025.json").read_text())["figures"]["location_kg"] == 10_854_092.722129
    assert openpyxl.load_workbook(tmp_path / "report-2025.xlsx").sheetnames[0] == "Cover"


def test_a_month_in_chinese_as_it_stood_before_its_restatement(tanflow: Tanflow, tmp_path: Path) -> None:
    code, _, _ = tanflow("--year", 2025, "--month", 3, "--lang", "zh-CN", "--out", "now.html")
    assert code == 0
    code, out, _ = tanflow("--year", 2025, "--month", 3, "--as-of", 40, "--format", "json", "--out", "-")
    assert code == 0
    before = json.loads(out)
    assert before["cover"]["ledger"]["seq"] == 40
    assert before["tables"]["restatements"]["rows"] == []
    page = (tmp_path / "now.html").read_text()
    # 917.425 t now; 60.462 t less as first reported.
    assert all(words in page for words in ("917.425", "60.462", "重述", "基于位置"))
    assert before["figures"]["location_kg"] == pytest.approx(917_425 - 60_462, abs=1)


def test_mistakes_are_sentences(tanflow: Tanflow, tmp_path: Path) -> None:
    code, _, err = tanflow("--year", 2019)
    assert (code, err.startswith("tanflow: the ledger has no entry in 2019")) == (1, True)
    code, _, err = tanflow("--year", 2025, "--as-of", 999)
    assert (code, err.startswith("tanflow: the ledger has no block 999")) == (1, True)
    code, _, err = tanflow("--year", 2025, "--out", tmp_path / "no" / "where.html")
    assert code == 1
    assert "where.html cannot be written: No such file or directory; choose another --out" in err
    code, _, err = tanflow("--year", 2025, "--format", "xlsx", "--out", "-")
    assert (code, "give it a file" in err) == (1, True)
    code, _, err = tanflow("--year", 2025, "--data", tmp_path / "elsewhere")
    assert code == 1


@pytest.mark.parametrize("format", ["html", "xlsx", "json", "csv"])
def test_a_report_that_cannot_be_written_leaves_the_one_there_was(
    tanflow: Tanflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    before = tmp_path / f"report-2025.{format}"
    before.write_text("the last one")

    def full(path: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    code, _, err = tanflow("--year", 2025, "--format", format)
    assert (code, "No space left on device; choose another --out" in err) == (1, True)
    assert before.read_text() == "the last one"
    assert not list(tmp_path.glob(".*.tmp"))
