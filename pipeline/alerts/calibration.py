"""The meter register, and ticks → judgements of meters whose calibration runs out soon, or has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from config.alerts import CalibrationDue
from config.meters import Meter, on_day
from pipeline.alerts.context import Context, Numbered
from pipeline.alerts.judged import FALSE, TRUE, Judged
from pipeline.batch import Batch
from pipeline.clock import SECOND_NS
from pipeline.consume import State
from pipeline.figures import digest

NAN: Final = float("nan")


class Due(NamedTuple):
    """One alert: its meter, and how many days before its calibration runs out it is true."""

    alert: int
    meter: Meter
    days: int


@dataclass(frozen=True)
class Calibrations:
    """All alerts of the register: value = days left (negative: overdue), judged once on each day of the site.

    A meter that was changed for one whose calibration nobody knows has none that runs out.
    State: {"of": digest of the register, "day": the last one judged}.
    """

    dues: Sequence[Due]
    zone: ZoneInfo
    tick: int
    of: str

    def fold(self, state: State, batch: Batch) -> tuple[State, Judged | None]:
        ticks = np.flatnonzero(batch.series == self.tick)
        day = state.get("day", 0) if state.get("of") == self.of else 0
        told = []
        for row, at in zip(ticks.tolist(), batch.time_ns[ticks].tolist(), strict=True):
            today = datetime.fromtimestamp(at // SECOND_NS, UTC).astimezone(self.zone).date()
            if today.toordinal() > day:
                day = today.toordinal()
                told += [(due.alert, row, at, *_judge(due, today), NAN) for due in self.dues]
        return {"of": self.of, "day": day}, Judged.of(told) if told else None


def _judge(due: Due, today: date) -> tuple[int, float, float]:
    known = on_day(due.meter, today).due
    if known is None:
        return FALSE, NAN, float(due.days)
    left = (known - today).days
    return TRUE if left <= due.days else FALSE, float(left), float(due.days)


def build(alerts: Sequence[Numbered], context: Context) -> Calibrations:
    """Return the condition of all rules of this kind."""
    dues = []
    for number, alert in alerts:
        rule: CalibrationDue = alert.rule
        dues.append(Due(number, context.config.accounting.meters[rule.meter], rule.days))
    of = digest(" ".join(f"{alert.key} {due}" for (_, alert), due in zip(alerts, dues, strict=True)))
    return Calibrations(dues, context.zone, context.tick, of)
