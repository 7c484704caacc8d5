"""The body of a request → checked content; what cannot be meant is a sentence, what is too large is not read."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import orjson
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from config.errors import Rejected
from config.explain import explain
from config.strict import Strict

JSON: Final = "application/json"
_LARGEST: Final = 65_536  # of what a person says [bytes]
_SAID_S: Final = 30.0
_SLOWEST: Final = 16_384  # of a body that takes longer [bytes/s]
M = TypeVar("M", bound=Strict)


def media_type(request: Request, *known: str) -> str:
    """Return the body's type; one a web site can send unasked (a form's) is none of the known."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in known:
        raise Rejected(f"the body's content-type {kind[:80]!r} is none of {', '.join(known)}")
    return kind


async def content(request: Request, most: int) -> bytes:
    """Return the body's bytes; raises Rejected as soon as there are more than `most`, or they come too slowly."""
    read, began = bytearray(), asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(_SAID_S) as patience:
            async for chunk in request.stream():
                read += chunk
                if len(read) > most:
                    size = f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"
                    raise Rejected(f"the body is larger than {size}")
                patience.reschedule(began + _SAID_S + len(read) / _SLOWEST)
    except TimeoutError:
        raise Rejected(f"the body has not come within {_SAID_S:.0f} s and a second for each 16 KiB") from None
    except ClientDisconnect:
        raise Rejected("the body was broken off") from None
    return bytes(read)


async def said(request: Request, model: type[M]) -> M:
    """Return a JSON body as the model describes it; raises Rejected with every mistake in words."""
    media_type(request, JSON)
    raw = await content(request, _LARGEST)
    try:
        return model.model_validate(orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        raise Rejected(f"the body is not JSON: {error}") from None
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, e['loc']))}: {explain(e, model)}".removeprefix(": ") for e in error.errors()]
        raise Rejected("; ".join(mistakes[:5])) from None
