"""/api/documents: papers handed in, entered, approved and listed; the only addresses that change anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from carbon.ledger import Ledger
from carbon.lines import Rules
from carbon.papers import evidence
from carbon.papers.documents import Documents, Entered, Person, ranges
from carbon.papers.manual import Account
from carbon.papers.register import Filed, Register
from carbon.papers.rows import file_name
from carbon.papers.sheets import MAX_BYTES, MAX_ROWS, Sheet, SheetRow, read_sheet
from config.errors import ConfigError, Rejected
from pipeline.acts import What
from tanflow.web.access.acts import Acts
from tanflow.web.access.sessions import Who, who
from tanflow.web.body import JSON, content, media_type
from tanflow.web.encode import answered
from tanflow.web.parameters import choice, only

if TYPE_CHECKING:
    from tanflow.gateway import Gateway

_SHEETS: Final = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
_SCANS: Final = ("application/octet-stream", "application/pdf", "image/jpeg", "image/png")
_LISTED: Final = 1_000  # documents of one answer
Answer = Callable[[Request], Awaitable[Response]]


def routes(gateway: Gateway, acts: Acts) -> list[Route]:
    """Return the routes of documents; what is handed in or approved is an act."""
    desk = _Desk(gateway, acts)
    return [
        Route("/api/documents", desk.listed, methods=["GET"]),
        Route("/api/documents", desk.entered, methods=["POST"]),
        Route("/api/documents/approve", desk.approved, methods=["POST"]),
        Route("/api/documents/file", desk.file, methods=["POST"]),
    ]


class _Desk:
    """Takes one request to write at a time; the ledger's file is written beside the accountant's own transactions."""

    def __init__(self, gateway: Gateway, acts: Acts) -> None:
        self._acts = acts
        account = Account(gateway.config, gateway.books.streams, Rules(gateway.config).of)
        self._documents = Documents(account, gateway.directory.path, gateway.clock.now_ns)
        self._writing = asyncio.Lock()

    async def listed(self, request: Request) -> Response:
        """Answer with documents after a number, oldest first."""
        only(request.query_params, "state", "after")
        state = choice(request.query_params, "state", ("any", "pending", "in force", "replaced"), "any")
        after = request.query_params.get("after", "0")
        if not (after.isdecimal() and after.isascii() and len(after) <= 12):
            raise Rejected(f"after={after!r} is no number of a document")
        return await asyncio.to_thread(lambda: answered(self._list(state, int(after))))

    async def entered(self, request: Request) -> Response:
        """Enter the rows of a sheet (CSV, XLSX) or request (JSON), all or none."""
        kind = media_type(request, JSON, *_SHEETS)
        sent = await content(request, MAX_BYTES)
        try:
            sheet, by, approved_by = _rows(sent) if kind == JSON else await asyncio.to_thread(_sheet, request, sent)
        except ConfigError as error:
            return _refused(error)
        asks = who(request)
        person = Person(_own(asks, "by", by), _approver(asks, approved_by))
        return await self._write(asks, "enter", person.by, lambda: self._documents.enter(sheet, sent, person))

    async def approved(self, request: Request) -> Response:
        """Let documents that wait stand."""
        only(request.query_params)
        media_type(request, JSON)
        said = _object(await content(request, MAX_BYTES), "documents", "by")
        seqs = said.get("documents")
        if not isinstance(seqs, list) or not all(type(seq) is int for seq in seqs):
            raise Rejected('documents: is a list of their numbers, e.g. {"documents": [12, 13], "by": "Bo"}')
        asks = who(request)
        by = _own(asks, "by", _name(said, "by"))
        return await self._write(asks, "approve", by, lambda: self._documents.approve(seqs, by))

    async def file(self, request: Request) -> Response:
        """Keep a scan and answer with the hash that rows name it by."""
        only(request.query_params)
        media_type(request, *_SCANS)
        scan = await content(request, evidence.MAX_BYTES)
        if not scan:
            raise Rejected("the file is empty")
        digest = await asyncio.to_thread(evidence.keep, self._documents.data, scan)
        await self._acts.record(who(request), "enter", file=f"sha256:{digest}")
        return answered({"document": f"sha256:{digest}"}, 201)

    async def _write(self, asks: Who, what: What, by: str, work: Callable[[], Entered]) -> Response:
        try:
            async with self._writing:
                entered = await asyncio.to_thread(work)
        except ConfigError as error:
            return _refused(error)
        numbers = [row.seq for row in entered.filed]
        await self._acts.record(asks, what, documents=ranges(numbers), by=by)
        said = {
            "documents": numbers,
            "state": "pending" if entered.pending else "in force",
            "entries": entered.entries,
            "notes": entered.notes,
        }
        return answered(said, 201)

    def _list(self, state: str, after: int) -> dict[str, Any]:
        with Ledger.open(self._documents.data) as ledger:
            register = Register.of(ledger.documents())
        found = [r for r in register.rows.values() if r.seq > after and state in ("any", register.state(r.seq))]
        shown = [_described(register, row) for row in found[:_LISTED]]
        return {"documents": shown, "more": len(found) > _LISTED}


def _refused(error: ConfigError) -> Response:
    mistakes = [{"row": p.line, "where": p.path, "message": p.message} for p in error.problems]
    return answered({"error": f"nothing was entered: {error.problems[0]}", "mistakes": mistakes}, 400)


def _described(register: Register, row: Filed) -> dict[str, Any]:
    about = {"seq": row.seq, "state": register.state(row.seq), **row.to_json()}
    about["approved_by"] = register.approver(row.seq)
    about["replaced_by"] = register.correction_of(row.seq)
    del about["type"]
    return about


def _own(asks: Who, field: str, name: str) -> str:
    """Return who does it: someone who has signed in only as himself, a program for whom it names."""
    if not asks.session:
        return name
    if name not in ("", asks.user):
        raise Rejected(f"{field}: you are signed in as {asks.user}, not as {name[:40]!r}")
    return asks.user


def _approver(asks: Who, name: str) -> str:
    """Return who else looked at it; whoever may not approve cannot name somebody who has."""
    if name and "approve" not in asks.permissions:
        raise Rejected("approved_by: the one who approves signs in and does so: POST /api/documents/approve")
    return name and _own(asks, "approved_by", name)


def _sheet(request: Request, content: bytes) -> tuple[Sheet, str, str]:
    asked = request.query_params
    only(asked, "name", "sheet", "by", "approved_by")
    try:
        name = file_name(asked.get("name", "sheet"))
    except ValueError as error:
        raise Rejected(f"name: {error}") from None
    return read_sheet(name, content, asked.get("sheet", "")), asked.get("by", ""), asked.get("approved_by", "")


def _rows(content: bytes) -> tuple[Sheet, str, str]:
    said = _object(content, "rows", "by", "approved_by")
    rows = said.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or len(rows) > MAX_ROWS:
        raise Rejected(f"rows: is a list of at most {MAX_ROWS:,} objects, one a document")
    sheet = Sheet("request", tuple(SheetRow(number, _cells(row, number)) for number, row in enumerate(rows, 1)))
    return sheet, _name(said, "by"), _name(said, "approved_by")


def _cells(row: dict[str, Any], number: int) -> dict[str, str]:
    for column, value in row.items():
        if isinstance(value, bool | list | dict) or len(column) > 100 or len(str(value)) > 1_000:
            raise Rejected(f"request:{number}: {column[:100]}: is neither short text nor a number")
    return {column: str(value) for column, value in row.items() if value not in (None, "")}


def _object(content: bytes, *known: str) -> dict[str, Any]:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Rejected(f"the body is not JSON: {error}") from None
    if not isinstance(said, dict) or (unknown := sorted(set(said) - set(known))):
        names = f", not {unknown[0][:50]!r}" if isinstance(said, dict) else ""
        raise Rejected(f"the body is an object with {', '.join(known)}{names}")
    return said


def _name(said: dict[str, Any], key: str) -> str:
    value = said.get(key, "")
    if not isinstance(value, str):
        raise Rejected(f"{key}: is the name of a person")
    return value
