"""The report over HTTP is the file the command makes; who took it is recorded."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import orjson
import pytest
from openpyxl import load_workbook
from typer.testing import CliRunner

from pipeline.acts import acts
from tanflow.cli import app
from tests.tanflow.asked_plant import DAY_S, HOUR_S, IMPORT, asked_plant

NOW_S = 3 * DAY_S
KINDS = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}


async def test_every_format_is_the_file_of_the_command(tmp_path: Path) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        await plant.steady(IMPORT, 0, DAY_S, 100.0)
        await plant.book(DAY_S + HOUR_S)
        for kind, media in KINDS.items():
            answer = await plant.client.get(f"/api/report?year=2025&month=1&format={kind}&lang=zh-CN")
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == media
            assert answer.headers["content-disposition"] == f'attachment; filename="report-2025-01.{kind}"'
            if kind == "csv":
                written = tmp_path / "r.csv"
                order = ["report", "--year", "2025", "--month", "1", "--format", "csv", "--lang", "zh-CN"]
                order += ["-c", str(tmp_path / "gateway.yaml"), "--data", str(plant.folder), "--out", str(written)]
                assert (await asyncio.to_thread(CliRunner().invoke, app, order)).exit_code == 0
                assert answer.content == written.read_bytes()
            if kind == "xlsx":
                assert len(load_workbook(io.BytesIO(answer.content)).sheetnames) > 3
            if kind == "json":
                assert orjson.loads(answer.content)["language"] == "zh-CN"
        taken = [act for act in acts(plant.gateway.log.reader, 10, None) if act["what"] == "export"]
        assert len(taken) == len(KINDS)
        assert taken[0]["about"]["file"] == "report-2025-01.csv"


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("year=2025", "no entry in 2025"),
        ("", "is no year"),
        ("year=twenty", "is no year"),
        ("year=2025&month=13", "is no month"),
        ("year=2025&format=pdf", "none of html"),
        ("year=2025&lang=fr", "none of en"),
        ("year=2025&month=1&month=2", "given 2 times"),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(tmp_path: Path, question: str, says: str) -> None:
    async with asked_plant(tmp_path, NOW_S) as plant:
        answer = await plant.client.get(f"/api/report?{question}")
        assert answer.status_code == 400
        assert says in answer.json()["error"]
