"""Secrets in every place one can stand, services that fail and say them back: none is in anything that is told."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import zstandard

from config.hidden import forms
from tanflow.web.access.roles import TABLE
from tests.security.echo import echo
from tests.security.running import TANFLOW, started, until_it_answers
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.waiting import until_sync

CONFIG = """
version: 1
site: {name: works, zone: UTC, region: GB}
data: {dir: DATA, commit_ms: 20, ballast_mb: 1}
api: {port: PORT, token: {file: SECRETS/api_token}}
factors:
  live: {provider: electricity_maps, zone: GB, url: "http://127.0.0.1:ECHO/401", token: {env: C_LIVE_TOKEN}}
connections:
  floor: {protocol: modbus, timeout_s: 0.2}
  broker: {protocol: mqtt, host: 127.0.0.1, port: BROKER, username: reader, password: {file: SECRETS/mqtt_refused}}
  no-tls: {protocol: mqtt, host: 127.0.0.1, port: ECHO, client_id: b, tls: {}, username: u, password: {env: C_MQTT_TLS}}
  server:
    protocol: opcua
    url: "opc.tcp://127.0.0.1:NOBODY"
    timeout_s: 1
    username: u
    password: {env: C_OPCUA_PASSWORD}
  keyed:
    protocol: opcua
    url: "opc.tcp://127.0.0.1:ECHO"
    timeout_s: 1
    security: {certificate: SECRETS/own.der, key: SECRETS/opcua_key.pem}
    username: u
    password: {file: SECRETS/opcua_password}
areas:
  hall:
    assets:
      press:
        type: other
        devices:
          meter:
            connection: floor
            address: 127.0.0.1:9/1
            every_s: 0.5
            points: {power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}}
      oven:
        type: other
        devices:
          m: {connection: broker, address: a/b, points: {power: {quantity: power, unit: kW, mqtt: {path: p}}}}
      pump:
        type: pump
        devices:
          m: {connection: no-tls, address: a/b, points: {power: {quantity: power, unit: kW, mqtt: {path: p}}}}
      fan:
        type: fan
        devices:
          m: {connection: server, points: {power: {quantity: power, unit: kW, opcua: {node: "ns=2;s=p"}}}}
      mixer:
        type: other
        devices:
          m: {connection: keyed, points: {power: {quantity: power, unit: kW, opcua: {node: "ns=2;s=p"}}}}
sinks:
  new: {type: influxdb, api: v2, url: "URL/401", org: o, bucket: b, token: {file: SECRETS/influx_token}}
  old: {type: influxdb, api: v1, url: "URL/400", database: d, username: u, password: {env: C_INFLUX_V1}}
  busy: {type: influxdb, api: v1, url: "URL/500", database: d, username: u, password: {env: C_INFLUX_5}}
  tls: {type: influxdb, api: v2, url: "https://127.0.0.1:ECHO", org: o, bucket: b, token: {env: C_INFLUX_TLS}}
  gone: {type: influxdb, api: v2, url: "http://127.0.0.1:NOBODY", org: o, bucket: b, token: {env: C_INFLUX_GONE}}
notify:
  wait_s: 0
  channels:
    hook: {type: apprise, url: {env: C_HOOK}}
    mail: {type: apprise, url: {file: SECRETS/mail}}
    am: {type: alertmanager, url: "http://127.0.0.1:ECHO/500", username: u, password: {env: C_AM_PASSWORD}}
    amt: {type: alertmanager, url: "http://127.0.0.1:ECHO/400", token: {file: SECRETS/am_token}}
  routes:
    - {channels: [hook, mail, am, amt]}
"""
IN_ENVIRONMENT = (
    "C_LIVE_TOKEN", "C_MQTT_TLS", "C_OPCUA_PASSWORD", "C_INFLUX_V1", "C_INFLUX_5", "C_INFLUX_TLS", "C_INFLUX_GONE",
    "C_AM_PASSWORD",
)  # fmt: skip
FAILURES = (
    b"new is away", b"old refuses rows", b"busy is away", b"tls is away", b"gone is away", b"refuses the token",
    b"collector.broker: mqtt:", b"collector.no-tls: mqtt:", b"collector.server: opc.tcp:", b"collector.keyed: opc.tcp:",
)  # fmt: skip
IN_FILES = ("mqtt_refused", "opcua_password", "influx_token", "am_token", "api_token")
COMMANDS = ("check -c CONFIG", "notify test -c CONFIG")
MORE_COMMANDS = (
    "status --data DATA", "tail --data DATA -n 1000", "deadletters --data DATA", "certs check -c CONFIG",
    "reload -c CONFIG", "--help",
)  # fmt: skip
BROKEN = ("sinks: {x: {type: influxdb, api: v1, database: d, url: 'http://h', password: SECRET}}\n"
          "connections: {x: {protocol: mqtt, host: 'mqtt://u:SECRET@h', password: SECRET}}\n"
          "api: {token: SECRET, tls: {key: SECRET}}\nversion: 1\n")  # fmt: skip


@dataclass
class Canaries:
    """Secrets by where they stand, and everything that was told, by place."""

    values: dict[str, str] = field(default_factory=dict)
    told: dict[str, bytes] = field(default_factory=dict)

    def make(self, name: str, plain: bool = False) -> str:
        """Return a new secret; most hold what has to be quoted somewhere."""
        self.values[name] = f"Kanarie{len(self.values):02d}{name.replace('_', '')}" + ("" if plain else "+/=&%'x")
        return self.values[name]

    def leaks(self) -> list[str]:
        """Return which secret is found where, in which form."""
        return [
            f"{name} in {place}: {form}"
            for name, value in self.values.items()
            for form in forms(value)
            for place, told in self.told.items()
            if form.encode() in told
        ]


def planted(folder: Path) -> tuple[Canaries, dict[str, str]]:
    """Write the secret files and return the canaries with the environment that holds the others."""
    canaries = Canaries()
    env = {name: canaries.make(name) for name in IN_ENVIRONMENT}
    for name in IN_FILES:
        (folder / name).write_text(canaries.make(name) + "\n")
    hook, user = canaries.make("hook", plain=True), canaries.make("hook_user", plain=True)
    env["C_HOOK"] = f"json://{user}:{hook}@127.0.0.1:ECHO/500/{canaries.make('hook_path', plain=True)}"
    to = "/?from=a@example.invalid&to=b@example.invalid&mode=insecure"
    mail = f"mailto://u:{canaries.make('mail', plain=True)}@127.0.0.1:NOBODY{to}"
    (folder / "mail").write_text(mail)
    canaries.values["wrong_password"] = "Kanarie-a-wrong-password"
    canaries.values["user_password"] = "Kanarie-of-a-user's own"
    return canaries, env


def told_by(*arguments: str | Path, env: dict[str, str], given: str = "") -> bytes:
    """Return all a command says."""
    said = subprocess.run(
        [*TANFLOW, *map(str, arguments)], capture_output=True, env=os.environ | env, timeout=300, check=False,
        input=given.encode(),
    )  # fmt: skip
    return said.stdout + said.stderr


def children(pid: int) -> Iterator[Path]:
    """Yield /proc of the children of a process, as they are now."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            yield from (Path("/proc") / child for child in (thread / "children").read_text().split())
        except OSError:
            continue


def on_disk(data: Path) -> bytes:
    """Return all bytes of a data directory, and what the log's blobs unpack to."""
    found = [path.read_bytes() for path in data.rglob("*") if path.is_file() and path.name != "ballast"]
    for path in data.glob("*.db"):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            tables = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            cells = (cell for table in tables for row in file.execute(f'SELECT * FROM "{table}"') for cell in row)
            found += [_unpacked(cell) for cell in cells if isinstance(cell, bytes)]
    return b"\n".join(found)


def _unpacked(cell: bytes) -> bytes:
    at = cell.find(b"\x28\xb5\x2f\xfd")  # RFC 8878 §3.1.1
    return zstandard.ZstdDecompressor().decompressobj().decompress(cell[at:]) if at >= 0 else cell


def watch_children(process: subprocess.Popen[bytes], canaries: Canaries, found: Callable[[], bool]) -> bool:
    """Keep the command line and environment of every child that is there now; returns whether `found()`."""
    time.sleep(0.05)
    for child in children(process.pid):
        for what in ("cmdline", "environ"):
            try:
                key = f"{what} of children"
                canaries.told[key] = canaries.told.get(key, b"") + (child / what).read_bytes()
            except OSError:
                continue
    return found()


def ask_everything(url: str, token: str, canaries: Canaries, *, full: bool) -> None:
    """Keep every answer of the API: with the token, without (in the small dose of one address), and with wrong ones."""
    with httpx.Client(base_url=url, timeout=600) as client:
        right = {b"authorization": f"Bearer {token}".encode()}
        for path in [path for path, methods in TABLE.items() if "GET" in methods and path != "/api/stream"]:
            for headers in (right, {}) if full or path == "/api/health" else (right,):
                answer = client.get(path.replace("{name}", "press"), headers=headers)
                key = f"API {path}"
                told = canaries.told.get(key, b"") + str(answer.headers).encode() + answer.content
                canaries.told[key] = told
        with client.stream("GET", "/api/stream", headers=right) as stream:
            canaries.told["API /api/stream"] = next(stream.iter_bytes())
        for user in ("Ann", "nobody"):
            said = {"user": user, "password": canaries.values["wrong_password"]}
            canaries.told[f"sign-in {user}"] = client.post("/api/login", json=said).content
        said = {"user": canaries.values["wrong_password"], "password": "typed into the wrong field"}
        canaries.told["sign-in with the password as name"] = client.post("/api/login", json=said).content


@pytest.fixture
def ready(tmp_path: Path, start_mosquitto: Callable[..., Mosquitto]) -> Iterator[tuple[Path, Canaries, dict[str, str]]]:
    """A configuration whose services all fail, its secrets, and the environment it is started with."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    canaries, env = planted(secrets)
    subprocess.run(
        [*TANFLOW, "certs", "export", str(tmp_path / "own.der"), "--data", str(tmp_path / "d")],
        check=True, capture_output=True,
    )  # fmt: skip
    (made,) = (path for path in (tmp_path / "d").rglob("*") if path.is_file() and b"PRIVATE" in path.read_bytes())
    made.rename(secrets / "opcua_key.pem")
    (tmp_path / "own.der").rename(secrets / "own.der")
    canaries.values["opcua_key"] = (secrets / "opcua_key.pem").read_text().splitlines()[5]
    broker = start_mosquitto(password="another")
    with echo() as port:
        nobody = str(free_port())
        words = {"URL": f"http://127.0.0.1:{port}",
                 "DATA": str(tmp_path / "data"), "SECRETS": str(secrets), "BROKER": str(broker.port),
                 "ECHO": str(port), "NOBODY": nobody, "PORT": str(free_port())}  # fmt: skip
        text = CONFIG
        for word, value in words.items():
            text = text.replace(word, value)
        (secrets / "mail").write_text((secrets / "mail").read_text().replace("NOBODY", nobody))
        env["C_HOOK"] = env["C_HOOK"].replace("ECHO", str(port))
        (tmp_path / "gateway.yaml").write_text(text)
        yield tmp_path, canaries, env | {"PYTHONFAULTHANDLER": "1"}


def test_no_secret_is_told_anywhere(ready: tuple[Path, Canaries, dict[str, str]], full: bool) -> None:
    folder, canaries, env = ready
    config, data, said = folder / "gateway.yaml", folder / "data", folder / "said"
    url = "http://127.0.0.1:" + config.read_text().partition("api: {port: ")[2].partition(",")[0]
    password = canaries.values["user_password"]
    with started([*TANFLOW, "run", "--verbose", "-c", config], said, env) as process:
        until_it_answers(process, url, said)
        add: list[str | Path] = ["users", "add", "Ann", "--role", "engineer", "--data", data, "--password-stdin"]
        canaries.told["users add"] = told_by(*add, env=env, given=password)

        def all_failed() -> bool:
            words = said.read_bytes()
            return all(name in words for name in FAILURES)

        until_sync(lambda: watch_children(process, canaries, all_failed), 300, f"every service fails, see {said}")
        canaries.told["cmdline"] = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        ask_everything(url, canaries.values["api_token"], canaries, full=full)
        for command in (*COMMANDS, *(MORE_COMMANDS if full else ())):
            words = [str({"CONFIG": config, "DATA": data}.get(word, word)) for word in command.split()]
            canaries.told[f"tanflow {command}"] = told_by(*words, env=env)
        broken = folder / "broken.yaml"
        broken.write_text(BROKEN.replace("SECRET", canaries.make("in_the_file", plain=True)))
        canaries.told["tanflow check of secrets in the file"] = told_by("check", "-c", broken, env=env)
        process.send_signal(signal.SIGABRT)  # as the watchdog does: what faulthandler dumps is told too
        process.wait(300)
    canaries.told["log"] = said.read_bytes()
    canaries.told["data directory"] = on_disk(data)
    assert b"Fatal Python error" in canaries.told["log"]
    assert b"401" in canaries.told["API /api/health"]
    assert len(canaries.told) >= (35 if full else 31)
    assert not canaries.leaks()
    print(f"{len(canaries.values)} secrets, {sum(len(forms(v)) for v in canaries.values.values())} forms, "
          f"{len(canaries.told)} places, {sum(map(len, canaries.told.values()))} bytes: none found")  # fmt: skip
