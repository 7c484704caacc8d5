"""One message as JSON on standard input → Apprise → one line of JSON that says whether it was taken, and if not, why.

Apprise itself says only yes or no, and takes the answer 200 of a robot that refuses for a yes; so every HTTP answer and
every error of a mail server is noted on its way. All of this is about this process alone.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from importlib import import_module
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import apprise
import requests

from pipeline.retry_after import retry_after

_LATER: Final = (408, 425, 429)  # of the 4xx: come again
_ELSEWHERE: Final = (301, 302)  # followed with GET, which leaves the message behind; 303 says that it was taken
# Robots that answer 200 to everything: where their code stands, and which codes mean "too fast".
_ROBOTS: Final = {
    "dingtalk": ("errcode", {-1, 130101, 410100}),
    "wecombot": ("errcode", {-1, 45009, 45033}),
    "feishu": ("code", {9499, 11232}),
    "lark": ("code", {9499, 11232}),
}
_KINDS: Final = {"critical": "failure", "warning": "warning", "info": "info"}
_MAIL: Final = re.compile(r"Socket Exception: (.*)", re.DOTALL)
_POOL: Final = re.compile(r"HTTPS?ConnectionPool\(host='([^']*)', port=(\d+)\): (.*)", re.DOTALL)
_INNERMOST: Final = re.compile(r"""["']([^"']*)["']\)*$""")
_ERRNO: Final = re.compile(r"^\[Errno -?\d+\] ")
_CODE: Final = re.compile(r"\b([45])\d\d\b")


class Heard(NamedTuple):
    """One thing the other side said."""

    words: str
    refused: bool
    after_s: float | None = None


class _Ears(logging.Handler):
    """Hears what Apprise logs of a connection or a mail server."""

    def __init__(self, heard: list[Heard]) -> None:
        super().__init__(logging.DEBUG)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        found = _MAIL.search(record.getMessage())
        if found:
            code = _CODE.search(found[1])
            self._heard.append(Heard(plain(found[1]), bool(code and code[1] == "5")))


def plain(words: str) -> str:
    """Return what went wrong with a connection without the names of the Python objects it went through."""
    if not (found := _POOL.match(words)):
        return words
    host, port, said = found.groups()
    if inner := _INNERMOST.search(said):
        said = inner[1].rpartition(": ")[2].strip()
    if said.startswith("("):
        said = said.strip("()")
    return f"{host}:{port}: {_ERRNO.sub('', said)}"


def _answered(response: requests.Response, schema: str) -> Heard | None:
    """Return what is wrong with an answer, None where it was taken."""
    status, after_s = response.status_code, retry_after(response.headers.get("Retry-After"))
    if status >= 400:
        words = f"HTTP {status} {response.reason}: {response.text[:200]}".rstrip(": ")
        return Heard(words, status < 500 and status not in _LATER, after_s)
    name, fast = _ROBOTS.get(schema, ("", set[int]()))
    if not name:
        return None
    try:
        code = response.json().get(name, 0)
    except (ValueError, AttributeError):
        return Heard(f"an answer that is none of a robot: {response.text[:200]}", False)
    return Heard(f"{name} {code}: {response.text[:200]}", code not in fast) if code else None


def _led_away(response: requests.Response) -> Heard | None:
    """Return that a message was left behind at an address that leads elsewhere; None where it was not."""
    for first in response.history:
        if first.status_code in _ELSEWHERE and first.request.method == "POST" != response.request.method:
            return Heard(f"HTTP {first.status_code}: it leads elsewhere; write the address it leads to", False)
    return None


def _listen(schema: str, proxy: str | None, heard: list[Heard]) -> None:
    """Note every HTTP answer, and send through the proxy."""
    plain = requests.Session.request

    def request(self: requests.Session, *arguments: Any, **options: Any) -> requests.Response:
        if proxy:
            options["proxies"] = {"http": proxy, "https": proxy}
        response = plain(self, *arguments, **options)
        wrong = _led_away(response) or _answered(response, schema)
        if wrong:
            heard.append(wrong)
        return response

    requests.Session.request = request  # type: ignore[method-assign]
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(_Ears(heard))


def _identify(service: Any, number: str) -> None:
    """Put the message's id where the service has a place for it: a header, a field, the mail's Message-ID."""
    number = quote(number, safe="")  # names may be Chinese, headers may not
    if isinstance(getattr(service, "headers", None), dict):
        service.headers["X-Tanflow-Id"] = number
    if isinstance(getattr(service, "payload_extras", None), dict):
        service.payload_extras["id"] = number
    if type(service).__module__.startswith("apprise.plugins.email"):
        mail: Any = import_module("apprise.plugins.email.base")
        mail.make_msgid = lambda domain=None, **_: f"<{number}@{domain or 'tanflow'}>"


def send(asked: dict[str, Any]) -> dict[str, Any]:
    """Send one message and return what became of it."""
    logging.getLogger("apprise").propagate = False
    asset = apprise.AppriseAsset(app_id="tanflow", app_desc="tanflow")
    service: Any = apprise.Apprise.instantiate(asked["url"], asset=asset)
    if service is None:
        return {
            "ok": False,
            "refused": True,
            "why": "Apprise does not know this address; docs/notifications.md has examples",
        }
    schema = asked["url"].partition("://")[0]
    heard: list[Heard] = []
    _listen(schema, asked["proxy"], heard)
    _identify(service, asked["id"])
    service.socket_connect_timeout = service.socket_read_timeout = asked["timeout_s"]
    kind = apprise.NotifyType(_KINDS[asked["severity"]])
    taken = service.notify(
        body=asked["body"], title=asked["title"], notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    answer: dict[str, Any] = {"ok": bool(taken) and not heard, "room": service.body_maxlen}
    if not answer["ok"]:
        last = heard[-1] if heard else Heard("not taken, and no reason given", False)
        answer |= {"refused": last.refused, "why": last.words, "after_s": last.after_s}
    return answer


if __name__ == "__main__":
    sys.stdout.write(json.dumps(send(json.load(sys.stdin))))
