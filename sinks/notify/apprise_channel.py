"""Messages → whatever Apprise knows: mail, webhooks, DingTalk, WeCom, Feishu, Slack, Teams …

Apprise runs in a process of its own for each message: one that hangs is ended, its proxy is its own, what it loads is
given back, and what it logs (addresses with passwords among it) comes nowhere near our log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from typing import Any, Final, Self
from urllib.parse import unquote

import orjson

from config import secrets
from config.errors import Rejected, Unavailable
from config.hidden import forms
from config.notify import AppriseChannel as Config
from sinks.notify.message import Message, Words

_START_S: Final = 20.0  # to load Apprise on a small gateway, on top of the time its services have
_ROOM: Final = 32_768
_HIDDEN: Final = "…"
_PASSED_ON: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "LD_LIBRARY_PATH",
)  # fmt: skip
_LONG: Final = 300


class AppriseChannel:
    """One Apprise address."""

    joins: Final = True
    refresh_s: Final = 0.0

    def __init__(self, config: Config, words: Words) -> None:
        self._config, self._words = config, words
        self.room = _ROOM
        self._address = ""

    async def __aenter__(self) -> Self:
        self._address = secrets.read(self._config.url)
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, message: Message) -> None:
        words = self._words
        answer = await self._ask(
            {
                "url": self._address,
                "proxy": self._config.proxy,
                "timeout_s": self._config.timeout_s,
                "id": message.id,
                "title": words.title(message),
                "body": words.body(message, self.room),
                "severity": message.severity,
            }
        )
        self.room = answer.get("room") or self.room
        if not answer["ok"]:
            why = hidden(answer["why"], self._address)
            raise Rejected(why) if answer["refused"] else Unavailable(why, answer.get("after_s"))

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return what the process answers; raises Unavailable when it does not in time."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "sinks.notify.apprise_process",
            env=_passed_on() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_START_S + 3 * self._config.timeout_s):
                out, _ = await process.communicate(orjson.dumps(question))
        except TimeoutError:
            raise Unavailable(f"no answer within {self._config.timeout_s:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode or not out:
            raise Unavailable(f"Apprise failed with exit code {process.returncode}")
        answer: dict[str, Any] = orjson.loads(out)
        return answer


def _passed_on() -> dict[str, str]:
    """Return what a channel's process needs of the environment: not the secrets of all others that may stand there."""
    known = {name: os.environ.get(name) or os.environ.get(name.lower()) for name in _PASSED_ON}
    return {name: value for name, value in known.items() if value}


def hidden(said: str, address: str) -> str:
    """Return words of the other side without any part of an address that may be a secret: all but scheme and host.

    Where a service has no host of its own its token stands in that place; it is told from a host by having no dot.
    """
    where, _, rest = re.sub(r"^[^:]*://", "", address).partition("/")
    user, _, host = where.rpartition("@")
    known = re.match(r"(?:localhost|[\w-]+(?:\.[\w-]+)+|\[[\da-fA-F:.]+\])(?::\d+)?(?=$|\?)", host)
    secret = f"{user}/{'' if known else host}/{host[known.end() :] if known else ''}/{rest}"
    parts = {piece for piece in re.split(r"[/?&=:@,+]", secret) if piece}
    said = re.sub(r"\?\S+", f"?{_HIDDEN}", said)
    parts |= {unquote(part) for part in parts}
    written = parts.union(*(forms(part) for part in parts))  # a service may say its header back: base64
    for part in sorted(written, key=len, reverse=True):
        if len(part) > 2:
            said = said.replace(part, _HIDDEN)
    return said[:_LONG]
