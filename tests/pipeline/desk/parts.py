"""A desk without a gateway: alerts by hand, the rows the alert stage would append, and acts of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from config.alerts import Severity
from config.notify import Maintenance, Notify
from pipeline.alerts.stage import Status
from pipeline.batch import ALERT, Batch, Header, Window, make
from pipeline.desk.episode import Episode
from pipeline.desk.fold import Fold, Statement
from pipeline.desk.known import Known
from pipeline.desk.notices import routes_of
from pipeline.desk.watched import Watched
from tests.pipeline.tables import HEADER, SECOND, START

TICK = 0
STAGE = Header("alerts", 1, "boot", START, 0, ALERT)
CLEAR, PENDING, FIRING = Status.CLEAR, Status.PENDING, Status.FIRING


def alert(number: int, asset: str = "", severity: Severity = "warning", area: str = "hall") -> Watched:
    """Return the alert of series 4·number + 1 to 4·number + 4."""
    ids = range(4 * number + 1, 4 * number + 5)
    name = asset or f"a{number}"
    return Watched(name, area, "high", "threshold", severity, "Turn it down.", "kW", 900 * SECOND, *ids)


def fold_of(
    alerts: Sequence[Watched],
    notify: dict[str, Any] | None = None,
    zone: str = "UTC",
    people: Sequence[str] = ("mail",),
) -> Fold:
    """Return the fold of some alerts; `notify` as a user writes it, its channels are `people` and `mqtt`."""
    channels: dict[str, Any] = {name: {"type": "apprise", "url": {"env": "URL"}} for name in people}
    channels["machine"] = {"type": "alertmanager", "url": "http://127.0.0.1"}
    block = Notify.model_validate({"channels": channels, **(notify or {"routes": [{"channels": ["mail"]}]})})
    watched = {one.key: one for one in alerts}
    maintenance: Sequence[Maintenance] = block.maintenance
    return Fold(watched, routes_of(block), maintenance, ZoneInfo(zone), TICK)


def at(seconds: float) -> int:
    return START + round(seconds * SECOND)


def turns(
    one: Watched, status: Status, seconds: float, value: float | None = None, excess: float | None = None
) -> Batch:
    """Return what the stage appends: the transition, then value, limit (100) and excess."""
    rows: list[tuple[int, float]] = [(one.state, float(status))]
    if value is not None:
        rows += [(one.value, value), (one.limit, 100.0)]
    if excess is not None:
        rows.append((one.excess, excess))
    return make(STAGE, at(seconds), [s for s, _ in rows], [v for _, v in rows])


def says(one: Watched, seconds: float, value: float, excess: float | None = None) -> Batch:
    """Return what the stage appends while it lasts."""
    return turns(one, FIRING, seconds, value, excess).take(slice(1, None))


def tick(seconds: float) -> Batch:
    return make(replace(HEADER, received_ns=at(seconds)), at(seconds), [TICK], 0.0)


def act(seconds: float, what: str, **about: Any) -> Batch:
    note = {"act": {"user": "li", "role": "operator", "what": what, "about": about}}
    return make(replace(HEADER, received_ns=at(seconds), note=note), at(seconds), [999], 1.0)


class Told:
    """A desk's way through windows: every batch is a commit of its own; what it knows goes through JSON each time."""

    def __init__(self, fold: Fold, position: int = 0) -> None:
        self.fold, self.position, self.known = fold, position, Known()
        self.statements: list[Statement] = []

    def through(self, *batches: Batch) -> Told:
        for batch in batches:
            self.window(batch)
        return self

    def window(self, *batches: Batch) -> Told:
        """Take several batches of one commit."""
        self.position += 1
        self.known, more = self.fold(self.known, Window(self.position, batches))
        self.known = replace(Known.load(self.known.dump()), next_ns=self.known.next_ns)
        self.statements += more
        return self

    @property
    def episode(self) -> Episode:
        (one,) = self.known.open.values()
        return one

    @property
    def ended(self) -> list[Episode]:
        rows = [row for sql, row in self.statements if sql.startswith("INSERT INTO episodes")]
        return [Episode.from_json(orjson.loads(row[-1])) for row in rows]

    def intents(self) -> list[tuple[float, str, str, str]]:
        """Return (seconds, channel, what, alert) of everything put into the outbox."""
        rows = [row for sql, row in self.statements if sql.startswith("INSERT INTO outbox")]
        return [((at_ns - START) / SECOND, channel, what, name) for at_ns, channel, what, name, _ in rows]

    def said(self) -> list[tuple[float, str, str]]:
        return [(seconds, channel, what) for seconds, channel, what, _ in self.intents()]
