"""What the doctor looks at, opened once: configuration, data directory, log, process, what the gateway says itself."""

from __future__ import annotations

import json
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config import secrets
from config.errors import GatewayError
from config.load import Loaded
from config.model import Api, Gateway
from pipeline.log.directory import check_format, owner
from pipeline.log.log import LogReader

_ANSWER_S: Final = 5.0  # a gateway that takes longer is not well


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: about what, a sentence, since when [ns UTC], what to do. `wrong` False: worth knowing, no more."""

    about: str
    what: str
    do: str = ""
    since_ns: int | None = None
    wrong: bool = True


@dataclass(frozen=True, slots=True)
class Visit:
    """A gateway as it is found."""

    loaded: Loaded
    folder: Path
    now_ns: int
    reader: LogReader | None  # None: there is no log, or it cannot be opened
    unreadable: str  # why
    process: int | None  # that owns the data directory
    health: dict[str, Any] | None  # what its API says; None: nothing
    silent: str  # why it says nothing

    @property
    def config(self) -> Gateway:
        return self.loaded.gateway

    @property
    def foreign(self) -> str:
        """Return why this version does not know the data directory's format; "" where it does."""
        try:
            check_format(self.folder)
        except GatewayError as error:
            return str(error)
        return ""

    def component(self, name: str) -> dict[str, Any]:
        """Return what the running gateway counts of a component; empty where it says nothing."""
        found: dict[str, Any] = (self.health or {}).get("components", {}).get(name, {})
        return found


@contextmanager
def visit(loaded: Loaded, folder: Path) -> Iterator[Visit]:
    """Open everything for reading; nothing is written."""
    reader, unreadable = None, ""
    try:
        reader = LogReader(folder)
        reader.last_position()
    except (GatewayError, sqlite3.DatabaseError) as error:
        if reader is not None:
            reader.close()
        reader, unreadable = None, str(error)
    process = owner(folder)
    health, silent = _health(loaded.gateway.api) if process is not None else (None, "")
    try:
        yield Visit(loaded, folder, time.time_ns(), reader, unreadable, process, health, silent)
    finally:
        if reader is not None:
            reader.close()


def _health(api: Api | None) -> tuple[dict[str, Any] | None, str]:
    """Ask the gateway's own API how it is; it is unwell with status 503 and says why all the same."""
    if api is None or not api.port:
        return None, ""
    host = "127.0.0.1" if api.host in ("0.0.0.0", "localhost") else api.host
    place = f"[{host.replace('::', '::1') if host == '::' else host}]" if ":" in host else host
    request = urllib.request.Request(f"{'https' if api.tls else 'http'}://{place}:{api.port}/api/health")
    try:
        if api.token:
            request.add_header("Authorization", f"Bearer {secrets.read(api.token)}")
        direct = urllib.request.ProxyHandler({})  # a proxy has no business with the token
        opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=_trusting(api)))
        with opener.open(request, timeout=_ANSWER_S) as answer:
            return json.load(answer), ""
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 503:
                return json.load(error), ""
        # Users without a token for programs: the log tells without it.
        return None, "" if error.code in (401, 403) else f"it answers {error.code}: {error.reason}"
    except (OSError, ValueError, GatewayError) as error:
        return None, str(getattr(error, "reason", error)) or type(error).__name__


def _trusting(api: Api) -> ssl.SSLContext | None:
    """Return a context that takes the gateway's own certificate and no other; on one machine names do not matter."""
    if api.tls is None:
        return None
    context = ssl.create_default_context(cafile=str(api.tls.certificate))
    context.check_hostname = False
    return context
