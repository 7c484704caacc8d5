"""A path and serial settings enter; bytes on a serial port leave: one that is there, or a pseudo-terminal put there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self

import serial

from config.protocols.serial import Serial

_CHUNK = 4_096


class SerialPort:
    """One end of a line. Where nothing stands at the path it becomes a link to a pseudo-terminal others open.

    `received` is called with all that arrives. Raises OSError when the port cannot be opened.
    """

    def __init__(self, line: Serial, received: Callable[[bytes], object]) -> None:
        assert line.port is not None
        self.path = Path(line.port)
        self._line = line
        self._received = received
        self._open: contextlib.ExitStack = contextlib.ExitStack()
        self._fd = -1

    async def __aenter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._fd = self._existing(stack) if self.path.exists() else self._made(stack)
            loop = asyncio.get_running_loop()
            loop.add_reader(self._fd, self._readable)
            stack.callback(loop.remove_reader, self._fd)
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.close()

    def write(self, data: bytes) -> None:
        """Send a frame; what nobody takes is lost, as on a line."""
        with contextlib.suppress(OSError):
            os.write(self._fd, data)

    def _existing(self, stack: contextlib.ExitStack) -> int:
        line = self._line
        port = serial.Serial(
            line.port, line.baudrate, line.data_bits, line.parity, line.stop_bits, timeout=0, exclusive=True
        )
        stack.callback(port.close)
        return int(port.fileno())

    def _made(self, stack: contextlib.ExitStack) -> int:
        near, far = os.openpty()  # the far end is held open: nobody there is no hang-up
        stack.callback(os.close, near)
        stack.callback(os.close, far)
        tty.setraw(near)
        os.set_blocking(near, False)
        self.path.symlink_to(os.ttyname(far))
        stack.callback(self.path.unlink, missing_ok=True)
        return near

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # the other end of a pair is gone for good
            data = b""
        if data:
            self._received(data)
        else:
            asyncio.get_running_loop().remove_reader(self._fd)
