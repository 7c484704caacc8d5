"""What the program has to say → lines on standard error: as text, as JSON or for the journal, and never too many.

Whoever's words are in a line cannot begin another one with them, nor colour a terminal; no known secret is among them.
The same thing about the same subject is told ten times at once and every three hours after that; the next line of it
says how many were left out.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

from config.explain import visible
from config.hidden import hide

Format = Literal["text", "json", "journal"]
VARIABLE: Final = "TANFLOW_LOG_FORMAT"
_PRIORITIES: Final = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}  # of syslog(3)
_NUMBERS: Final = re.compile(r"\d+")
_KEPT: Final = 4_096  # subjects that are remembered
_SUBJECT: Final = 200  # characters of one: a topic may have 65,535
_LONGEST: Final = 4_000  # characters of a line


@dataclass(slots=True)
class Bucket:
    """Tokens that come back with time: a line takes one."""

    size: float
    again_s: float  # until one token is back
    tokens: float = field(init=False)
    at_s: float = 0.0
    left_out: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, now_s: float) -> bool:
        """Take a token; False: there is none."""
        self.tokens = min(self.size, self.tokens + (now_s - self.at_s) / self.again_s)
        self.at_s = now_s
        if self.tokens < 1:
            self.left_out += 1
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Limit:
    """How often a line may be told: by what it says of whom, and by what it says of anyone."""

    now_s: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[tuple[str, ...], Bucket] = field(default_factory=OrderedDict)

    def note(self, record: logging.LogRecord) -> str | None:
        """Return what is to be added to a line, "" mostly; None: it is left out. What is critical always passes."""
        if record.levelno >= logging.CRITICAL:
            return ""
        kind = (record.name, _NUMBERS.sub("#", str(record.msg)))
        now_s = self.now_s()
        mine = self._bucket((*kind, _subject(record)), 10, 10_800.0)
        if not mine.take(now_s):
            return None
        if not self._bucket(kind, 200, 60.0).take(now_s):
            mine.left_out += 1  # told with the next line on the same subject
            return None
        left_out, mine.left_out = mine.left_out, 0
        if left_out:
            return f" ({left_out} more like this were left out)"
        return " (from now on told every 3 h)" if mine.tokens < 1 else ""

    def _bucket(self, key: tuple[str, ...], size: float, again_s: float) -> Bucket:
        bucket = self._buckets.pop(key, None) or Bucket(size, again_s, self.now_s())
        self._buckets[key] = bucket
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return bucket


def _subject(record: logging.LogRecord) -> str:
    """Return whom a line is about: what it names first, or the sentence it is made of, without its numbers."""
    if not isinstance(record.args, tuple) or not record.args:
        return ""
    first = str(record.args[0])[:_SUBJECT]
    return first if len(record.args) > 1 else _NUMBERS.sub("#", first)


class Lines(logging.StreamHandler[TextIO]):
    """Writes what the limit lets pass."""

    def __init__(self, stream: TextIO | None = None, limit: Limit | None = None) -> None:
        super().__init__(stream)
        self._limit = limit or Limit()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record with the limit's note, or leave it out."""
        note = self._limit.note(record)
        if note is not None:
            record.note = note
            super().emit(record)


class Text(logging.Formatter):
    """`2026-01-31T08:00:00.000Z WARNING tanflow.deliver: …`; only a traceback has further lines, each set off."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        return f"{_time(record)} {record.levelname} {record.name}: {_said(record)}" + "".join(
            f"\n    | {line}" for line in self.trace(record)
        )

    def trace(self, record: logging.LogRecord) -> list[str]:
        """Return the lines of a traceback, made visible; none without one."""
        text = self.formatException(record.exc_info) if record.exc_info else ""
        return [visible(line) for line in hide(text).splitlines()]


class Journal(Text):
    """The same for systemd's journal, which has the time itself: the priority before each line (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Return lines."""
        lines = [f"{record.name}: {_said(record)}", *(f"    | {line}" for line in self.trace(record))]
        return "\n".join(f"<{_PRIORITIES.get(record.levelname, 6)}>{line}" for line in lines)


class Json(Text):
    """One object a line: time, level, logger, message, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line."""
        said: dict[str, Any] = {
            "time": _time(record), "level": record.levelname.lower(), "logger": record.name, "message": _said(record),
        }  # fmt: skip
        if trace := self.trace(record):
            said["traceback"] = "\n".join(trace)
        return orjson.dumps(said).decode()


_FORMATTERS: Final[dict[str, type[Text]]] = {"text": Text, "json": Json, "journal": Journal}


def begin(form: Format | None, *, verbose: bool = False) -> None:
    """Let all that is logged from now on go to standard error in a form; None: the journal's where that reads it."""
    handler = Lines()
    handler.setFormatter(_FORMATTERS[form or ("journal" if _to_journal() else "text")]())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tanflow").setLevel(logging.DEBUG if verbose else logging.INFO)


def _to_journal() -> bool:
    """Return whether standard error is the journal's, as it says in JOURNAL_STREAM (systemd.exec(5))."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _said(record: logging.LogRecord) -> str:
    text = visible(hide(record.getMessage()))
    if len(text) > _LONGEST:  # what went wrong often stands last
        text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 4 :]}"
    return text + getattr(record, "note", "")
