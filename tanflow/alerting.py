"""A configuration and its log → the desk that follows its alerts."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from config.alerting import alerts_of
from config.bindings import BoundDevice
from config.model import Gateway
from pipeline.alerts.context import Context
from pipeline.compile_windows import figures_of
from pipeline.counters import Counters
from pipeline.desk.desk import Desk
from pipeline.desk.fold import Fold
from pipeline.desk.notices import routes_of
from pipeline.desk.watched import watched
from pipeline.log.log import Log


def desk(
    config: Gateway, devices: Collection[BoundDevice], ids: Mapping[str, int], log: Log, counters: Counters
) -> Desk:
    """Return the desk of all alerts of a plant, as far as it had come."""
    found = figures_of(config, devices, ids.keys())
    context = Context(config, devices, found, ids)
    alerts = watched(alerts_of(config, devices, found), context)
    notify = config.notify
    fold = Fold(alerts, routes_of(notify), notify.maintenance, context.zone, context.tick)
    return Desk(log, fold, log.clock, counters)
