"""Register → versions in time, their uncertainty, and what is due."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from carbon.meters import meter_steps
from config.meters import Meter, applied_ratios, bypassed_since, calibrations_due, on_day, ratio

SHANGHAI = ZoneInfo("Asia/Shanghai")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def meter(**said: object) -> Meter:
    return Meter.model_validate({"device": "main.m", "serial": "A1", "accuracy": 0.5, **said})


def test_a_ratio_is_exact() -> None:
    assert ratio("400/5") == 80
    assert ratio("300/5") / ratio("400/5") == ratio("3/4")
    assert float(ratio("10000/100")) == 100.0


@pytest.mark.parametrize("text", ["400:5", "0/5", "400/0", "-400/5", "", "1e3/5"])
def test_what_is_no_ratio_is_told(text: str) -> None:
    with pytest.raises(ValidationError, match="400/5"):
        meter(ct={"ratio": text})


def test_each_event_begins_a_version_at_local_midnight() -> None:
    steps = meter_steps(
        "M1",
        meter(
            ct={"ratio": "400/5", "accuracy": 0.5},
            events=[
                {"on": "2025-03-01", "type": "ratio", "ct": {"ratio": "300/5", "accuracy": 0.2}},
                {"on": "2025-06-01", "type": "swap", "serial": "B2", "final_index": 100, "initial_index": 0},
                {"on": "2025-07-01", "type": "bypass"},
                {"on": "2025-07-02", "type": "restore"},
            ],
        ),
        SHANGHAI,
    )
    assert [v.number for v in steps.versions] == [1, 2, 3, 4, 5]
    assert [v.ratio for v in steps.versions] == [80, 60, 60, 60, 60]
    assert [v.serial for v in steps.versions] == ["A1", "A1", "B2", "B2", "B2"]
    assert [v.bypassed for v in steps.versions] == [False, False, False, True, False]
    times = ["2020-01-01T00:00+08:00", "2025-02-28T23:59+08:00", "2025-03-01T00:00+08:00", "2026-01-01T00:00+08:00"]
    assert steps.at(np.array([ns(t) for t in times])).tolist() == [0, 0, 1, 4]


def test_classes_of_a_chain_add_as_squares() -> None:
    # Meter 0.5S with a transformer of class 0.5: √(0.5² + 0.5²) % = 0.707 %.
    steps = meter_steps("M1", meter(ct={"ratio": "400/5", "accuracy": 0.5}), SHANGHAI)
    assert steps.versions[0].uncertainty == pytest.approx(0.00707, abs=1e-5)
    assert meter_steps("M1", meter(accuracy=1), SHANGHAI).versions[0].uncertainty == 0.01


def test_calibration_is_warned_sixty_days_ahead_and_told_when_overdue() -> None:
    register = {
        "fine": meter(due="2026-06-01"),
        "soon": meter(due="2026-02-20"),
        "over": meter(due="2025-12-01"),
        "renewed": meter(
            due="2025-12-01",
            events=[{"on": "2025-11-20", "type": "calibrate", "certificate": "C7", "due": "2027-11-20"}],
        ),
        "swapped": meter(
            due="2025-12-01",
            events=[{"on": "2025-11-20", "type": "swap", "serial": "B", "final_index": 1, "initial_index": 0}],
        ),
        "unknown": meter(),
    }
    assert [str(calibration) for calibration in calibrations_due(register, date(2026, 1, 1))] == [
        "soon (serial A1): calibration due on 2026-02-20, in 50 days",
        "over (serial A1): calibration overdue since 2025-12-01, 31 days",
    ]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"on": "2025-01-01", "type": "swap", "serial": "B"}, "final_index"),
        ({"on": "2025-01-01", "type": "ratio"}, "ct: or pt:"),
        ({"on": "2025-01-01", "type": "calibrate"}, "certificate"),
    ],
)
def test_an_event_without_what_it_is_about_is_refused(event: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        meter(events=[event])


def test_events_out_of_order_are_refused() -> None:
    events = [{"on": "2025-02-01", "type": "bypass"}, {"on": "2025-01-01", "type": "restore"}]
    with pytest.raises(ValidationError, match="order"):
        meter(events=events)
