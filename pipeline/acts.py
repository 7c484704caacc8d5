"""What a person does → a row of the log and a line that is kept for good: who, when, what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from config.bindings import series_key
from pipeline.batch import Header, make
from pipeline.clock import Clock
from pipeline.heartbeat import GATEWAY
from pipeline.log.log import Log, LogReader
from pipeline.log.writer import Entry
from pipeline.quality import CLOCK, UNCERTAIN

ACT_KEY: Final = series_key(GATEWAY, "acts", "act")
What = Literal[
    "login", "logout", "refused", "acknowledge", "silence", "unsilence", "enter", "approve", "export", "users", "probe",
    "notify_test", "commission",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """One act: the user's name and role, what was done, and to what; never a secret."""

    user: str
    role: str
    what: What
    about: dict[str, Any]


async def record(log: Log, clock: Clock, revision: int, series: int, act: Act) -> int:
    """Commit an act and return its position in the log. Raises LogFailed.

    The row is of the series ACT_KEY; the note of its header, `act`, is what stages see.
    """
    said = {"user": act.user, "role": act.role, "what": act.what, "about": act.about}
    header = Header(GATEWAY, revision, clock.boot, clock.now_ns(), clock.monotonic_ns(), note={"act": said})
    batch = make(header, header.received_ns, [series], 1.0, 0 if clock.trusted else CLOCK | UNCERTAIN)
    row = (header.received_ns, act.user, act.role, act.what, orjson.dumps(act.about).decode())
    statement = ("INSERT INTO acts (at_ns, user, role, what, about) VALUES (?, ?, ?, ?, ?)", row)
    return await log.append(Entry([batch], statements=[statement]))


def acts(reader: LogReader, most: int = 500, before: int | None = None) -> list[dict[str, Any]]:
    """Return the newest acts, or those before one, newest first."""
    query = "SELECT id, at_ns, user, role, what, about FROM acts WHERE id < ? ORDER BY id DESC LIMIT ?"
    rows = reader.query(query, (before if before is not None else 2**62, most))
    names = ("id", "at_ns", "user", "role", "what")
    return [dict(zip(names, row[:5], strict=True)) | {"about": orjson.loads(row[5])} for row in rows]
