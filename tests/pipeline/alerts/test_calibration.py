"""Days until a calibration runs out, on the site's own days."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from config.meters import Meter
from pipeline.alerts.calibration import Calibrations, Due
from tests.pipeline.alerts.walk import CLEAR, FIRING, TICK, VALUE, stage, ticks, told
from tests.pipeline.tables import SECOND, START

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YEAR = START // SECOND  # 2018-01-01T00:00Z is 08:00 in Shanghai
DAY = 86_400


def seconds(when: datetime) -> float:
    return when.timestamp() - NEW_YEAR


def calibrations(days: int = 60, **meter: object) -> Calibrations:
    known = Meter.model_validate({"serial": "A1", "accuracy": 0.5, **meter})
    return Calibrations([Due(0, known, days)], SHANGHAI, TICK, "x")


def test_it_is_told_from_the_first_day_within_its_time() -> None:
    """Due on 4 March 2018, 60 days before is 3 January: told with its first tick in Shanghai, 2 January 16:00 UTC."""
    condition = calibrations(due=date(2018, 3, 4))
    every_hour = ticks(*[3_600.0 * n for n in range(24 * 3)])
    midnight = seconds(datetime(2018, 1, 3, tzinfo=SHANGHAI))
    assert told(stage("calibration", condition), [every_hour]) == [(midnight, FIRING)]
    assert told(stage("calibration", condition), [every_hour], VALUE) == [
        (midnight, 60.0), (midnight + DAY, 59.0),
    ]  # fmt: skip


def test_overdue_is_less_than_nothing() -> None:
    condition = calibrations(days=0, due=date(2017, 12, 30))
    assert told(stage("calibration", condition), [ticks(0.0)], VALUE) == [(0, -2.0)]


def test_a_calibration_ends_it() -> None:
    done = {"on": date(2018, 1, 5), "type": "calibrate", "certificate": "C1", "due": date(2020, 1, 5)}
    condition = calibrations(due=date(2018, 1, 20), events=[done])
    batch = ticks(*[3_600.0 * n for n in range(24 * 6)])
    found = told(stage("calibration", condition), [batch])
    assert found == [(0, FIRING), (seconds(datetime(2018, 1, 5, tzinfo=SHANGHAI)), CLEAR)]


def test_a_changed_register_is_judged_at_once() -> None:
    state, _ = calibrations(due=date(2018, 3, 4)).fold({}, ticks(0.0))
    renewed = calibrations(due=date(2018, 1, 4))
    _, judged = Calibrations(renewed.dues, SHANGHAI, TICK, "y").fold(state, ticks(60.0))
    assert judged is not None
    assert judged.value.tolist() == [3.0]
    _, judged = calibrations(due=date(2018, 3, 4)).fold(state, ticks(60.0))
    assert judged is None
