"""Papers over real HTTP: handed in, entered, approved, listed; and nobody else may."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from carbon.ledger import Ledger
from carbon.papers import evidence
from config.model import Api
from config.strict import Secret
from tests.carbon.papers import xlsx
from tests.services.ports import free_port
from tests.tanflow.web import Site, open_site

JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
XLSX = {"content-type": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
PDF = {"content-type": "application/pdf"}
ROW = {"kind": "delivery", "asset": "pump", "carrier": "diesel", "from": "2025-03-01", "to": "2025-03-31",
       "quantity": 3.1, "unit": "t"}  # fmt: skip
HEAD = ["kind", "asset", "carrier", "from", "to", "quantity", "unit"]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


def amounts(site: Site) -> list[int]:
    with Ledger.open(site.gateway.directory.path) as ledger:
        numbers = [n for n, line in ledger.lines.items() if line.stream == "pump.diesel"]
        return [amount for part in ledger.read(lines=numbers) for amount in part.amount.tolist()] if numbers else []


async def enter(site: Site, **changes: object) -> httpx.Response:
    body = {"by": "Ann", "approved_by": "Bo", "rows": [ROW]} | changes
    return await site.client.post("/api/documents", json=body)


async def test_rows_are_entered_and_listed(site: Site) -> None:
    answer = await enter(site)
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["state"], said["entries"], said["notes"]) == ("in force", 1, [])
    assert amounts(site) == [3_100_000]
    (row,) = (await site.client.get("/api/documents")).json()["documents"]
    assert (row["seq"], row["by"], row["approved_by"]) == (said["documents"][0], "Ann", "Bo")
    assert (row["row"]["quantity"], row["origin"]) == ("3.1", "request:1")
    assert (site.gateway.directory.path / evidence.FOLDER / row["sha256"]).is_file()  # the request itself
    again = await enter(site)
    assert again.status_code == 400
    assert "was entered already" in again.json()["error"]


async def test_without_approval_they_wait_for_somebody_else(site: Site) -> None:
    number = (await enter(site, approved_by="")).json()["documents"][0]
    assert amounts(site) == []
    assert len((await site.client.get("/api/documents?state=pending")).json()["documents"]) == 1
    refused = await site.client.post("/api/documents/approve", json={"documents": [number], "by": "ann"})
    assert (refused.status_code, "second person" in refused.json()["error"]) == (400, True)
    approved = await site.client.post("/api/documents/approve", json={"documents": [number], "by": "Bo"})
    assert (approved.status_code, approved.json()["entries"]) == (201, 1)
    assert amounts(site) == [3_100_000]
    assert (await site.client.get("/api/documents?state=pending")).json() == {"documents": [], "more": False}


async def test_sheets_are_entered_as_they_are(site: Site) -> None:
    line = ",".join(map(str, ROW.values()))
    csv = f"{','.join(HEAD)}\n{line}\n".encode()
    asked = "/api/documents?name=march.csv&by=Ann&approved_by=Bo"
    answer = await site.client.post(asked, content=csv, headers=CSV)
    assert answer.status_code == 201, answer.text
    rows = [HEAD, [*ROW.values()], [*(ROW | {"from": "2025-04-01", "to": "2025-04-30"}).values()]]
    rows[1][5] = "1,5"
    answer = await site.client.post(
        asked.replace("csv", "xlsx") + "&sheet=Fuel", content=xlsx(rows, "Fuel"), headers=XLSX
    )
    (mistake,) = answer.json()["mistakes"]
    assert (answer.status_code, mistake["row"], mistake["where"]) == (400, 2, "Fuel!F2")
    assert amounts(site) == [3_100_000]


async def test_a_scan_is_handed_in_first(site: Site) -> None:
    answer = await site.client.post("/api/documents/file", content=b"%PDF-1.7 scan", headers=PDF)
    name = answer.json()["document"]
    assert (answer.status_code, name) == (201, f"sha256:{evidence.sha256(b'%PDF-1.7 scan')}")
    assert (await enter(site, rows=[ROW | {"document": name}])).status_code == 201
    unknown = await enter(site, rows=[ROW | {"document": "scan.pdf", "quantity": 1}])
    assert "a request cannot name a file" in unknown.json()["error"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("[]", "the body is an object with rows, by, approved_by"),
        ("{", "the body is not JSON"),
        ('{"rows": [1], "by": "Ann"}', "rows: is a list"),
        ('{"rows": [{"kind": true}], "by": "Ann"}', "request:1: kind: is neither short text nor a number"),
        ('{"rows": [{"kind": {"a": 1}}], "by": "Ann"}', "is neither short text"),
        ('{"rows": [], "by": "Ann"}', "holds no rows"),
        ('{"rows": [], "by": 5}', "by: is the name of a person"),
        ('{"rows": [], "by": ""}', "say who enters it"),
        ('{"rows": [], "by": "Ann", "more": 1}', "not 'more'"),
        ('{"rows": [{"kind": "delivery", "asset": "../../x"}], "by": "Ann"}', "asset: "),
    ],
)
async def test_what_cannot_be_meant_is_a_sentence(site: Site, body: str, sentence: str) -> None:
    answer = await site.client.post("/api/documents", content=body, headers=JSON)
    assert answer.status_code == 400
    assert sentence in answer.text


async def test_a_web_site_cannot_enter_anything(site: Site) -> None:
    own = f"http://127.0.0.1:{site.port}"
    for origin in ("https://evil.example", "null", f"http://localhost:{site.port + 1}"):
        answer = await site.client.post("/api/documents", json={}, headers={"origin": origin})
        assert answer.status_code == 403
    assert (await site.client.post("/api/documents", json={}, headers={"origin": own})).status_code == 400
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = await site.client.post("/api/documents", content=b"{}", headers={"content-type": kind})
        assert (answer.status_code, "content-type" in answer.json()["error"]) == (400, True)
    for path in ("/api/latest", "/", "/api/documents/nothing"):
        assert (await site.client.post(path, json={})).status_code == 405
    rebound = await site.client.post("/api/documents", json={}, headers={"host": "evil.example"})
    assert rebound.status_code == 421


async def test_the_token_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    async with open_site(tmp_path, Api(port=free_port(), token=Secret(file=tmp_path / "token"))) as site:
        assert (await enter(site)).status_code == 401
        site.client.headers["authorization"] = "Bearer secret"
        assert (await enter(site)).status_code == 201


async def test_a_body_is_bounded(site: Site) -> None:
    answer = await site.client.post("/api/documents?by=Ann", content=b"x" * (17 << 20), headers=CSV)
    assert (answer.status_code, "larger than 16 MiB" in answer.text) == (400, True)


async def test_the_list_is_read_in_parts(site: Site) -> None:
    rows = [ROW | {"document_number": f"D{number}"} for number in range(3)]
    numbers = (await enter(site, rows=rows)).json()["documents"]
    after = (await site.client.get(f"/api/documents?after={numbers[0]}")).json()
    assert [row["seq"] for row in after["documents"]] == numbers[1:]
    assert (await site.client.get("/api/documents?after=x")).status_code == 400
