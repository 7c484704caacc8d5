"""Protocol servers written by others for Node.js, as peers of our collectors; npm brings them once."""

from __future__ import annotations

import json
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.services.ports import free_port

PEERS = Path(__file__).parents[1] / "peers"


class NodeOpcua:
    """node-opcua's server with the variables of opcua_server.js, in namespace 1 (`ns=1;s=power` …)."""

    def __init__(self, node: str, keys: Path, folder: Path) -> None:
        self._node = node
        self._keys = keys
        self._errors = folder / "node-opcua.err"
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return what is started."""
        return [self._node, str(PEERS / "opcua_server.js"), str(self.port), str(self._keys)]

    def start(self) -> None:
        with self._errors.open("a") as errors:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1,
            )  # fmt: skip
        assert self._process.stdout is not None
        self._lines = queue.SimpleQueue()
        threading.Thread(target=_pass_on, args=(self._process.stdout, self._lines), daemon=True).start()
        self._answer("ready", 240)

    def _answer(self, wanted: str, timeout_s: float) -> None:
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                said = self._lines.get(timeout=min(left, 0.2))
            except queue.Empty:
                assert self._process.poll() is None, f"node-opcua ended: {self._errors.read_text()[-2000:]}"
                continue
            if said == wanted:
                return
        pytest.fail(f"node-opcua did not say '{wanted}' within {timeout_s} s: {self._errors.read_text()[-2000:]}")

    def set(self, name: str, value: float | bool | str, *, status: str = "Good", time: str | None = None) -> None:
        """Set a variable with its status and source time (ISO; default now), and wait until it is set."""
        self._order({"name": name, "value": value, "status": status, "time": time})

    def mute(self) -> None:
        """Let its subscriptions go silent for ever, while it answers everything else."""
        self._order({"mute": True})

    def _order(self, order: dict[str, object]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._answer("done", 240)

    def freeze(self) -> None:
        """Stop the process where it stands; its sockets stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.communicate()
            self._process = None


def _pass_on(stdout: IO[str], lines: queue.SimpleQueue[str]) -> None:
    """Every line as it comes: the server's own warnings share the stream, and two may arrive in one piece."""
    for line in stdout:
        lines.put(line.strip())


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the packages of tests/peers installed."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        pytest.fail("Node.js is missing: install the packages nodejs (20 or newer) and npm")
    wanted = json.loads((PEERS / "package.json").read_text())["dependencies"]
    installed = {name: PEERS / "node_modules" / name / "package.json" for name in wanted}
    if any(not p.exists() or json.loads(p.read_text())["version"] != wanted[n] for n, p in installed.items()):
        command = [npm, "--prefix", str(PEERS), "install", "--no-package-lock", "--no-audit", "--no-fund"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            pytest.fail(f"'{' '.join(command)}' failed: {done.stderr[-1000:]}")
    return program


@pytest.fixture(scope="session")
def node_opcua_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the servers' keys; the first start makes them, which takes seconds."""
    return tmp_path_factory.mktemp("opcua") / "keys"


@pytest.fixture
def start_node_opcua(node: str, node_opcua_keys: Path, tmp_path: Path) -> Iterator[Callable[[], NodeOpcua]]:
    """Start a server of one's own, e.g. to freeze or restart it."""
    started: list[NodeOpcua] = []

    def start() -> NodeOpcua:
        server = NodeOpcua(node, node_opcua_keys, tmp_path)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def node_opcua(start_node_opcua: Callable[[], NodeOpcua]) -> NodeOpcua:
    """A running node-opcua server."""
    return start_node_opcua()
