"""Meter register → versions in time: who measured, with which ratio and how surely; what is due and overdue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import MeterVersion
from carbon.factor import EVER
from config.meters import Meter, MeterEvent, Transformer, ratio
from pipeline.batch import Times
from pipeline.clock import SECOND_NS

WARN_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class MeterSteps:
    """One meter in time: versions[i] holds from start_ns[i] on; the first one before it too."""

    start_ns: Times
    versions: tuple[MeterVersion, ...]

    def at(self, start_ns: Times) -> npt.NDArray[np.int64]:
        """Return which version measured an interval that begins at each instant."""
        return np.maximum(np.searchsorted(self.start_ns, start_ns, side="right") - 1, 0)


def meter_steps(name: str, meter: Meter, zone: ZoneInfo) -> MeterSteps:
    """Return the versions of a registered meter: as it was described, then after each event of its life.

    uncertainty U = √(a_meter² + a_ct² + a_pt²) / 100, the limits of error [%] of the classes taken as half the 95 %
    interval of what the meter says, fully correlated over time.
    """
    state, starts, versions = meter, [EVER], [_version(name, 1, meter, bypassed=False)]
    bypassed = False
    for number, event in enumerate(meter.events, 2):
        state, bypassed = _after(state, event), _bypassed(event, bypassed)
        starts.append(_midnight(event.on, zone))
        versions.append(_version(name, number, state, bypassed=bypassed))
    return MeterSteps(np.array(starts, np.int64), tuple(versions))


def _after(meter: Meter, event: MeterEvent) -> Meter:
    """Return what the register says of a meter after an event."""
    calibrated = event.on if event.type in ("calibrate", "install", "swap") else meter.calibrated_on
    return meter.model_copy(
        update={
            "serial": event.serial or meter.serial,
            "certificate": event.certificate or meter.certificate,
            "calibrated_on": calibrated,
            "due": event.due or (None if event.type == "swap" else meter.due),
            "ct": event.ct or meter.ct,
            "pt": event.pt or meter.pt,
        }
    )


def _bypassed(event: MeterEvent, before: bool) -> bool:
    return {"bypass": True, "restore": False}.get(event.type, before)


def _version(name: str, number: int, meter: Meter, *, bypassed: bool) -> MeterVersion:
    ratios = [ratio(t.ratio) for t in (meter.ct, meter.pt) if t]
    said = [meter.make, meter.model, f"class {meter.accuracy:g}", meter.certificate]
    return MeterVersion(
        meter=name,
        number=number,
        serial=meter.serial,
        ratio=float(np.prod([float(r) for r in ratios])) if ratios else 1.0,
        uncertainty=uncertainty(meter.accuracy, meter.ct, meter.pt),
        calibrated_on=meter.calibrated_on.isoformat() if meter.calibrated_on else "",
        due=meter.due.isoformat() if meter.due else "",
        bypassed=bypassed,
        about=", ".join(part for part in said if part),
    )


def uncertainty(accuracy: float, ct: Transformer | None, pt: Transformer | None) -> float:
    """Return half the 95 % interval of a metering chain as a share: √(Σ class²)/100; unknown classes count nothing."""
    classes = [accuracy, *(t.accuracy for t in (ct, pt) if t and t.accuracy)]
    return sqrt(sum(c * c for c in classes)) / 100


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * SECOND_NS


def due_findings(meters: dict[str, Meter], today: date) -> list[str]:
    """Return a sentence for each meter whose calibration is overdue or due within WARN_DAYS."""
    findings = []
    for name, meter in meters.items():
        last = meter
        for event in meter.events:
            last = _after(last, event) if event.on <= today else last
        if last.due is None:
            continue
        days = (last.due - today).days
        if days < 0:
            findings.append(f"{name} (serial {last.serial}): calibration overdue since {last.due}, {-days} days")
        elif days <= WARN_DAYS:
            findings.append(f"{name} (serial {last.serial}): calibration due on {last.due}, in {days} days")
    return findings
