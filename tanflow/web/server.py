"""The gateway's state → HTTP: API and local page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from config.model import Api

if TYPE_CHECKING:
    from tanflow.gateway import Gateway


async def serve(gateway: Gateway, api: Api) -> None:
    """Serve until cancelled."""
    await asyncio.Event().wait()
