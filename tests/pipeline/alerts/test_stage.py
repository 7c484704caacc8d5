"""Alert transitions by hand: hysteresis, hold by ticks, completeness, restarts; never two rows for one transition."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts.demand import Demands, Interval
from pipeline.alerts.stage import Alerts, Slot, Status
from pipeline.alerts.threshold import NONE, Limit, Thresholds
from pipeline.batch import ALERT, WINDOW, Batch, Header, make
from pipeline.calendar import Calendar
from pipeline.quality import CLOCK, UNCERTAIN
from tests.pipeline.tables import HEADER, HOUR, SECOND, START

WATCHED, COMPLETENESS, TICK, RULE, VALUE, LIMIT, EXCESS = range(7)
KEY = "furnace.high.alert"
OUT = Header("rule", 1, "boot", START, 0, ALERT)
FROM_WINDOW = Header("w", 1, "boot", START, 0, WINDOW)
CLEAR, PENDING, FIRING = Status.CLEAR, Status.PENDING, Status.FIRING
Transition = tuple[float, Status]


def rule(hold_s: float = 0.0, min_completeness: float = 0.9) -> Alerts:
    """Return the stage of one rule that fires above 330 and clears below 320 kWh/t."""
    limit = Limit(0, KEY, WATCHED, COMPLETENESS, 1.0, 330.0, 320.0, min_completeness, False)
    slot = Slot(KEY, round(hold_s * SECOND), RULE, VALUE, LIMIT, EXCESS)
    return Alerts([slot], {"threshold": Thresholds([limit])}, TICK)


def window(at_h: float, value: float | None, share: float = 1.0) -> Batch:
    """Return what a window's end appends: its completeness and, where there was product, its intensity."""
    end = START + round(at_h * HOUR)
    if value is None:
        return make(FROM_WINDOW, end, [COMPLETENESS], share)
    return make(FROM_WINDOW, [end, end], [COMPLETENESS, WATCHED], [share, value])


def tick(at_h: float) -> Batch:
    return make(HEADER, START + round(at_h * HOUR), [TICK], 0.0)


def transitions(alerts: Alerts, batches: Sequence[Batch], state: dict[str, Any] | None = None) -> list[Transition]:
    """Return (hours after START, status) of each row; the state goes through JSON after every batch."""
    state, found = state or {}, []
    for batch in batches:
        state, out = alerts.fold(state, batch, OUT)
        state = orjson.loads(orjson.dumps(state))
        assert set(out.series.tolist()) <= {RULE, VALUE, LIMIT}
        out = out.take(out.series == RULE)
        hours = (out.time_ns - START) / HOUR
        found += [(t, Status(int(v))) for t, v in zip(hours.tolist(), out.value.tolist(), strict=True)]
    return found


def test_an_older_window_told_again_changes_nothing() -> None:
    """The second hour fires; late data tell the first again, lower, and then the second itself, which clears."""
    assert transitions(rule(), [window(1, 300.0), window(2, 340.0), window(1, 310.0)]) == [(2, FIRING)]
    found = transitions(rule(), [window(1, 300.0), window(2, 340.0), window(2, 310.0)])
    assert [status for _, status in found] == [FIRING, CLEAR]


def test_a_reading_from_the_future_hides_no_later_one() -> None:
    """A device's clock jumps a day ahead for one reading and is right again: what is too high after it is told."""
    limit = Limit(0, KEY, WATCHED, NONE, 1.0, 330.0, 320.0, 0.9, False)
    alerts = Alerts([Slot(KEY, 0, RULE, VALUE, LIMIT, EXCESS)], {"threshold": Thresholds([limit])}, TICK)
    ahead = make(HEADER, START + 24 * HOUR, [WATCHED], 100.0, CLOCK | UNCERTAIN)
    high = make(HEADER, START + HOUR, [WATCHED], 340.0)
    assert transitions(alerts, [ahead, high]) == [(1, FIRING)]


def test_between_the_limits_nothing_changes() -> None:
    """325 is below the limit and above the clearing one: neither fires nor clears; equal is not beyond."""
    values = [325.0, 330.0, 331.0, 325.0, 320.0, 319.0, 325.0]
    found = transitions(rule(), [window(h, v) for h, v in enumerate(values, 1)])
    assert found == [(3, FIRING), (6, CLEAR)]


def test_a_hold_runs_out_by_ticks_alone() -> None:
    """Above at the window that ends at 1:00, held for two hours: pending then, firing with the first tick from 3:00."""
    batches = [window(1, 400.0), tick(1.5), tick(2.99), tick(3.0), tick(3.5)]
    assert transitions(rule(hold_s=7_200), batches) == [(1, PENDING), (3, FIRING)]


def test_pending_is_dropped_when_a_window_is_not_above() -> None:
    """One window at 325 within the hold is enough: the value did not stay above."""
    batches = [window(1, 400.0), tick(1.9), window(2, 325.0), tick(4), window(4, 400.0), tick(5.9)]
    assert transitions(rule(hold_s=7_200), batches) == [(1, PENDING), (2, CLEAR), (4, PENDING)]


def test_still_above_does_not_begin_the_hold_anew() -> None:
    batches = [window(1, 400.0), window(2, 410.0), tick(3)]
    assert transitions(rule(hold_s=7_200), batches) == [(1, PENDING), (3, FIRING)]


def test_too_incomplete_a_window_says_nothing() -> None:
    batches = [window(1, 400.0, 0.5), window(2, 400.0, 0.9), window(3, 100.0, 0.89), window(4, 100.0, 0.95)]
    assert transitions(rule(), batches) == [(2, FIRING), (4, CLEAR)]


def test_a_window_without_product_says_nothing() -> None:
    assert transitions(rule(), [window(1, 400.0), window(2, None), window(3, 300.0)]) == [(1, FIRING), (3, CLEAR)]


def test_a_restart_tells_nothing_twice() -> None:
    """The state of the cursor goes on where it was: firing is not told again, pending keeps its beginning."""
    alerts = rule(hold_s=7_200)
    state, _ = alerts.fold({}, window(1, 400.0), OUT)
    assert transitions(alerts, [window(2, 400.0), tick(3)], state) == [(3, FIRING)]
    state, _ = alerts.fold(state, tick(3), OUT)
    assert transitions(alerts, [tick(4), window(4, 400.0)], state) == []


def test_a_window_told_after_its_grace_never_turns_time_back() -> None:
    """Held for one hour from 1:00; the tick at 2:00 fires; then the window that ended at 2:00 is told, and clears.

    Its row must stand after the firing one, or whoever asks for the last state sees an alert for ever.
    """
    batches = [window(1, 400.0), tick(2.0001), window(2, 300.0), tick(2.01), window(3, 400.0)]
    found = transitions(rule(hold_s=3_600), batches)
    assert [status for _, status in found] == [PENDING, FIRING, CLEAR, PENDING]
    times = [t for t, _ in found]
    assert times == sorted(set(times))
    assert times[2] == pytest.approx(2.0001)  # a nanosecond later


def test_series_it_does_not_watch_change_nothing() -> None:
    state, _ = rule().fold({}, window(1, 400.0), OUT)
    after, out = rule().fold(state, make(HEADER, START, [9], 1.0), OUT)
    assert (after["stands"], len(out)) == (state["stands"], 0)


def test_a_transition_tells_value_and_limit() -> None:
    _, out = rule().fold({}, window(1, 400.0), OUT)
    assert dict(zip(out.series.tolist(), out.value.tolist(), strict=True)) == {RULE: FIRING, VALUE: 400.0, LIMIT: 330.0}


def test_the_power_it_wastes_is_told_with_it() -> None:
    """A figure in kW that the rule names says what it costs; the latest one counts."""
    alerts = rule()
    slot = alerts.slots[0]._replace(waste=8)
    alerts = Alerts([slot], alerts.conditions, TICK)
    state, _ = alerts.fold({}, make(HEADER, START, [8], 12.5), OUT)
    _, out = alerts.fold(orjson.loads(orjson.dumps(state)), window(1, 400.0), OUT)
    assert out.value[out.series == EXCESS].tolist() == [12.5]


@given(
    st.lists(st.sampled_from([300.0, 325.0, 400.0, None]), max_size=12),
    st.lists(st.sampled_from([0.5, 1.0]), min_size=12, max_size=12),
    st.sampled_from([0.0, 1_800.0, 3_600.0, 9_000.0]),
)
def test_transitions_are_a_walk_in_time_that_never_repeats(
    values: list[float | None], shares: list[float], hold_s: float
) -> None:
    """Windows in a row, each told 36 s after its end, ticks every quarter: times rise, each row is another status."""
    stream = []
    for hour, (value, share) in enumerate(zip(values, shares, strict=False), 1):
        stream += [tick(hour + m / 4 - 1) for m in range(1, 5)]
        stream += [tick(hour + 0.01), window(hour, value, share)]
    found = transitions(rule(hold_s), stream)
    for (earlier, before), (later, after) in itertools.pairwise([(-1.0, CLEAR), *found]):
        assert before != after
        assert earlier < later
    assert {s for _, s in found} <= ({CLEAR, FIRING} if hold_s == 0 else set(Status))


def test_a_hold_stands_still_while_nobody_judges() -> None:
    """The night's last hour is above, held for two. By day no window follows: nothing fires, nothing is dropped.

    The next window above is told at 25:00; of the 24 hours in between 3,661 s count, so it fires with the one after it.
    """
    (slot,) = rule(hold_s=7_200).slots
    night = replace(rule(hold_s=7_200), slots=[slot._replace(fresh_ns=3_661 * SECOND)])
    by_day = [tick(1 + minutes / 60) for minutes in range(300)]
    following = [window(25, 400.0), tick(25.5), window(26, 400.0), tick(26.5)]
    assert transitions(night, [window(1, 400.0), *by_day, *following]) == [(1, PENDING), (26, FIRING)]
    assert transitions(night, [window(1, 400.0), *by_day, window(25, 300.0)]) == [(1, PENDING), (25, CLEAR)]
    through = [tick(1.5), window(2, 400.0), tick(2.5), window(3, 400.0), tick(3.0)]
    assert transitions(night, [window(1, 400.0), *through]) == [(1, PENDING), (3, FIRING)]


def test_by_day_a_night_costs_nothing_that_is_known() -> None:
    """12 kW too much in the window that ends at 1:00; none follows it for 61 min and 1 s: from then on it is 0 kW."""
    (slot,) = rule().slots
    stage = replace(rule(), slots=[slot._replace(fresh_ns=3_661 * SECOND, waste=TICK + 10)])
    state, costs = {}, []
    waste = make(FROM_WINDOW, START + HOUR, [TICK + 10], 12.0)
    for batch in (waste, window(1, 400.0), *(tick(1 + minutes / 60) for minutes in range(120)), window(9, 400.0)):
        state, out = stage.fold(state, batch, OUT)
        state = orjson.loads(orjson.dumps(state))
        rows = out.take(out.series == EXCESS)
        costs += list(zip(((rows.time_ns - START) / HOUR).tolist(), rows.value.tolist(), strict=True))
    assert costs == [(1.0, 12.0), (pytest.approx(1 + 62 / 60), 0.0), (9.0, 12.0)]


def test_an_alert_taken_out_of_the_configuration_while_it_fires_fires_anew_when_it_is_back() -> None:
    """Whoever follows has ended it meanwhile; without a second firing row nobody would hear of it again."""
    state, _ = rule().fold({}, window(1, 400.0), OUT)
    without = Alerts([], {}, TICK)
    state, _ = without.fold(state, tick(1.5), OUT)
    assert transitions(rule(), [tick(2), window(3, 400.0)], state) == [(3, FIRING)]


def test_an_alert_whose_name_is_given_to_another_rule_while_it_fires_is_over() -> None:
    """A demand says nothing of a load that is far from its limit: what a threshold of the same name left would fire
    for ever. Another limit of the same rule changes nothing by itself.
    """
    demand = Demands([Interval(0, KEY, WATCHED, SECOND, Calendar(ZoneInfo("UTC"), "15min"), 999.0, 0.2)], TICK)
    before, slot = rule(), Slot(KEY, 0, RULE, VALUE, LIMIT, EXCESS, of="threshold")
    state, _ = replace(before, slots=[slot]).fold(dict[str, Any](), window(1, 340), OUT)
    same = replace(before, slots=[slot._replace(hold_ns=HOUR)])
    assert transitions(same, [tick(1.1)], state) == []
    other = replace(before, slots=[slot._replace(of="demand")], conditions={"demand": demand})
    assert transitions(other, [tick(1.1), tick(1.2)], state) == [(1.1, CLEAR)]
