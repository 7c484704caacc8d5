"""A configuration → a real gateway in a process of its own, watched from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from tests.waiting import until_sync

ROOT: Final = Path(__file__).parents[2]
TANFLOW: Final = (sys.executable, "-m", "tanflow")
PLANT: Final = """
version: 1
site: {name: works, zone: UTC, region: GB}
data: {dir: DATA, commit_ms: 20, ballast_mb: 1}
api: {port: PORT}
connections:
  floor: {protocol: modbus, timeout_s: 0.2}
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
"""


def answered(url: str) -> bool:
    """Return whether a gateway answers there, well or not."""
    try:
        httpx.get(url, timeout=5)
    except httpx.TransportError:
        return False
    return True


@contextmanager
def started(
    command: Sequence[str | Path], said: Path, env: Mapping[str, str] | None = None, umask: int = -1
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose words go into a file; it is ended in order, or killed where it does not end."""
    with said.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=os.environ | (env or {}), umask=umask
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(300)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(300)


def until_it_answers(process: subprocess.Popen[bytes], url: str, said: Path) -> None:
    """Return as soon as a gateway answers; fails with its words when it ends before."""
    until_sync(lambda: process.poll() is not None or answered(url), 300, "the gateway answers")
    assert process.poll() is None, said.read_text(errors="replace")
