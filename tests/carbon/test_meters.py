"""Register → versions in time, their uncertainty, and what is due."""

from __future__ import annotations

from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from carbon.entries import Activity
from carbon.ledger import Ledger
from carbon.meters import meter_steps
from config.meters import Meter, applied_ratios, bypasses, calibrations_due, on_day, ratio
from pipeline import quality as q
from pipeline.batch import Header, make
from pipeline.clock import SECOND_NS
from tests.carbon.plant import CONFIG, HOUR_S, START_NS, open_plant

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


def test_every_bypass_has_its_days() -> None:
    m = meter(events=[{"on": f"2025-0{i}-01", "type": t} for i, t in enumerate(("bypass", "restore", "bypass"), 1)])
    said = [(event.on, end) for event, end in bypasses(m)]
    assert said == [(date(2025, 1, 1), date(2025, 2, 1)), (date(2025, 3, 1), None)]


def test_what_a_register_of_secondary_values_is_multiplied_by() -> None:
    """CT 400/5 and PT 10000/100: power and energy × 80 · 100, currents × 80, voltages × 100, all else as shown."""
    dated = meter(
        shows="secondary",
        ct={"ratio": "400/5"},
        pt={"ratio": "10000/100"},
        events=[
            {"on": "2025-02-01", "type": "calibrate", "certificate": "C"},
            {"on": "2025-03-01", "type": "ratio", "ct": {"ratio": "300/5"}},
        ],
    )
    changed = date(2025, 3, 1)
    assert list(applied_ratios(dated, "energy_index")) == [(date.min, Fraction(8000)), (changed, Fraction(6000))]
    assert list(applied_ratios(dated, "power")) == [(date.min, Fraction(8000)), (changed, Fraction(6000))]
    assert list(applied_ratios(dated, "current")) == [(date.min, Fraction(80)), (changed, Fraction(60))]
    assert list(applied_ratios(dated, "voltage")) == [(date.min, Fraction(100))]
    assert not list(applied_ratios(dated, "frequency"))
    assert not list(applied_ratios(meter(ct={"ratio": "400/5"}), "power"))  # it shows primary values


def test_what_a_new_meter_or_calibration_does_not_say_is_unknown() -> None:
    swap = {"on": "2025-06-01", "type": "swap", "serial": "B", "final_index": 1, "initial_index": 0}
    old = meter(certificate="C1", due="2026-01-01", calibrated_on="2020-01-01", events=[swap])
    new = on_day(old, date(2025, 6, 1))
    assert (new.serial, new.certificate, new.due, new.calibrated_on) == ("B", "", None, date(2025, 6, 1))
    assert on_day(old, date(2025, 5, 31)).serial == "A1"


def test_amounts_of_a_bypassed_meter_are_estimated_and_those_beyond_calibration_uncertain() -> None:
    steps = meter_steps(
        "M1",
        meter(
            due="2025-02-28",
            events=[{"on": "2025-01-10", "type": "bypass"}, {"on": "2025-01-20", "type": "restore"}],
        ),
        SHANGHAI,
    )
    times = ["2025-01-09T23:00+08:00", "2025-01-10T00:00+08:00", "2025-01-20T00:00+08:00", "2025-02-28T23:00+08:00",
             "2025-03-01T00:00+08:00"]  # fmt: skip
    rows = Activity.make([ns(t) for t in times], 3_600_000_000_000, [0] * 5, 100, substituted=[0, 30, 0, 0, 0])
    doubted = steps.doubt(rows)
    assert doubted.estimated.tolist() == [0, 70, 0, 0, 0]
    assert doubted.quality.tolist() == [0, q.UNCERTAIN | q.QUANTITY_ESTIMATED, 0, 0, q.UNCERTAIN]
    assert doubted.amount.tolist() == rows.amount.tolist()


async def test_a_ratio_told_later_takes_effect_at_the_next_start_and_no_reading_is_lost(tmp_path: Path) -> None:
    """10 kWh an hour behind the transformers: × 80, then × 60 from the restart on; the hour it was told in has both."""
    meter = "device: main.m, serial: A1, accuracy: 1, shows: secondary, ct: {ratio: 400/5}%s"
    said = f"accounting: {{meters: {{M1: {{{meter}}}}}}}\n"
    changed = ", events: [{on: 2025-01-01, type: ratio, ct: {ratio: 300/5}}]"
    for life, (event, minutes) in enumerate((("", (0, 30)), (changed, (90, 120, 180)))):
        text = CONFIG.replace("connections:", said % event + "connections:", 1)
        async with open_plant(tmp_path, text) as plant:
            gateway = plant.gateway
            assert gateway.table.revision == life + 1
            for minute in minutes:
                now = START_NS + minute * 60 * SECOND_NS
                header = Header("floor", gateway.table.revision, gateway.clock.boot, now, 0)
                rows = make(header, now, [gateway.table.ids["main.import.energy_index"]], 10 * minute / 60)
                await gateway.ingests["floor"].accept(rows)
            if life:
                await plant.tick(4 * HOUR_S)
                await plant.book()
                assert plant.kwh("main.electricity/2/purchased_electricity/location") == {0: 700, 1: 600, 2: 600}
                with Ledger.open(plant.folder) as ledger:
                    assert {v.ratio for v in ledger.meters.values()} == {60}
