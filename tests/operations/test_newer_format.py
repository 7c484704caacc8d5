"""Data of a format this version does not know: each command that opens them refuses in the same words, writing none."""

from __future__ import annotations

import pytest

from config.errors import GatewayError
from config.model import Data
from pipeline.log.directory import FORMAT
from tanflow.ground import open_ground
from tests.operations.asking import finding, wrong
from tests.operations.test_doctor import Still, still
from tests.tanflow.command import said

__all__ = ["still"]

COMMANDS = (
    "status --data {data}", "tail --data {data}", "deadletters --data {data}", "ledger verify --data {data}",
    "backup {data}/../copy.tar --data {data}", "users list --data {data}", "users remove anna --data {data}",
    "certs list --data {data}", "resend --from 2026-01-01 -c {config} --data {data}",
    "gaps list -c {config} --data {data}", "commission list -c {config} --data {data}",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_it_is_refused_in_the_same_words(
    still: Still, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    still.write("sinks:\n  db: {type: influxdb, api: v1, url: 'http://127.0.0.1:1', database: x}\n")
    (still.data / "format").write_text("tanflow-data 99\n")
    before = {p: p.stat().st_mtime_ns for p in still.data.rglob("*")}
    code, told = said(monkeypatch, capsys, *command.format(data=still.data, config=still.config).split()).both
    assert code == 1, told
    assert f"format says 'tanflow-data 99'; this version reads {FORMAT.strip()!r}" in " ".join(told.split())
    assert {p: p.stat().st_mtime_ns for p in still.data.rglob("*")} == before


async def test_the_gateway_and_the_doctor_too(still: Still) -> None:
    (still.data / "format").write_text("tanflow-data 99\n")
    with pytest.raises(GatewayError, match="says 'tanflow-data 99'; this version reads"):
        async with open_ground(Data(dir=still.data, ballast_mb=1)):
            pass
    told = still.ask()
    assert finding(told, "says 'tanflow-data 99'; this version reads", "data directory")
    assert len(wrong(told)) == 2  # no gateway runs, besides
