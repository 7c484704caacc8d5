"""A real InfluxDB 1.x of one's own: started on free loopback ports in a directory of its own, ended afterwards."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services.ports import free_port
from tests.waiting import until_sync

CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  index-version = "inmem"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  auth-enabled = {auth}
  log-enabled = false
[continuous_queries]
  enabled = false
"""


class Influxd:
    """One influxd process; `stop`, `kill` and `start` keep its port and its data."""

    def __init__(self, directory: Path, *, auth: bool = False) -> None:
        program = shutil.which("influxd")
        if program is None:
            pytest.fail("influxd is missing: install InfluxDB 1.x, on Debian and Ubuntu `apt-get install influxdb`")
        self._program = program
        self._dir = directory
        self._auth = auth
        self._process: subprocess.Popen[bytes] | None = None
        self._claim_ports()

    def _claim_ports(self) -> None:
        self.port = free_port()
        self._dir.mkdir(parents=True, exist_ok=True)
        text = CONFIG.format(dir=self._dir, http=self.port, rpc=free_port(), auth=str(self._auth).lower())
        (self._dir / "influxdb.conf").write_text(text)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return as soon as it answers; another port is taken where one was lost to a neighbour."""
        fresh = not (self._dir / "meta").exists()
        for _ in range(3):
            with (self._dir / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [self._program, "run", "-config", str(self._dir / "influxdb.conf")], stdout=log, stderr=log
                )
            until_sync(lambda: self._ready() or not self._running(), what="influxd answers /ping")
            if self._running():
                return
            if fresh:
                self._claim_ports()
        pytest.fail(f"influxd does not start:\n{(self._dir / 'log').read_text()[-2000:]}")

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=10) as answer:
                return bool(answer.status == 204)
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(180)
            self._process = None

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without warning."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def create(self, database: str) -> None:
        """Create a database."""
        self.query("", f'CREATE DATABASE "{database}"')

    def query(self, database: str, influxql: str, *, user: str = "", password: str = "") -> list[dict[str, Any]]:
        """Return the rows of an InfluxQL query, columns and tags by name, `time` in ns; fails on an error."""
        form = urllib.parse.urlencode({"db": database, "q": influxql, "epoch": "ns"}).encode()
        who = urllib.parse.urlencode({"u": user, "p": password} if user else {})
        try:
            with urllib.request.urlopen(f"{self.url}/query?{who}", form, timeout=60) as got:
                answer = json.load(got)
        except urllib.error.HTTPError as error:
            pytest.fail(f"{influxql}: {error.read().decode()}")
        rows = []
        for result in answer["results"]:
            assert "error" not in result, f"{influxql}: {result['error']}"
            for series in result.get("series", ()):
                tags = series.get("tags", {})
                rows += [dict(zip(series["columns"], values, strict=True)) | tags for values in series["values"]]
        return rows


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influxd]:
    """A running InfluxDB without any database."""
    server = Influxd(tmp_path / "influxd")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def influx_with_users(tmp_path: Path) -> Iterator[Influxd]:
    """A running InfluxDB that asks for a password; its administrator is `admin` / `secret`."""
    server = Influxd(tmp_path / "influxd", auth=True)
    server.start()
    server.query("", "CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
    yield server
    server.kill()
