"""/api/report: the file `tanflow report` makes, built off the loop, one at a time, and recorded as an export."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from config.errors import GatewayError, Rejected
from tanflow.web.access.acts import Acts
from tanflow.web.access.sessions import who
from tanflow.web.parameters import choice, only

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
}
_MOST: Final = 64 << 20  # bytes
_PIECE: Final = 256 << 10


class Asked(NamedTuple):
    """A year or a month of it, as a file in a language."""

    year: int
    month: int | None
    format: str
    language: Literal["en", "zh-CN"]


def routes(gateway: Gateway, acts: Acts) -> list[Route]:
    """Return the route of the report."""
    building = asyncio.Lock()

    async def answer(request: Request) -> Response:
        asked = parse(request.query_params)
        async with building:
            name, content = await asyncio.to_thread(build, gateway, asked)
        await acts.record(who(request), "export", file=name, language=asked.language)
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "content-length": str(len(content)),
        }
        return StreamingResponse(_pieces(content), headers=headers, media_type=_KINDS[asked.format])

    return [Route("/api/report", answer)]


def parse(given: QueryParams) -> Asked:
    """Return what is asked for; raises Rejected with a sentence."""
    only(given, "year", "month", "format", "lang")
    year, month = given.get("year", ""), given.get("month", "")
    if not (year.isascii() and year.isdigit() and len(year) == 4 and 1990 <= int(year) <= 2100):
        raise Rejected(f"year={year!r} is no year; write e.g. year=2025")
    if month and not (month.isascii() and month.isdigit() and len(month) <= 2 and 1 <= int(month) <= 12):
        raise Rejected(f"month={month!r} is no month; write 1 to 12, or leave it out for the whole year")
    kind = choice(given, "format", tuple(_KINDS), "html")
    chinese = choice(given, "lang", ("en", "zh-CN"), "en") == "zh-CN"
    return Asked(int(year), int(month) if month else None, kind, "zh-CN" if chinese else "en")


def build(gateway: Gateway, asked: Asked) -> tuple[str, bytes]:
    """Return name and content of the file; raises Rejected for a period without any entry and for too large a file."""
    from carbon.report.model import Period
    from carbon.report.words import Words
    from tanflow import reporting  # what makes reports is imported by those who ask for one

    zone = gateway.books.zone
    period = Period(asked.year, asked.month, zone)
    try:
        made = reporting.made(
            gateway.config, lambda: gateway.books, gateway.directory.path, period, now_ns=gateway.clock.now_ns()
        )
    except GatewayError as error:
        raise Rejected(str(error)) from None
    content = reporting.encoded(made, Words(asked.language, zone), asked.format)
    if len(content) > _MOST:
        raise Rejected(f"the report is larger than {_MOST >> 20} MiB; ask month by month, or run `tanflow report`")
    return reporting.name_of(asked.year, asked.month, asked.format), content


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), _PIECE):
        yield content[at : at + _PIECE]
