"""`tanflow browse` and `tanflow certs` against node-opcua's server, as somebody types them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.load import load
from tanflow.cli import app
from tests.client_recording import services
from tests.recording import Recorder
from tests.services.node import NodeOpcua

READING = {"Browse", "BrowseNext", "Read", "TranslateBrowsePathsToNodeIds"}


@pytest.fixture(autouse=True)
def only_reads(recorder: Recorder) -> Iterator[None]:
    """No service may be of another kind."""
    yield
    assert services(recorder) <= READING


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_browse_shows_the_tree_and_writes_a_configuration_that_loads(node_opcua: NodeOpcua, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    done = run("browse", node_opcua.url, *data)
    assert done.exit_code == 0, done.output
    assert "flow/1 = 120.5 m³/h (0 … 400)  Double  [ns=1;s=flow]" in done.output
    assert "levels = [1.5, 2.5, 3.5]  Double array" in done.output
    file = tmp_path / "gateway.yaml"
    done = run("browse", node_opcua.url, "--match", "*/Plant/*", "--match", "Plant/*", "--output", str(file), *data)
    assert done.exit_code == 0, done.output
    text = file.read_text()
    assert "# power: {quantity: ?, opcua: {node: 'nsu=" in text
    (device,) = [d for a in load(file).gateway.areas.values() for s in a.assets.values() for d in s.devices.values()]
    (point,) = device.points.values()
    assert (point.quantity, point.unit) == ("volume_flow", "m3/h")
    assert point.opcua is not None
    assert str(point.opcua.node).startswith("nsu=")
    assert run("browse", node_opcua.url, "--output", str(file), *data).exit_code == 1
    assert run("browse", node_opcua.url, "--match", "nothing", "--yaml", *data).exit_code == 1
    assert run("browse", node_opcua.url, "--security", "Basic128", *data).exit_code == 2


def test_certs_from_the_first_refusal_to_a_session(node_opcua: NodeOpcua, tmp_path: Path, recorder: Recorder) -> None:
    (tmp_path / "gateway.yaml").write_text(
        f"""version: 1
site: {{name: works, region: GB}}
data: {{dir: data}}
connections:
  plc: {{protocol: opcua, url: "{node_opcua.url}", security: {{accept: [host]}}, timeout_s: 30}}
areas:
  hall:
    assets:
      m:
        type: meter
        devices:
          m: {{connection: plc, points: {{power: {{quantity: power, unit: kW, opcua: {{path: Plant/power}}}}}}}}
"""
    )
    config = ["-c", str(tmp_path / "gateway.yaml")]
    done = run("certs", "check", *config)
    assert done.exit_code == 1
    assert "is not trusted" in done.output
    print_ = done.output.split("tanflow certs trust ")[1].split()[0]
    assert print_ in run("certs", "list", *config).output
    assert "key           2048 bits" in run("certs", "show", print_[:8], *config).output
    assert run("certs", "trust", print_[:8], "--issuer", *config).exit_code == 1
    assert run("certs", "trust", print_[:8], *config).exit_code == 0
    done = run("certs", "check", "plc", *config)
    assert done.exit_code == 0, done.output
    assert "a session opens (anonymous)" in done.output
    assert run("browse", "plc", *config).exit_code == 0
    assert run("certs", "export", str(tmp_path / "own.der"), *config).exit_code == 0
    assert (tmp_path / "own.der").read_bytes()[:1] == b"\x30"
    assert run("certs", "renew", *config).exit_code == 0
    assert run("certs", "export", str(tmp_path / "own.der"), *config).exit_code == 1  # another one by now
    assert run("certs", "reject", print_, *config).exit_code == 0
    assert run("certs", "check", *config).exit_code == 1
    assert run("certs", "check", "other", *config).exit_code == 2
    assert "Browse" in services(recorder)
    assert recorder.asked["Client of OPC UA: GetEndpoints"]


def test_certs_are_not_made_in_the_directory_of_another_user(
    node_opcua: NodeOpcua, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gateway.yaml").write_text(
        f"""version: 1
site: {{name: works, region: GB}}
data: {{dir: data}}
connections:
  plc: {{protocol: opcua, url: "{node_opcua.url}", security: {{}}, timeout_s: 30}}
areas: {{}}
"""
    )
    data, config = tmp_path / "data", ["-c", str(tmp_path / "gateway.yaml")]
    data.mkdir()
    name = data.owner()
    words = (["certs", "check"], ["browse", "plc"], ["certs", "export", str(tmp_path / "own.der")], ["certs", "renew"])
    with monkeypatch.context() as someone:
        someone.setattr("os.geteuid", lambda: data.stat().st_uid + 1)
        for command in words:
            done = run(*command, *config)
            assert done.exit_code == 1
            assert f"belongs to the user {name}" in str(done.exception)
            assert f"sudo -u {name} tanflow" in str(done.exception)
        assert list(data.iterdir()) == []
        data.rmdir()
        someone.setattr("os.geteuid", lambda: 0)
        someone.setenv("SUDO_UID", "1000")
        assert "sudo -u USER" in str(run("certs", "check", *config).exception)
        assert not data.exists()
    done = run("certs", "check", *config)
    assert f"{data / 'certs'} keeps the gateway's certificate" in done.output
    assert {p.name for p in (data / "certs").iterdir()} == {"own", "rejected"}
