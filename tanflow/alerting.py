"""A configuration and its log → the desk that follows its alerts, and the senders that tell of them."""

from __future__ import annotations

from functools import partial
from zoneinfo import ZoneInfo

from config.model import Gateway
from pipeline.alerts.context import Context
from pipeline.counters import Board, Counters
from pipeline.desk.desk import Desk
from pipeline.desk.fold import Fold
from pipeline.desk.notices import routes_of
from pipeline.desk.watched import watched
from pipeline.log.log import Log
from sinks.notify.channel import Channel
from sinks.notify.message import CostOf, Words
from sinks.notify.sender import Sender
from tanflow import registry


def desk(context: Context, log: Log, counters: Counters) -> Desk:
    """Return the desk of all alerts of a plant, as far as it had come."""
    notify = context.config.notify
    fold = Fold(watched(context), routes_of(notify), notify.maintenance, context.zone, context.tick)
    return Desk(log, fold, log.clock, counters)


def channel(config: Gateway, name: str, cost: CostOf) -> Channel:
    """Return a configured channel, with the words in which it tells; nothing is sent or opened yet."""
    notify = config.notify
    one = notify.channels[name]
    language = getattr(one, "language", None) or notify.language
    words = Words(language, config.site.name, ZoneInfo(config.site.zone), notify.link, cost)
    return registry.channel(one, config.connections, words)


def senders(config: Gateway, desk: Desk, cost: CostOf, board: Board) -> dict[str, Sender]:
    """Return the sender of every channel."""
    notify = config.notify
    return {
        name: Sender(
            name, config.site.name, desk.log, channel(config, name, cost), desk.clock,
            board.component(f"notify.{name}"), notify.wait_s, notify.per_minute, partial(desk.told_by, name),
        )
        for name in notify.channels
    }  # fmt: skip
