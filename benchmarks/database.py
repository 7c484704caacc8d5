"""A directory enters, a private InfluxDB 1.x on free ports leaves, with a door for clients that speak 2.x."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import orjson
import urllib3

from benchmarks.process import Program, python

DATABASE = "bench"


@dataclass(frozen=True, slots=True)
class Influx:
    """Where the database listens: `url` speaks 1.x, `v2_url` takes 2.x writes and forwards them."""

    url: str
    v2_url: str
    program: Program

    def ask(self, influxql: str, method: str = "GET") -> list[dict[str, object]]:
        """Return the series of the first result of a query."""
        url = f"{self.url}/query?db={DATABASE}&epoch=ns&q={quote(influxql)}"
        answer = orjson.loads(urllib3.request(method, url, timeout=60).data)
        series: list[dict[str, object]] = answer["results"][0].get("series", [])
        return series


def free_port() -> int:
    """Return a TCP port of loopback nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str, program: Program, timeout_s: float = 30.0) -> None:
    """Return when `url` answers; RuntimeError when its program ends or `timeout_s` passes."""
    deadline = time.monotonic() + timeout_s
    while True:
        program.check()
        try:
            if urllib3.request("GET", url, timeout=1, retries=False).status < 500:
                return
        except urllib3.exceptions.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} did not answer within {timeout_s} s")
        time.sleep(0.05)


@contextmanager
def influxdb(directory: Path) -> Iterator[Influx]:
    """Run influxd with its data in `directory` and the 2.x door beside it."""
    influxd = shutil.which("influxd")
    if influxd is None:
        raise RuntimeError("influxd is not installed; scripts/needs influxd brings it")
    http, rpc, door = free_port(), free_port(), free_port()
    (directory / "influxd.conf").write_text(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[monitor]
  store-enabled = false
""")
    url, v2_url = f"http://127.0.0.1:{http}", f"http://127.0.0.1:{door}"
    with (
        Program([influxd, "-config", str(directory / "influxd.conf")], directory / "influxd.log") as program,
        Program(python("-m", "benchmarks.v2_door", str(door), url), directory / "door.log") as door_program,
    ):
        wait_for(f"{url}/ping", program)
        wait_for(f"{v2_url}/ping", door_program)
        influx = Influx(url, v2_url, program)
        influx.ask(f"CREATE DATABASE {DATABASE}", "POST")
        yield influx
