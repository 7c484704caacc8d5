"""What is due to be told: first, again, escalated, over; silences, maintenance when clocks change, acknowledgement."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.batch import Batch
from tests.pipeline.desk.parts import CLEAR, FIRING, Told, act, alert, fold_of, tick, turns
from tests.pipeline.tables import SECOND, START

A, B, C = alert(0, "furnace"), alert(1, "press", "critical"), alert(2, "chiller", "info", "roof")


def ticks(first: int, last: int, every: int = 10) -> list[Batch]:
    return [tick(s) for s in range(first, last + 1, every)]


def test_told_at_the_next_tick_then_again_until_over() -> None:
    told = Told(fold_of([A], {"routes": [{"channels": ["mail"], "repeat_s": 60}]}))
    told.through(turns(A, FIRING, 0), *ticks(1, 131), turns(A, CLEAR, 135), tick(141), *ticks(151, 400))
    assert told.said() == [
        (1, "mail", "firing"),
        (61, "mail", "again"),
        (121, "mail", "again"),
        (141, "mail", "resolved"),
    ]
    assert {row[3] for row in told.intents()} == {"furnace.high@1"}


def test_only_those_the_route_means_and_a_program_is_not_told_again() -> None:
    routes = [
        {"match": {"severities": ["critical"]}, "channels": ["machine"], "repeat_s": 20},
        {"match": {"areas": ["roof"]}, "channels": ["mail"], "resolved": False, "repeat_s": 0},
    ]
    told = Told(fold_of([A, B, C], {"routes": routes}))
    told.window(turns(A, FIRING, 0), turns(B, FIRING, 0), turns(C, FIRING, 0)).through(*ticks(1, 101))
    told.window(turns(A, CLEAR, 110), turns(B, CLEAR, 110), turns(C, CLEAR, 110)).through(tick(111))
    assert told.intents() == [
        (1, "machine", "firing", "press.high@1"),
        (1, "mail", "firing", "chiller.high@1"),
        (111, "machine", "resolved", "press.high@1"),
    ]


def test_two_routes_to_one_channel_tell_once() -> None:
    told = Told(
        fold_of([A], {"routes": [{"channels": ["mail"]}, {"match": {"assets": ["furnace"]}, "channels": ["mail"]}]})
    )
    told.through(turns(A, FIRING, 0), tick(1), turns(A, CLEAR, 2), tick(3))
    assert told.said() == [(1, "mail", "firing"), (3, "mail", "resolved")]


ESCALATE = {
    "routes": [{"channels": ["mail"], "repeat_s": 0, "escalate": [{"after_s": 60, "channels": ["mail", "boss"]}]}]
}


def test_nobody_acknowledges_and_others_are_told_and_hear_that_it_is_over() -> None:
    told = Told(fold_of([A], ESCALATE, people=["mail", "boss"]))
    told.through(turns(A, FIRING, 0), *ticks(1, 201), turns(A, CLEAR, 205), tick(206))
    assert told.said() == [
        (1, "mail", "firing"),
        (61, "mail", "escalated"),
        (61, "boss", "escalated"),
        (206, "boss", "resolved"),
        (206, "mail", "resolved"),
    ]


def test_who_acknowledges_ends_repeats_and_escalation_and_hears_that_it_is_over() -> None:
    told = Told(fold_of([A], ESCALATE, people=["mail", "boss"]))
    told.through(turns(A, FIRING, 0), tick(1), act(30, "acknowledge", id="furnace.high@1"), *ticks(31, 301))
    told.through(turns(A, CLEAR, 305), tick(306))
    assert told.said() == [(1, "mail", "firing"), (306, "mail", "resolved")]


def silence(seconds: float, until: float, **match: list[str]) -> Batch:
    return act(seconds, "silence", match=match, until_ns=START + round(until * SECOND), why="tests")


def test_a_silence_holds_back_and_what_still_fires_is_told_when_it_ends() -> None:
    told = Told(fold_of([A, B])).through(silence(0, 100, assets=["furnace"]))
    told.window(turns(A, FIRING, 5), turns(B, FIRING, 5)).through(*ticks(6, 96))
    by_asset = {e.asset: e.silenced_by for e in told.known.open.values()}
    assert by_asset == {"furnace": "s1", "press": ""}
    told.through(*ticks(106, 206))
    assert told.intents() == [(6, "mail", "firing", "press.high@2"), (106, "mail", "firing", "furnace.high@2")]
    assert told.known.silences == {}


def test_what_came_and_went_in_silence_is_not_told_and_what_was_told_before_is_when_it_ends() -> None:
    """A is told at 1 and over at 30 within the silence of 10 to 60; B is over before anyone heard of it."""
    told = Told(fold_of([A, B])).through(turns(A, FIRING, 0), tick(1), silence(10, 60), turns(B, FIRING, 20), tick(21))
    told.through(turns(B, CLEAR, 25), turns(A, CLEAR, 30), *ticks(31, 91))
    assert told.intents() == [(1, "mail", "firing", "furnace.high@1"), (61, "mail", "resolved", "furnace.high@1")]
    assert len(told.ended) == 2


def test_a_silence_is_seen_at_once_and_can_be_ended() -> None:
    told = Told(fold_of([A])).through(turns(A, FIRING, 0), silence(1, 500, alerts=["high"]))
    assert told.episode.silenced_by == "s2"
    told.through(tick(2), act(3, "unsilence", id="s2"))
    assert told.episode.silenced_by == ""
    assert told.said() == [(3, "mail", "firing")]


def seconds(text: str, zone: str) -> float:
    return (datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * SECOND - START) / SECOND


def told_through(windows: list[dict[str, object]], zone: str, probes: list[str]) -> list[bool]:
    """Return at which local times an alert is held back by maintenance."""
    told = Told(fold_of([A], {"routes": [{"channels": ["mail"]}], "maintenance": windows}, zone))
    told.through(turns(A, FIRING, seconds(probes[0], zone) - 1))
    return [told.through(tick(seconds(p, zone))).episode.silenced_by != "" for p in probes]


def test_maintenance_once() -> None:
    window = {"start": "2026-05-01T06:00", "end": "2026-05-01T08:00", "why": "overhaul"}
    probes = ["2026-05-01T05:59", "2026-05-01T06:00", "2026-05-01T07:59", "2026-05-01T08:00"]
    assert told_through([window], "Asia/Shanghai", probes) == [False, True, True, False]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 3), ("2026-10-25", 5), ("2026-05-03", 4)])
def test_weekly_maintenance_keeps_the_clock_of_the_site(day: str, hours: int) -> None:
    """Sundays 00:00 to 04:00 in Berlin: 3 hours when clocks go forward, 5 when they go back."""
    window = {"start": "00:00", "end": "04:00", "days": ["sun"]}
    zone = ZoneInfo("Europe/Berlin")
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()
    told = Told(fold_of([A], {"maintenance": [window]}, zone.key))
    told.through(turns(A, FIRING, midnight - START / SECOND - 60))
    held = 0
    for minute in range(-30, 12 * 60, 30):
        told.through(tick(midnight + minute * 60 - START / SECOND))
        held += told.episode.silenced_by.startswith("m0@")
    assert held == 2 * hours


def test_weekly_maintenance_runs_over_midnight() -> None:
    window = {"start": "22:00", "end": "02:00", "days": ["fri"]}
    probes = ["2026-05-01T21:59", "2026-05-01T22:00", "2026-05-02T01:59", "2026-05-02T02:00", "2026-05-02T22:30"]
    assert told_through([window], "Asia/Shanghai", probes) == [False, True, True, False, False]


def test_a_new_channel_hears_of_what_already_fires() -> None:
    told = Told(fold_of([A])).through(turns(A, FIRING, 0), tick(1))
    told.fold = fold_of([A], {"routes": [{"channels": ["mail", "boss"]}]}, people=["mail", "boss"])
    told.known.next_ns = 0  # as after a start
    told.through(tick(2))
    assert told.said() == [(1, "mail", "firing"), (2, "boss", "firing")]
