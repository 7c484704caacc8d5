"""The gateway's state → HTTP or HTTPS on one address, in the gateway's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from config import secrets
from config.errors import GatewayError, Unavailable
from config.model import Api
from pipeline.clock import to_beat_s
from tanflow.web import tls
from tanflow.web.access.sessions import SignIns
from tanflow.web.app import application

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

Work = Callable[[], Coroutine[Any, Any, None]]
logger = logging.getLogger("tanflow.api")

_CONNECTIONS: Final = 128  # more are told to come back later
_HELD: Final = 256  # more are closed unheard: each takes a file descriptor from the plant
_HELD_BY_ONE: Final = 64  # by one address; on loopback it is a proxy's, and so everyone's
_OURSELVES: Final = ("127.0.0.1", "::1")
_FULL_S: Final = 1.0  # wait for a file descriptor to become free
_WAITING: Final = 64  # in the listen queue
_REQUEST_HEAD: Final = 32_768  # largest request line with headers [bytes]
_UNREAD_MS: Final = 120_000  # who takes nothing of what was sent for this long has gone, whatever TCP hopes
_HEAD_S: Final = 10.0  # for the head of a request: who only holds a connection takes a place from others
_TICK_S: Final = 1.0  # of the date in answers
_GRACE_S: Final = 1  # for answers under way when the gateway stops


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, for the gateway alone decides when to stop; and with a door of its own.

    A connection counts from when the system hands it over, its TLS handshake included: from then on it takes a file
    descriptor from the plant.
    """

    def __init__(self, config: uvicorn.Config, secure: ssl.SSLContext | None, listener: socket.socket) -> None:
        super().__init__(config)
        self._secure, self._listener = secure, listener
        self._held: dict[socket.socket, str] = {}  # whose each is
        self._over = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Keep the date of answers until told to end; uvicorn itself wakes up ten times a second for that."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), to_beat_s(_TICK_S))

    def end(self) -> None:
        """Let `serve` return."""
        self.should_exit = True
        self._over.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Be ready to answer those whom `accept` lets in."""
        self.servers = []
        self.started = True

    async def accept(self) -> None:
        """Let connections in for ever, no more than there may be."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as entering:
            while True:
                try:
                    accepted, (host, *_) = await loop.sock_accept(self._listener)
                except OSError as error:  # no file descriptor is free, or it was gone again
                    await asyncio.sleep(0 if error.errno == errno.ECONNABORTED else _FULL_S)
                    continue
                of_one = sum(1 for other in self._held.values() if other == host)
                if len(self._held) >= _HELD or (of_one >= _HELD_BY_ONE and host not in _OURSELVES):
                    accepted.close()
                    continue
                self._held[accepted] = host
                entering.create_task(self._enter(accepted))

    async def _enter(self, accepted: socket.socket) -> None:
        """Serve a connection, by TLS after a handshake that may not take for ever."""

        def leave() -> None:
            self._held.pop(accepted, None)

        protocol = partial(_Http, leave, self.config, self.server_state)
        limit_s = _HEAD_S if self._secure else None
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(protocol, accepted, ssl=self._secure, ssl_handshake_timeout=limit_s)
        except OSError:  # it said nothing, or nothing that is TLS: closed by now
            leave()


class _Http(H11Protocol):
    """uvicorn's protocol, which waits for ever for a request's head, with an end to that."""

    def __init__(self, leave: Callable[[], None], config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config, state, {})
        self._leave = leave

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_later(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _look_later(self, seen: RequestResponseCycle | None) -> None:
        self.loop.call_later(_HEAD_S, self._look, seen)

    def _look(self, seen: RequestResponseCycle | None) -> None:
        """Close a connection on which no request has come since the last look and none is being answered."""
        if self.transport.is_closing():
            return
        if self.cycle is seen and (seen is None or seen.response_complete):
            self.transport.close()
        else:
            self._look_later(self.cycle)


async def serve(
    gateway: Gateway, api: Api, now_s: Callable[[], float] = time.monotonic, sign_ins: SignIns | None = None
) -> None:
    """Serve until cancelled; answers under way get a second, idle connections are closed at once.

    `now_s` is the clock that sessions and limits go by.

    Raises Unavailable when the address cannot be listened on, or token, certificate or users.json cannot be read.
    """
    try:
        secure = tls.context(api.tls) if api.tls else None
        web = application(gateway, api, secrets.read(api.token) if api.token else "", now_s, sign_ins)
    except GatewayError as error:
        raise Unavailable(f"the API stays closed: {error}") from error
    with await _listen(api) as listener:
        host, port = listener.getsockname()[:2]
        scheme = "https" if secure else "http"
        logger.info("page and API on %s://%s:%d/", scheme, f"[{host}]" if ":" in host else host, port)
        renewing = (partial(tls.renew, secure, api.tls),) if secure and api.tls else ()
        server = _Server(_config(web.app), secure, listener)
        await _run(server, listener, (server.accept, *web.beside, *renewing))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Http,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        backlog=_WAITING,
        h11_max_incomplete_event_size=_REQUEST_HEAD,
        timeout_graceful_shutdown=_GRACE_S,
    )


async def _run(server: _Server, listener: socket.socket, beside: Iterable[Work]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="api server")
    others = [asyncio.create_task(work(), name="api work") for work in beside]
    try:
        done, _ = await asyncio.wait([serving, *others], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # nothing here ends by itself but by a defect, which is raised
    finally:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        server.end()
        await serving


async def _listen(api: Api) -> socket.socket:
    """Return a listening socket; of a name with several addresses the first of version 4, else the first."""
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(api.host, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(listener.close)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if unread := getattr(socket, "TCP_USER_TIMEOUT", None):  # Linux; connections take it from the listener
                listener.setsockopt(socket.IPPROTO_TCP, unread, _UNREAD_MS)
            listener.bind(address)
            listener.listen(_WAITING)
            listener.setblocking(False)
            undo.pop_all()
    except OSError as error:
        raise Unavailable(_why(api, error)) from error
    return listener


def _why(api: Api, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {api.port} is taken by another program; choose another with api.port or --port"
    if error.errno == errno.EACCES:
        return f"port {api.port} is for root only; choose one from 1024 on with api.port or --port"
    return f"cannot listen on {api.host} port {api.port}: {error.strerror or error}; look at api.host and api.port"
