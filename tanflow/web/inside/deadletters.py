"""/api/deadletters: what came and could not be taken in, newest first, and how much of it there is by reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.errors import Rejected
from pipeline.log.log import LogReader
from tanflow.web.encode import answered, iso
from tanflow.web.parameters import only, whole

if TYPE_CHECKING:
    from pathlib import Path

    from tanflow.gateway import Gateway

_LISTED: Final = 1_000
_SHOWN: Final = 64  # bytes of what came
_REASONS: Final = 200


def routes(gateway: Gateway) -> list[Route]:
    """Return the route of the dead letters."""

    async def answer(request: Request) -> Response:
        only(request.query_params, "limit")
        most = whole(request.query_params, "limit", 100)
        if most > _LISTED:
            raise Rejected(f"limit={most} is more than {_LISTED}; `tanflow deadletters` shows more")
        return await asyncio.to_thread(lambda: answered(letters(gateway.directory.path, most)))

    return [Route("/api/deadletters", answer)]


def letters(folder: Path, most: int) -> dict[str, Any]:
    """Return the newest letters as JSON-ready data, and how many there are of each component and reason."""
    reader = LogReader(folder)
    try:
        rows = reader.query(
            "SELECT id, at_ns, component, source, reason, substr(raw, 1, ?), length(raw) FROM dead "
            "ORDER BY id DESC LIMIT ?",
            (_SHOWN, most),
        )
        totals = reader.query(
            "SELECT component, reason, count(*), max(at_ns) FROM dead GROUP BY component, reason "
            "ORDER BY count(*) DESC LIMIT ?",
            (_REASONS,),
        )
        (total,) = reader.query("SELECT count(*) FROM dead")[0]
    finally:
        reader.close()
    times = iso(np.array([row[1] for row in rows], np.int64))
    return {
        "letters": [_letter(row, time) for row, time in zip(rows, times, strict=True)],
        "total": total,
        "totals": [
            {"component": component, "reason": reason, "count": count, "last_ns": last_ns}
            for component, reason, count, last_ns in totals
        ],
    }


def _letter(row: tuple[Any, ...], time: str) -> dict[str, Any]:
    number, at_ns, component, source, reason, raw, length = row
    return {
        "id": number,
        "at": time,
        "at_ns": at_ns,
        "component": component,
        "source": source,
        "reason": reason,
        "raw_hex": bytes(raw).hex(),
        "bytes": length,
    }
