"""A serial line as configured enters; an asyncio transport on it leaves: a port of this machine, or a serial server.

pyserial opens and sets the port; its descriptor is then driven by the event loop, so a line costs no thread.
"""

from __future__ import annotations

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import serial

from config.protocols.serial import Serial

P = TypeVar("P", bound=asyncio.BaseProtocol)

_CHUNK: Final = 4_096
_MOST_WAITING: Final = 65_536  # bytes not yet written: far more than any request of a protocol that waits for replies


async def open_line(settings: Serial, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
    """Open `settings.port` for this process alone and give the factory's protocol a transport on it.

    Raises OSError with a sentence: the port is missing, not permitted, in use or cannot be set so.
    """
    if settings.port is None:
        raise ValueError("a line behind a serial server has no port to open; see connect_line")
    port = _open(settings, settings.port)
    protocol = factory()
    return _SerialTransport(asyncio.get_running_loop(), port, protocol), protocol


async def connect_line(host: str, port: int, factory: Callable[[], P]) -> tuple[asyncio.Transport, P]:
    """Reach a line behind a serial server, which passes bytes both ways over TCP. Raises OSError, UnicodeError."""
    transport, protocol = await asyncio.get_running_loop().create_connection(factory, host, port)
    return transport, protocol


def _open(settings: Serial, path: str) -> serial.Serial:
    try:
        port = serial.Serial(
            path,
            settings.baudrate,
            settings.data_bits,
            settings.parity,
            settings.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except OSError as error:
        raise OSError(_words(path, error)) from None
    except (ValueError, termios.error) as error:
        form = f"{settings.baudrate} baud, {settings.data_bits}{settings.parity}{settings.stop_bits}"
        raise OSError(f"{path} cannot be set to {form}: {error.args[-1]}") from None
    # USB adapters otherwise hold bytes back for 16 ms in the hope of more; not every driver has the setting.
    with suppress(ValueError, OSError):
        port.set_low_latency_mode(True)
    return port


def _words(path: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            return f"{path} does not exist: is the adapter plugged in? 'ls -l /dev/serial/by-id' shows those that are"
        case errno.EACCES | errno.EPERM:
            return (
                f"no permission to open {path}: add the user that runs the gateway to its group, e.g. 'usermod -aG "
                "dialout tanflow', and start the gateway again"
            )
        case errno.EBUSY | errno.EWOULDBLOCK:
            return f"{path} is in use by another program or another connection; a port has one owner"
        case errno.EISDIR:
            return f"{path} is a directory, not a serial port"
        case None:  # pyserial's own: it could be opened, but not be set
            return f"{path} is no serial port"
        case _:
            return f"{path} cannot be opened: {error.strerror or error}"


class _SerialTransport(asyncio.Transport):
    """Bytes between a serial port and a protocol; a port that goes away is a lost connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: serial.Serial, protocol: asyncio.BaseProtocol) -> None:
        super().__init__({"serial": port})
        self._loop = loop
        self._port = port
        self._fd: int = port.fileno()
        self._protocol: Any = protocol
        self._waiting = bytearray()
        self._closing = False
        self._over = False
        protocol.connection_made(self)
        loop.add_reader(self._fd, self._readable)

    def is_closing(self) -> bool:
        return self._closing

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_write_buffer_size(self) -> int:
        return len(self._waiting)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send now what the port takes, the rest when it takes more; a line that takes nothing at all is lost."""
        if self._closing or not data:
            return
        if self._waiting:
            self._waiting += data
            if len(self._waiting) > _MOST_WAITING:
                self._lose(OSError(f"{self._port.port} takes no bytes"))
            return
        sent = self._send(bytes(data))
        if sent is not None and sent < len(data):
            self._waiting += data[sent:]
            self._loop.add_writer(self._fd, self._writable)

    def close(self) -> None:
        """Take no more in; end when what waits is written."""
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._fd)
        if not self._waiting:
            self._loop.call_soon(self._end, None)

    def abort(self) -> None:
        """End at once; what waits is dropped."""
        self._lose(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._lose(OSError(f"{self._port.port} has gone away"))

    def _writable(self) -> None:
        sent = self._send(bytes(self._waiting))
        if sent is None:
            return
        del self._waiting[:sent]
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._closing:
                self._end(None)

    def _send(self, data: bytes) -> int | None:
        """Return how many bytes the port took; None when it is lost."""
        try:
            return os.write(self._fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self._lose(error)
            return None

    def _lose(self, error: OSError | None) -> None:
        if self._over:
            return
        if not self._closing:
            self._loop.remove_reader(self._fd)
        self._closing = True
        self._loop.remove_writer(self._fd)
        self._waiting.clear()
        self._over = True
        self._shut()
        self._loop.call_soon(self._protocol.connection_lost, error)

    def _end(self, error: OSError | None) -> None:
        if not self._over:
            self._over = True
            self._shut()
            self._protocol.connection_lost(error)

    def _shut(self) -> None:
        # The kernel otherwise waits up to half a minute in close() for bytes nobody takes.
        with suppress(OSError, termios.error):
            termios.tcflush(self._fd, termios.TCOFLUSH)
        with suppress(OSError, termios.error):
            self._port.close()
