"""sparkplug_node.js as a process: an edge node that a test leads, kills and starts again."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import IO, Any, Final

from tests.waiting import until, until_sync

SCRIPT: Final = Path(__file__).with_suffix(".js")
VERSION: Final = json.loads((SCRIPT.parent / "package.json").read_text())["dependencies"]["sparkplug-client"]


class SparkplugNode:
    """An edge node of sparkplug-client; `said` are the lines it told."""

    def __init__(self, program: str, port: int, node: str = "press", group: str = "Hall1", bd_seq: int = 0) -> None:
        url = f"mqtt://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [program, str(SCRIPT), url, group, node, str(bd_seq)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self.said: list[str] = []
        assert self._process.stdout is not None
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, stdout: IO[str]) -> None:
        for line in stdout:
            self.said.append(line.strip())

    def _order(self, order: dict[str, Any]) -> None:
        done = self.said.count("done")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        until_sync(lambda: self.said.count("done") > done, what=f"the edge node does {order}: {self.said}")

    def births(self, **births: Any) -> None:
        """Say what it is born with: `node`, and its devices by name."""
        self._order({"births": {"" if name == "node" else name: payload for name, payload in births.items()}})

    def call(self, method: str, *args: Any) -> None:
        """Call a method of the client, e.g. `publishDeviceData`."""
        self._order({"call": method, "args": args})

    async def born(self, times: int = 1) -> None:
        await until(lambda: self.said.count("born") >= times, what="the edge node is born")

    @property
    def commands(self) -> list[str]:
        return [line for line in self.said if line.startswith("command")]

    def kill(self) -> None:
        """End it as a power cut does: the broker publishes its will."""
        self._process.kill()
        self._process.communicate()
