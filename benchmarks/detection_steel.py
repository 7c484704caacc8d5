"""A recorded year of a steel plant, as it was and with faults put into it → how often deviation alerts fire, and miss.

`python -m benchmarks.detection_steel` writes the table of docs/DETECTION.md. The year is the plant's own (no fault is
known of it): what fires there is told as a false alarm, nights of real work among it. Nothing is fitted to it: the
first rule is the one every meter gets by its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from benchmarks.substitution import steel
from carbon.entries import MICRO
from config import asset_types
from pipeline.alerts.by_window import ByWindow
from pipeline.alerts.deviation import Band, FromCurve
from pipeline.alerts.expected import LikeDays
from pipeline.alerts.stage import Alerts, Slot, Status
from pipeline.batch import ALERT, WINDOW, Header, make
from pipeline.clock import SECOND_NS
from pipeline.consume import State

DOC: Final = Path(__file__).parents[1] / "docs" / "DETECTION.md"
ZONE: Final = ZoneInfo("Asia/Seoul")
BEGIN_NS: Final = int(datetime(2018, 1, 1, tzinfo=ZONE).timestamp()) * SECOND_NS
HOUR_NS: Final = 3_600 * SECOND_NS
WEEK, LEARNING = 7 * 24, 28 * 24  # [h]
NIGHT: Final = (22, 6)  # off shift
STARTS: Final = range(5 * WEEK, 51 * WEEK, WEEK)  # of faults that last a week: 46 Mondays
VALUE, SHARE, TICK, STATE, OTHERS = range(5)
GRACE_NS, TOLD_NS = 30 * SECOND_NS, 60 * SECOND_NS

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tried:
    """A rule: by how much over or under [%], at least [kW], held [h], at night only or always."""

    over: float | None
    under: float | None
    least: float
    hold_h: float
    nights: bool

    def __str__(self) -> str:
        sides = [f"+{self.over:g} %" if self.over else "", f"−{self.under:g} %" if self.under else ""]
        hours = "22–06 h" if self.nights else "all hours"
        return f"{' or '.join(filter(None, sides))}, {self.least:g} kW at least, for {self.hold_h:g} h, {hours}"

    def stage(self) -> Alerts:
        """Return the stage of this one alert, as it is compiled of a rule."""
        band, days = Band(self.over, self.under, self.least), LikeDays(ZONE, "60min", 28)
        rule = FromCurve(0, "steel", "", {"value": VALUE, "share": SHARE}, band, days, "kW", 0.9)
        hold = int(self.hold_h * HOUR_NS) + TOLD_NS if self.hold_h else 0
        slot = Slot("steel", hold, STATE, OTHERS, OTHERS, OTHERS, fresh_ns=HOUR_NS + GRACE_NS + TOLD_NS)
        return Alerts([slot], {"deviation": ByWindow([rule])}, TICK)


def shipped() -> Tried:
    """Return the rule every meter gets by its type."""
    alarm = asset_types.load_all()["meter"].alarms["night-load"]
    return Tried(alarm.over_percent, alarm.under_percent, alarm.least or 0.0, alarm.hold_h, nights=True)


def year() -> Numbers:
    """Return the mean power of each hour of 2018 [kW]."""
    amount = np.asarray(steel().amount, np.float64) / MICRO
    result: Numbers = amount.reshape(-1, 4).sum(axis=1)
    return result


def is_night(hours: int) -> Mask:
    clock = np.arange(hours) % 24
    result: Mask = (clock >= NIGHT[0]) | (clock < NIGHT[1])
    return result


def fires(tried: Tried, power: Numbers, first: int = 0) -> Mask:
    """Return in which hours the alert fires; `first` is the hour of the year the power begins with."""
    stage, state, firing = tried.stage(), State(), np.zeros(len(power), bool)
    inputs, windows, alerts = (Header("x", 1, "x", 0, 0, stratum) for stratum in (0, WINDOW, ALERT))
    wanted = is_night(first + len(power))[first:] | (not tried.nights)
    now = False
    for hour, value in enumerate(power.tolist()):
        end = BEGIN_NS + (first + hour + 1) * HOUR_NS
        batches = [make(inputs, end + GRACE_NS, [TICK], 0.0), make(inputs, end + 2 * TOLD_NS, [TICK], 0.0)]
        if wanted[hour]:
            batches.insert(1, make(windows, end, [SHARE, VALUE], [1.0, value], 0, HOUR_NS))
        for batch in batches:
            state, out = stage.fold(state, batch, alerts)
            for told in out.value[out.series == STATE].tolist():
                now = told == Status.FIRING
        firing[hour] = now
    return firing


def times(firing: Mask) -> int:
    """Return how often it began to fire."""
    return int(np.count_nonzero(firing[1:] & ~firing[:-1])) + int(firing[0])


@dataclass(frozen=True, slots=True)
class Found:
    """What of the faults was found while they lasted: share of them, and hours until it fired (median)."""

    share: float
    after_h: float

    def __str__(self) -> str:
        return f"{100 * self.share:.0f} %, {self.after_h:.0f} h" if self.share else "0 %"


def faulty(power: Numbers, start: int, kind: str, share: float) -> Numbers:
    """Return the power with a fault in the week from `start`: more at night, or an index that stands still."""
    result, week = power.copy(), slice(start, start + WEEK)
    if kind == "night":
        result[week] *= np.where(is_night(len(power))[week], 1 + share, 1.0)
    else:
        result[week] = 0.0
    return result


def found(tried: Tried, power: Numbers, clean: Mask, kind: str, share: float = 0.0) -> Found:
    """Return what is found of a fault that begins on each of the Mondays; what fires without it as well is no find."""
    after = []
    for start in STARTS:
        first = start - LEARNING - WEEK
        part = faulty(power, start, kind, share)[first : start + WEEK]
        new = fires(tried, part, first)[start - first :] & ~clean[start : start + WEEK]
        after.append(float(np.flatnonzero(new)[0]) if new.any() else np.inf)
    hit = np.isfinite(after)
    return Found(float(hit.mean()), float(np.median(np.array(after)[hit])) if hit.any() else np.nan)


def rows() -> list[str]:
    """Return the table."""
    power = year()
    tried = [shipped(), Tried(15, None, 1, 2, True), Tried(15, None, 1, 5, True), Tried(25, None, 2, 5, True),
             Tried(25, 50, 5, 2, False)]  # fmt: skip
    lines = [
        "| rule | fires a month | days | +15 % at night | +30 % at night | +60 % at night | index stands still |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in tried:
        clean = fires(one, power)
        months, days = (len(power) - LEARNING) / 730, clean[LEARNING:].reshape(-1, 24).any(axis=1).mean()
        nights = [str(found(one, power, clean, "night", share)) for share in (0.15, 0.30, 0.60)]
        still = str(found(one, power, clean, "still")) if one.under else "–"
        lines.append(
            f"| {one} | {times(clean[LEARNING:]) / months:.1f} | {100 * days:.1f} % | {' | '.join(nights)} | {still} |"
        )
    return lines


def main() -> None:
    """Write the table into the document, between its marks."""
    text = DOC.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- steel -->\n")
    _, _, after = rest.partition("<!-- end of steel -->")
    DOC.write_text(
        f"{before}<!-- steel -->\n" + "\n".join(rows()) + f"\n<!-- end of steel -->{after}", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
