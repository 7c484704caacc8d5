"""A line between gateway and broker: bytes pass, or vanish; which message was sent and which acknowledged is noted."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_PUBLISH: Final = 3
_PUBACK: Final = 4
_NUMBER: Final = re.compile(rb'"seq":(\d+)')


def frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole MQTT packets off a buffer and yield (kind, what follows the fixed header)."""
    while len(buffer) >= 2:
        length, at = 0, 1
        while True:
            if at == len(buffer):
                return
            length |= (buffer[at] & 0x7F) << 7 * (at - 1)
            at += 1
            if buffer[at - 1] < 0x80:
                break
        if len(buffer) < at + length:
            return
        kind, body = buffer[0] >> 4, bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield kind, body


class Line:
    """Listens at `port` and passes on to the broker; while `swallows` it takes all and passes nothing, either way."""

    def __init__(self, broker_port: int) -> None:
        self.swallows = False
        self.acknowledged: set[int] = set()  # numbers the gateway has acknowledged to the broker
        self._broker_port = broker_port
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let it listen until the block is left."""
        self._begin(self._accept)
        try:
            yield
        finally:
            for end in (self._listening, *self._ends):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            for thread in self._threads:
                thread.join()

    def _begin(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                gateway, _ = self._listening.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self._broker_port))
            except OSError:
                gateway.close()
                continue
            self._ends += [gateway, broker]
            numbers: dict[int, int] = {}
            self._begin(self._pump, broker, gateway, numbers, True)
            self._begin(self._pump, gateway, broker, numbers, False)

    def _pump(self, source: socket.socket, target: socket.socket, numbers: dict[int, int], down: bool) -> None:
        buffer = bytearray()
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if self.swallows:
                    continue
                buffer += data
                self._note(buffer, numbers, down)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _note(self, buffer: bytearray, numbers: dict[int, int], down: bool) -> None:
        """Note which number a packet id stands for, then that it is acknowledged."""
        for kind, body in frames(buffer):
            if down and kind == _PUBLISH and (found := _NUMBER.search(body)):
                at = 2 + int.from_bytes(body[:2])
                numbers[int.from_bytes(body[at : at + 2])] = int(found[1])
            elif not down and kind == _PUBACK and (number := numbers.pop(int.from_bytes(body[:2]), None)) is not None:
                self.acknowledged.add(number)
