"""Meter register → versions in time: who measured, with which ratio and how surely, and what is to be doubted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import sqrt
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from carbon.entries import Activity, MeterVersion
from carbon.factor import EVER
from carbon.local_time import midnight_ns
from config.meters import Meter, MeterEvent, Transformer, after, ratio
from pipeline import quality as q
from pipeline.batch import Times

FOREVER: Final = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class MeterSteps:
    """One meter in time: versions[i] holds from start_ns[i] on; the first one before it too."""

    start_ns: Times
    versions: tuple[MeterVersion, ...]
    overdue_ns: Times  # from when on the calibration of each version is overdue; FOREVER where no day is known

    def at(self, start_ns: Times) -> npt.NDArray[np.int64]:
        """Return which version measured an interval that begins at each instant."""
        return np.maximum(np.searchsorted(self.start_ns, start_ns, side="right") - 1, 0)

    def doubt(self, activity: Activity) -> Activity:
        """Return amounts of this meter with what the register lets one doubt of them.

        While it is bypassed, what it shows is no measurement: all of it is estimated. While its calibration is overdue,
        it is uncertain.
        """
        at = self.at(activity.start_ns)
        bypassed = np.array([version.bypassed for version in self.versions])[at]
        doubtful = bypassed | (activity.start_ns >= self.overdue_ns[at])
        if not doubtful.any():
            return activity
        flags = np.where(bypassed, q.QUANTITY_ESTIMATED, 0) | np.where(doubtful, q.UNCERTAIN, 0)
        estimated = np.where(bypassed, activity.amount - activity.substituted, activity.estimated)
        return replace(activity, estimated=estimated, quality=q.merge(activity.quality, flags.astype(np.uint16)))


def meter_steps(name: str, meter: Meter, zone: ZoneInfo) -> MeterSteps:
    """Return the versions of a registered meter: as it was described, then after each event of its life.

    uncertainty U = √(a_meter² + a_ct² + a_pt²) / 100, the limits of error [%] of the classes taken as half the 95 %
    interval of what the meter says, fully correlated over time.
    """
    state, starts, versions = meter, [EVER], [_version(name, 1, meter, bypassed=False)]
    bypassed = False
    for number, event in enumerate(meter.events, 2):
        state, bypassed = after(state, event), _bypassed(event, bypassed)
        starts.append(midnight_ns(event.on, zone))
        versions.append(_version(name, number, state, bypassed=bypassed))
    overdue = [_overdue(version, zone) for version in versions]
    return MeterSteps(np.array(starts, np.int64), tuple(versions), np.array(overdue, np.int64))


def _overdue(version: MeterVersion, zone: ZoneInfo) -> int:
    """Return when the day a calibration is due is over."""
    return midnight_ns(date.fromisoformat(version.due) + timedelta(days=1), zone) if version.due else FOREVER


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
