"""A whole gateway: rows of a meter become an alert, a mail in Chinese and one of Alertmanager, until it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest

from config.load import load
from pipeline.batch import Header, make
from pipeline.clock import SECOND_NS
from pipeline.log.writer import Entry
from tanflow.gateway import Gateway
from tanflow.opening import open_gateway
from tests.services.alertmanager import Alertmanager
from tests.services.smtp import Mailbox
from tests.waiting import until

CONFIG = """
version: 1
site: {name: works, zone: Asia/Shanghai, region: CN-GD}
data: {commit_ms: 10, ballast_mb: 1}
api: null
accounting: {tariff: tariff.yaml}
connections:
  floor: {protocol: opcua, url: "opc.tcp://127.0.0.1:9"}
areas:
  hall:
    assets:
      press:
        type: other
        devices:
          meter: {connection: floor, points: {power: {quantity: power, unit: kW, opcua: {node: "ns=2;s=p"}}}}
      boiler:
        type: boiler
        carrier: natural_gas
        devices:
          meter:
            connection: floor
            points:
              gas: {quantity: volume_index, unit: m3, reference: {celsius: 20}, opcua: {node: "ns=2;s=g"}}
alerts:
  peak: {point: press.power, above: 350, advice: 请检查压机空载。, severity: critical}
notify:
  language: zh-CN
  link: http://gateway.plant:8800
  wait_s: 0
  channels:
    shift: {type: apprise, url: {env: TANFLOW_TEST_MAIL}}
    am: {type: alertmanager, url: ALERTMANAGER, refresh_s: 5}
  routes:
    - {channels: [shift, am]}
"""
TARIFF = """
name: contract
currency: CNY
source: contract of 2025
versions:
  - {valid_from: 2025-01-01, like: guangdong_2021, base_price: 0.65}
"""


@asynccontextmanager
async def running(folder: Path, config: str) -> AsyncIterator[Gateway]:
    path = folder / "gateway.yaml"
    path.write_text(config)
    (folder / "tariff.yaml").write_text(TARIFF)
    loaded = load(path)
    async with open_gateway(loaded.gateway, loaded.templates, base=folder) as gateway:
        stop = asyncio.Event()
        task = asyncio.create_task(gateway.run(stop))
        try:
            yield gateway
        finally:
            stop.set()
            await task


async def reads(gateway: Gateway, kw: float) -> None:
    """Accept a reading of now."""
    now = gateway.clock.now_ns()
    header = Header("floor", gateway.table.revision, gateway.clock.boot, now, 0)
    await gateway.log.append(Entry([make(header, now, [gateway.table.ids["press.power.power"]], kw)]))


async def test_from_a_reading_to_the_mail_and_back(
    tmp_path: Path, start_smtp: Callable[..., Mailbox], alertmanager: Alertmanager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fires before a restart, is over after it: two mails of one id, and Alertmanager knows both."""
    box = start_smtp()
    url = f"mailto://127.0.0.1:{box.port}/?from=gateway@plant.example&to=shift@plant.example&mode=insecure"
    monkeypatch.setenv("TANFLOW_TEST_MAIL", url)
    config = CONFIG.replace("ALERTMANAGER", alertmanager.url)
    async with running(tmp_path, config) as gateway:
        await reads(gateway, 412.4)
        await until(lambda: box.mails and alertmanager.alerts(), what="mail and Alertmanager are told")
        (episode,) = gateway.desk.open.values()
        assert (episode.asset, episode.name, episode.excess_kw) == ("press", "peak", pytest.approx(62.4))
        cost = gateway.costs.of("press", 62.4, episode.fired_ns)
        assert cost.co2e_kg_per_h is not None
        assert cost.money_per_h is not None
        await until(lambda: gateway.senders["shift"].outbox.waiting() == 0)
        assert gateway.board.component("notify.shift").delivered == 1
        assert gateway._local_floor() <= gateway.desk.position
    async with running(tmp_path, config) as gateway:
        assert list(gateway.desk.open) == [episode.id]
        await reads(gateway, 200.0)
        await until(lambda: len(box.mails) == 2 and not alertmanager.alerts(), what="both are told that it is over")
        assert [e.id for e in gateway.desk.ended(gateway.log.reader, 0, time.time_ns())] == [episode.id]
    first, second = (mail.get_body(("plain",)).get_content() for mail in box.mails)  # type: ignore[union-attr]
    assert box.mails[0]["Subject"] == "【紧急】hall press：超出限值（peak）"
    assert box.mails[1]["Subject"] == "【已恢复】hall press：超出限值（peak）"
    assert "当前值：412 kW，限值：350 kW" in first
    assert f"每小时损失：62.4 kWh，{cost.co2e_kg_per_h:.3g} kg CO₂e，{cost.money_per_h:.3g} CNY" in first
    assert "处理建议：请检查压机空载。" in first
    assert f"http://gateway.plant:8800/#/alerts/{episode.id}" in first
    assert f"编号：{episode.id}" in first
    assert f"编号：{episode.id}" in second


async def test_what_an_excess_costs_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guangdong 2021, base 0.65: July 11:30 is critical, 0.65 · 1.7 · 1.25 = 1.38125; 03:00 is valley, 0.247 CNY/kWh.

    Natural gas has a factor and no price here; the gateway itself has neither.
    """
    monkeypatch.setenv("TANFLOW_TEST_MAIL", "json://127.0.0.1")
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIG.replace("ALERTMANAGER", "http://127.0.0.1"))
    (tmp_path / "tariff.yaml").write_text(TARIFF)
    loaded = load(path)
    async with open_gateway(loaded.gateway, loaded.templates, base=tmp_path) as gateway:
        noon, night, before = (at(text) for text in ("2026-07-15T11:30", "2026-07-15T03:00", "2024-07-15T11:30"))
        costs = gateway.costs
        assert costs.of("press", 10.0, noon).money_per_h == pytest.approx(13.8125)
        assert costs.of("press", 10.0, night).money_per_h == pytest.approx(2.47)
        assert costs.of("press", 10.0, noon).currency == "CNY"
        assert costs.of("press", 10.0, before)[2:] == (None, None)  # no version of the tariff holds
        grid = next(f for f in gateway.table.factors if f.name == "CN-GD location_average")
        assert costs.of("press", 10.0, noon).co2e_kg_per_h == pytest.approx(10 * grid.value[-1])
        gas = costs.of("boiler", 10.0, noon)
        assert gas.money_per_h is None
        assert gas.co2e_kg_per_h == pytest.approx(2.0, rel=0.05)  # 55 to 56 kg CO₂/GJ: 0.20 kg/kWh
        assert costs.of("gateway", 10.0, noon) == (10.0, None, None, None)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()) * SECOND_NS


async def test_no_secret_is_in_log_or_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mail server nobody listens at: what is told, kept and counted names neither user nor password."""
    monkeypatch.setenv(
        "TANFLOW_TEST_MAIL", "mailto://operator7:s3cr3t-pass@127.0.0.1:9/?to=a@b.example&from=c@d.example"
    )
    with caplog.at_level("DEBUG"):
        async with running(tmp_path, CONFIG.replace("ALERTMANAGER", "http://127.0.0.1:9")) as gateway:
            await reads(gateway, 412.4)
            await until(lambda: gateway.board.component("notify.shift").retried, what="the mail was tried")
            error = gateway.board.component("notify.shift").last_error
            rows = gateway.log.reader.query("SELECT about FROM outbox UNION ALL SELECT config FROM revisions")
    told = f"{caplog.text}{error}{orjson.dumps(rows).decode()}"
    assert "notify" in told
    assert "s3cr3t-pass" not in told
    assert "operator7" not in told
