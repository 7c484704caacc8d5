"""A checked configuration → an opened gateway, its state where the last one on these data left it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from config.components import components
from config.model import Gateway as Config
from config.points import DeviceMap
from pipeline.clock import Clock
from sinks.notify.outbox import abandon
from tanflow import revision
from tanflow.gateway import Gateway
from tanflow.ground import Ground, open_ground
from tanflow.planned import Planned
from tanflow.source import Source


async def compose(ground: Ground, planned: Planned, sources: Mapping[str, Source] | None = None) -> Gateway:
    """Return the gateway of a configuration on its ground, its state where the last one left it.

    `sources` are held by the last one; those that still read go on here.
    """
    before = revision.stored(ground.log)
    table = await revision.compile_table(ground.log, planned.take_plan(), before)
    gateway = Gateway(planned.config, planned.devices, table, planned.books, ground)
    await gateway.recover(before)
    gateway.adopt(sources or {})
    ground.board.keep(components(planned.config))
    await abandon(ground.log, ground.clock, gateway.senders)
    return gateway


@asynccontextmanager
async def open_gateway(
    config: Config, templates: Mapping[str, DeviceMap], *, base: Path = Path(), clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """Plan a configuration and open its gateway, see `open_planned`."""
    async with open_planned(Planned.of(config, templates, base), base=base, clock=clock) as gateway:
        yield gateway


@asynccontextmanager
async def open_planned(planned: Planned, *, base: Path = Path(), clock: Clock | None = None) -> AsyncIterator[Gateway]:
    """Open everything a gateway stands on and bring its state to where the last one left it.

    Raises GatewayError when the data directory belongs to another gateway or has a foreign format.
    """
    async with open_ground(planned.config.data, base, clock) as ground:
        since_ns = ground.log.reader.last_received_ns(but=ground.clock.boot)
        gateway = await compose(ground, planned)
        del planned  # what it was compiled with is not needed any more
        if 0 < since_ns < ground.clock.now_ns():
            await gateway.tell_downtime(gateway.sources, since_ns)
        yield gateway
