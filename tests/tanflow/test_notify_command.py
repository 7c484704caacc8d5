"""`tanflow notify test` as a person uses it: channels that take the message, refuse it, and cannot be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.services.alertmanager import Alertmanager
from tests.services.ports import free_port
from tests.services.smtp import Mailbox
from tests.tanflow.command import Said, said

PASSWORD = "s3cr3t-pass"
CONFIG = """version: 1
site: {name: works, region: CN-GD, zone: Asia/Shanghai}
connections: {plc: {protocol: opcua, url: "opc.tcp://127.0.0.1:4840"}}
areas: {hall: {assets: {press: {type: other}}}}
notify:
  channels: CHANNELS
  routes: [{channels: ROUTES}]
"""
Tanflow = Callable[..., Said]


@pytest.fixture
def tanflow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tanflow:
    """Return the command, with the given channels in its configuration."""

    def run(channels: dict[str, object], *arguments: str) -> Said:
        path = tmp_path / "gateway.yaml"
        text = CONFIG.replace("CHANNELS", orjson.dumps(channels).decode())
        path.write_text(text.replace("ROUTES", orjson.dumps(list(channels) or ["x"]).decode()))
        return said(monkeypatch, capsys, "notify", "test", "-c", path, *arguments)

    return run


def mail(monkeypatch: pytest.MonkeyPatch, port: int, to: str = "shift@plant.example") -> dict[str, object]:
    url = f"mailto://gateway:{PASSWORD}@127.0.0.1:{port}/?from=gateway@plant.example&to={to}&mode=insecure"
    monkeypatch.setenv(f"TANFLOW_MAIL_{port}", url)
    return {"type": "apprise", "url": {"env": f"TANFLOW_MAIL_{port}"}, "language": "zh-CN"}


def test_every_channel_takes_it(
    tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch, start_smtp: Callable[..., Mailbox], alertmanager: Alertmanager
) -> None:
    box = start_smtp(password=True)
    channels = {"shift": mail(monkeypatch, box.port), "am": {"type": "alertmanager", "url": alertmanager.url}}
    code, out, _ = tanflow(channels)
    assert (code, out) == (0, "shift: ok, the message was taken\nam: ok, the message was taken\n")
    assert box.mails[0]["Subject"] == "【提示】gateway：测试消息（test）"
    assert [a["labels"]["alertname"] for a in alertmanager.alerts()] == ["test"]


def test_what_is_wrong_and_what_to_do(
    tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch, start_smtp: Callable[..., Mailbox]
) -> None:
    box, nobody = start_smtp(refuse="shift@plant.example", password=True), free_port()
    channels = {
        "refused": mail(monkeypatch, box.port),
        "absent": mail(monkeypatch, nobody),
        "am": {"type": "alertmanager", "url": f"http://127.0.0.1:{nobody}"},
    }
    code, out, err = tanflow(channels)
    lines = out.splitlines()
    assert code == 1
    assert lines[0].startswith("refused: ")
    assert "550" in lines[0]
    assert "check the address, user, password or token" in lines[1]
    assert lines[2].startswith("absent: ")
    assert "check that this machine reaches it" in lines[3]
    assert lines[4].startswith("am: http://127.0.0.1")
    assert PASSWORD not in out + err


def test_only_one_channel(
    tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch, start_smtp: Callable[..., Mailbox]
) -> None:
    box, other = start_smtp(password=True), start_smtp(password=True)
    channels = {"shift": mail(monkeypatch, box.port), "night": mail(monkeypatch, other.port)}
    assert tanflow(channels, "--channel", "night")[:2] == (0, "night: ok, the message was taken\n")
    assert (len(box.mails), len(other.mails)) == (0, 1)


def test_a_channel_that_is_not_there(tanflow: Tanflow, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = tanflow({"shift": mail(monkeypatch, 1)}, "--channel", "shfit")
    assert code == 1
    assert "there is no channel 'shfit'; did you mean 'shift'?" in err
