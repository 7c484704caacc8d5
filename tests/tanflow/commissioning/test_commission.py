"""Commissioning records: a display beside what is read, in the ledger's chain; by the command and by the API."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.ledger import verify
from config.bindings import bind
from config.load import load
from pipeline.clock import SECOND_NS
from tanflow.commissioning import records
from tanflow.opening import open_gateway
from tests.tanflow.command import said
from tests.tanflow.commissioning.serving import serving, unit
from tests.tanflow.web import POWER, START_NS, open_site

CONFIG = """
version: 1
site: {{name: works, region: CN-GD}}
connections: {{floor: {{protocol: modbus}}}}
accounting: {{meters: {{mains: {{device: main.m, serial: SN-1, class: 0.5, ct: {{ratio: 200/5}}}}}}}}
areas:
  hall:
    assets:
      main:
        type: meter
        rated_kw: 100
        devices:
          m:
            connection: floor
            address: 127.0.0.1:{port}/1
            points:
              voltage: {{quantity: voltage, unit: V, scale: 0.1, modbus: {{address: 5}}}}
              energy: {{quantity: energy_index, unit: Wh, modbus: {{address: 6, type: uint32}}}}
              name: {{quantity: count, unit: "1", modbus: {{address: 8, type: string, length: 1}}}}
          gone:
            connection: floor
            address: 127.0.0.1:{port}/2
            prefix: gone_
            points: {{voltage: {{quantity: voltage, unit: V, modbus: {{address: 5}}}}}}
"""


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Path]:
    with serving({1: unit(0, [0, 0, 0, 0, 0, 2301, 0, 4711, 0x4142])}) as server:
        path = tmp_path / "gateway.yaml"
        path.write_text(CONFIG.format(port=server.port).replace("class: 0.5", "accuracy: 0.5"), "utf-8")
        yield path
        assert not server.write_attempts


def test_a_point_is_compared_and_kept_for_good(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = plant.parent / "display.jpg"
    photo.write_bytes(b"a picture")
    place = ("-c", plant)
    given_ = ("--shown", "230.0", "--by", "Li Lei", "--photo", photo)
    told = said(monkeypatch, capsys, "commission", "main.voltage", *given_, *place)
    assert told.both[0] == 0, told
    assert "they agree; recorded as document 1" in told.out
    told = said(
        monkeypatch, capsys, "commission", "main.energy", "--shown", "4700", "--by", "Li Lei", "--ct", "100/5", *place
    )
    assert told.code == 1
    assert "they differ by more than 1" in told.out
    assert "ct 100/5 is not what the meter register says: 200/5" in told.out
    first, second = records.kept(plant.parent / "data")
    assert (first["shown"], first["read"], first["agrees"], first["by"]) == (
        "230.0",
        pytest.approx(230.1),
        True,
        "Li Lei",
    )
    assert (first["serial"], first["ct"]) == ("SN-1", "200/5")
    assert first["photo"] == f"sha256:{hashlib.sha256(b'a picture').hexdigest()}"
    assert (second["agrees"], second["ct"]) == (False, "100/5")
    verdict = verify(plant.parent / "data")
    assert (verdict.problems, verdict.documents) == ([], 2)


def test_the_list_says_what_holds_and_check_counts_the_rest(
    plant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("-c", plant)
    assert "3 of 3 points have no commissioning record" in said(monkeypatch, capsys, "check", *place).out
    assert not (plant.parent / "data").exists()
    assert said(monkeypatch, capsys, "commission", "main.voltage", "--shown", "230.1", "--by", "Li", *place).code == 0
    told = said(monkeypatch, capsys, "commission", "list", *place)
    assert "1 of 3 points have a record that holds" in told.out
    assert "main.name" not in told.out
    told = said(monkeypatch, capsys, "commission", "list", "--missing", "--json", *place)
    assert [one["point"] for one in orjson.loads(told.out)] == ["main.energy", "main.gone_voltage"]
    assert "2 of 3 points have no commissioning record" in said(monkeypatch, capsys, "check", *place).out
    written = plant.read_text()
    for other in (("scale: 0.1", "scale: 0.01"), ("serial: SN-1", "serial: SN-2"), ("ratio: 200/5", "ratio: 100/5")):
        plant.write_text(written.replace(*other))
        assert "changed since" in said(monkeypatch, capsys, "commission", "list", *place).out, other


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("main.voltag", "--shown", "1", "--by", "A"), 2, "did you mean 'main.voltage'"),
        (("main.voltage", "--by", "A"), 2, "--shown"),
        (("main.voltage", "--shown", "1"), 2, "--by"),
        (("main.voltage", "--shown", "1,5", "--by", "A"), 2, "e.g. 1234.5"),
        (("main.voltage", "--shown", "1", "--by", "A", "--ct", "x"), 2, "ratio"),
        (("main.voltage", "--shown", "1", "--by", "A", "--photo", "none.jpg"), 2, "no file"),
        (("main.gone_voltage", "--shown", "1", "--by", "A"), 1, "cannot be compared"),
        (("main.name", "--shown", "1", "--by", "A"), 1, "cannot be compared"),
    ],
)
def test_what_cannot_be_recorded_is_a_sentence(
    plant: Path, arguments: tuple[str, ...], code: int, word: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    told = said(monkeypatch, capsys, "commission", *arguments, "-c", plant)
    assert told.code == code
    assert word in " ".join(told.err.replace("│", " ").split())
    assert records.kept(plant.parent / "data") == []


@given(st.decimals(-(10**9), 10**9, places=2), st.integers(-5, 5))
def test_one_step_of_the_last_digit_up_or_down_agrees(shown: object, steps: int) -> None:
    value = float(f"{float(str(shown)) + steps / 100:.2f}")
    assert records.agrees(str(shown), value) == (abs(steps) <= 1) or abs(value) > 8_000
    assert records.agrees(str(shown), float(str(shown)))


def test_known_comparisons() -> None:
    assert records.agrees("230.0", 230.1)
    assert not records.agrees("230.0", 230.11)
    assert records.agrees("229.7", 229.80000305175781)  # a float32
    assert records.agrees("12345", 12345.9)
    assert not records.agrees("12345", 12347)


async def test_the_api_compares_with_the_newest_reading(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site, site.signed_in("Ann", "engineer") as client:
        path = "/api/commissioning/records"
        body = {"point": "press.power", "shown": "12.3", "serial": "S1"}
        assert "no good value" in (await client.post(path, json=body)).json()["error"]
        await site.append(POWER, [3_595], [12.34])
        answer = await client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        record = answer.json()["record"]
        assert (record["agrees"], record["by"], record["read"]) == (True, "Ann", 12.34)
        listed = (await client.get(f"{path}?device=press.meter")).json()
        assert [(p["point"], p["state"]) for p in listed["points"]] == [
            ("press.power", "in order"),
            ("press.energy_import", "missing"),
        ]
        assert listed["open"] == 1
        acts = site.gateway.log.reader.query("SELECT user, about FROM acts WHERE what = 'commission'")
        assert acts[0][0] == "Ann"
        assert orjson.loads(acts[0][1])["document"] == record["seq"]
        for wrong in ({"by": "Bo"}, {"shown": "12,3"}, {"point": "press.nothing"}, {"colour": "red"}):
            assert (await client.post(path, json=body | wrong)).status_code == 400
        assert (await client.get(f"{path}?device=none")).status_code == 400


async def test_a_running_gateway_is_asked_for_its_newest_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_site(tmp_path) as site:
        await site.append(POWER, [3_595], [12.34])
        monkeypatch.setattr(time, "time_ns", lambda: START_NS + 3_600 * SECOND_NS)
        arguments = ("commission", "press.power", "--shown", "12.4", "--by", "Li", "-c", tmp_path / "gateway.yaml")
        told = await asyncio.to_thread(said, monkeypatch, capsys, *arguments)
        assert told.both[0] == 0, told
        assert "tanflow reads 12.34: they agree" in told.out
        kept = records.kept(site.gateway.directory.path)
        assert [record["point"] for record in kept] == ["press.power"]


def test_a_record_outlives_the_first_start_of_a_gateway(plant: Path) -> None:
    loaded = load(plant)
    device, point = records.found(bind(loaded.gateway, loaded.templates), "main.voltage")
    said_ = records.compared(point="main.voltage", shown="230.1", by="Li")
    (plant.parent / "data").mkdir()
    records.keep(plant.parent / "data", records.document(said_, device, point, records.Seen(230.1, 10**18), 10**18))

    async def once() -> None:
        async with open_gateway(loaded.gateway, loaded.templates, base=plant.parent):
            pass

    asyncio.run(once())
    assert len(records.kept(plant.parent / "data")) == 1
