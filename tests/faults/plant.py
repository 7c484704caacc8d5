"""Two meters and numbered messages → a gateway of its own that reads them, started, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as mqtt
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from config.load import load
from config.templates import load_all
from pipeline.clock import Clock
from simulators.device import Device
from simulators.serve import serve
from tests.faults.stages import Witness
from tests.noting import ROOT
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.waiting import until_sync

METERS = ("meter-1", "meter-2")
DATABASE = "proof"
SINK = "db"
TOPIC = "proof/messages"
_NOBODY = 16  # MQTT 5.0, 3.4.2.1: no matching subscribers


class Ramp(Device):
    """A meter that draws 36 kW for ever: 0.01 kWh a second, so its index tells how much must have been counted."""

    def __init__(self, name: str, begun_kwh: float) -> None:
        super().__init__(name)
        self._begun_kwh = begun_kwh

    def advance(self, now_ns: int, dt_s: float) -> float:
        self.readings["energy_import"] = self._begun_kwh + self.energy_kwh
        return 36.0


@contextmanager
def in_thread(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `work` beside the test; it ends when its event is set, and its error is the test's."""
    stop, errors = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stop)
        except BaseException as error:  # noqa: BLE001  told in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]


class Publisher:
    """Publishes numbered messages, QoS 1, `per_s` a second, their times as `stamp` says of each number.

    `acked` are those the broker has taken; `unheard` those it took and said that it had nobody to keep them for.
    """

    def __init__(self, port: int, per_s: float = 100.0) -> None:
        self.port = port
        self.per_s = per_s
        self.stamp: Callable[[int], int] = lambda _: time.time_ns()
        self.acked: set[int] = set()
        self.unheard: set[int] = set()
        self.enough = threading.Event()  # nothing more is published, what was is still brought to the broker
        self.running = False
        self._of: dict[int, int] = {}
        self._sent = 0

    def __call__(self, stop: threading.Event) -> None:
        """Publish until `stop` or `enough` is set and the broker has taken all; the numbers go on where they were."""
        self.running = True
        self.enough.clear()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.max_queued_messages_set(0)
        client.on_publish = lambda _c, _u, mid, reason, _: (
            self.unheard if reason.value == _NOBODY else self.acked
        ).add(self._of[mid])
        client.connect("127.0.0.1", self.port)
        while not stop.wait(1 / self.per_s) and not self.enough.is_set():
            payload = orjson.dumps({"seq": self._sent, "time": self.stamp(self._sent)})
            self._of[client.publish(TOPIC, payload, qos=1).mid] = self._sent
            self._sent += 1
            self._turn(client, 0)
        until_sync(lambda: self._turn(client, 0.01) or self._all_taken(), 300, "the broker has taken all")
        client.disconnect()
        self.running = False

    @property
    def sent(self) -> int:
        """How many messages were handed to the broker, taken or not."""
        return self._sent

    def _all_taken(self) -> bool:
        return len(self.acked) + len(self.unheard) == self._sent

    @staticmethod
    def _turn(client: mqtt.Client, wait_s: float) -> None:
        """Let the client work; what the broker has not taken goes out again when it is back."""
        if client.loop(wait_s) != mqtt.MQTT_ERR_SUCCESS:
            with contextlib.suppress(OSError):
                client.reconnect()


@dataclass
class Plant:
    """The plant's folder and ports; `changes` are laid over the gateway's configuration, section by section."""

    folder: Path
    influx_url: str
    broker_port: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    modbus_port: int = field(default_factory=free_port)
    way: str = ""  # `host:port` at which the gateway reaches the meters, where something stands between
    environment: Mapping[str, str] | None = None  # of the gateway; None: that of the tests
    program: Sequence[str] = ("-m", "tanflow")  # what Python runs
    publisher: Publisher = field(init=False)
    witness: Witness = field(init=False)
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.config.write_text(yaml.safe_dump(self._configuration(self.way)))
        self._served.write_text(yaml.safe_dump(self._configuration()))
        self.publisher = Publisher(self.broker_port)
        self.witness = Witness(self.data)

    @property
    def config(self) -> Path:
        return self.folder / "gateway.yaml"

    @property
    def _served(self) -> Path:
        return self.folder / "meters.yaml"

    @property
    def data(self) -> Path:
        """The data directory, wherever `changes` put it."""
        return self.folder / str(self._configuration()["data"]["dir"])

    @property
    def log(self) -> str:
        """What the gateway said until now."""
        return (self.folder / "gateway.log").read_text(errors="replace")

    def _configuration(self, way: str = "") -> dict[str, Any]:
        at = way or f"127.0.0.1:{self.modbus_port}"
        index = {"quantity": "energy_index", "unit": "kWh", "scale": 0.001, "modbus": {"address": 0, "type": "uint32"}}
        number = {"quantity": "count", "unit": "1"}
        unit = {"energy_import": index, "sequence": number | {"modbus": {"address": 2, "type": "uint32"}}}
        message = {"sequence": number | {"mqtt": {"path": "seq"}}}
        meters = {
            name: {"type": "meter", "rated_kw": 100, "devices": {"m": {"connection": "floor", "points": unit,
                   "address": f"{at}/{n}"}}}
            for n, name in enumerate(METERS, 1)
        }  # fmt: skip
        topic = {"devices": {"d": {"connection": "broker", "address": TOPIC, "points": message}}}
        broker = {"protocol": "mqtt", "host": "127.0.0.1", "port": self.broker_port, "client_id": "proof"}
        gateway: dict[str, Any] = {
            "version": 1,
            "site": {"name": "proof", "region": "CN-GD"},
            "data": {"dir": "data", "commit_ms": 50, "snapshot_s": 1, "history": {"cut_s": 1}},
            "api": None,
            "connections": {
                "floor": {"protocol": "modbus", "every_s": 0.05},
                "broker": broker | {"time_path": "time", "time_format": "ns", "backoff_max_s": 1},
            },
            "areas": {"hall": {"assets": meters | {"messages": {"type": "other", "carrier": "none"} | topic}}},
            "sinks": {
                SINK: {"type": "influxdb", "api": "v1", "url": self.influx_url, "database": DATABASE,
                       "backoff_max_s": 1}
            },
        }  # fmt: skip
        return laid_over(gateway, self.changes)

    def start(self, *before: str) -> subprocess.Popen[bytes]:
        """Start the gateway and return at once; `before` stands before its command, such as a limit or a preload."""
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, *self.program, "run", "-c", str(self.config)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                env=self.environment,
            )
        return self.process

    def kill(self) -> None:
        """End the gateway with signal 9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End the gateway in order."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(300) == 0, self.log[-4000:]

    def subscribe_first(self, broker: Mosquitto) -> None:
        """Run the gateway until the broker has granted its subscription: only then are messages kept for it."""
        self.start()
        self.until(lambda: "proof 1 " in broker.log, "the subscription")
        self.kill()

    @contextmanager
    def publishing(self, broker: Mosquitto) -> Iterator[None]:
        """Publish until the block is left, from when the broker has granted the running gateway its subscription."""
        self.until(lambda: "proof 1 " in broker.log, "the subscription")
        with in_thread(self.publisher):
            yield

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = 300) -> None:
        """Return when `condition()` holds; fail with the gateway's own words when it ends before."""

        def held() -> bool:
            assert self.process is None or self.process.poll() is None, self.log[-4000:]
            return bool(condition())

        until_sync(held, timeout_s, what, every_s=0.05)  # each look opens the log anew

    def accepts(self, since: float) -> float:
        """Return how long after `since` [monotonic s] the running gateway has accepted a new reading [s]."""
        self.witness.look()  # what the last one has accepted does not count
        before = self.witness.inputs
        self.until(lambda: self.witness.inputs > before, "readings are accepted")
        return time.monotonic() - since

    def caught_up(self, sink: str = SINK) -> None:
        """Return when nothing more is published, the log has all of it, meters are read, the sink has all there was."""
        if self.publisher.running:
            self.publisher.enough.set()
            self.until(lambda: not self.publisher.running, "the broker has taken all")
            last = max(self.publisher.acked, default=None)
            self.until(lambda: last is None or self.witness.saw("messages.sequence.count", last), "the last message")
        before, read = self.witness.last_position(), self._read()
        self.until(lambda: all(now not in {0, then} for now, then in zip(self._read(), read, strict=True)), "meters")
        self.until(
            lambda: self.witness.last_position() > before + 10 and self.witness.taken(sink) >= before,
            "the database has caught up",
        )

    def _read(self) -> list[int]:
        """Return the time of each meter's newest row [ns], 0 before the first; of no meter where there are none."""
        return [
            self.witness.newest_ns(key) for key in (f"{m}.sequence.count" for m in METERS) if self.witness.knows(key)
        ]

    def meters(self, stop: threading.Event) -> None:
        async def main() -> None:
            devices = {name: Ramp(name, 1_000.0 * n) for n, name in enumerate(METERS, 1)}
            async with serve(load(self._served).gateway, load_all(), devices, own_broker=False) as served:
                running = asyncio.create_task(served.run(Clock(), 0.05))
                await asyncio.to_thread(stop.wait)
                running.cancel()

        asyncio.run(main())

    @contextmanager
    def alive(self, *, publishing: bool = True) -> Iterator[None]:
        """Let meters, publisher and witness run until the block is left; the gateway is ended in any case."""
        with ExitStack() as stack:
            stack.callback(self.kill)
            stack.enter_context(in_thread(self.meters))
            stack.enter_context(in_thread(self.witness))
            if publishing:
                stack.enter_context(in_thread(self.publisher))
            yield


def laid_over(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the changes in it; dictionaries are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = laid_over(inner, value) if isinstance(inner, dict) and isinstance(value, Mapping) else value
    return merged
