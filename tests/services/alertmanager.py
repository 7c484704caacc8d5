"""The real Prometheus Alertmanager, alone, with its own store and port."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3

from tests.services.ports import free_port
from tests.waiting import until_sync

_CONFIG = """\
route: {receiver: nobody}
receivers: [{name: nobody}]
"""


class Alertmanager:
    """A running Alertmanager; `alerts` asks its API."""

    def __init__(self, program: str, folder: Path) -> None:
        (folder / "alertmanager.yml").write_text(_CONFIG)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            program,
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        until_sync(self._ready, what="Alertmanager answers", timeout_s=120)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "Alertmanager ended by itself"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        return urllib3.request("GET", f"{self.url}/-/ready", retries=False).status == 200

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(300)
            self._process = None

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts it holds as firing."""
        found: list[dict[str, Any]] = orjson.loads(urllib3.request("GET", f"{self.url}/api/v2/alerts").data)
        return found


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        pytest.fail("Alertmanager is missing: install the package prometheus-alertmanager")
    (tmp_path / "alertmanager").mkdir()
    running = Alertmanager(program, tmp_path / "alertmanager")
    running.start()
    yield running
    running.stop()
