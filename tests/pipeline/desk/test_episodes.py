"""Episodes by hand: ids, values, energy, acknowledgement, removal; what is known survives its bytes at every step."""

from __future__ import annotations

import pytest

from pipeline.desk.known import Known
from tests.pipeline.desk.parts import CLEAR, FIRING, PENDING, Told, act, alert, at, fold_of, says, tick, turns

A, B = alert(0, "furnace"), alert(1, "press")


def test_an_episode_has_the_position_of_the_row_that_fired_it() -> None:
    """Pending at 0 s with its value, firing at 60 s without one: the value is that of the pending row."""
    told = Told(fold_of([A]), position=6).through(turns(A, PENDING, 0, 120.0, 20.0), tick(30))
    assert told.known.open == {}
    told.window(turns(A, FIRING, 60))
    episode = told.episode
    assert (episode.id, episode.asset, episode.area, episode.name) == ("furnace.high@9", "furnace", "hall", "high")
    assert (episode.fired_ns, episode.value, episode.limit, episode.excess_kw) == (at(60), 120.0, 100.0, 20.0)
    assert (episode.kind, episode.unit, episode.severity) == ("threshold", "kW", "warning")


def test_two_firings_in_one_commit_have_two_ids() -> None:
    told = Told(fold_of([A])).window(turns(A, FIRING, 0), turns(A, CLEAR, 1), turns(A, FIRING, 2))
    assert [e.id for e in told.ended] == ["furnace.high@1"]
    assert told.episode.id == "furnace.high@1.2"


def test_energy_is_each_excess_for_as_long_as_it_counts() -> None:
    """36 kW for 100 s, then 72 kW for 50 s: 1 kWh + 1 kWh; the value after the clearing row is no longer counted."""
    told = Told(fold_of([A])).through(turns(A, FIRING, 0, 136.0, 36.0), says(A, 100, 172.0, 72.0))
    assert told.episode.energy_at(at(125)) == pytest.approx(1.5)
    told.window(turns(A, CLEAR, 150, 90.0, 0.0))
    (over,) = told.ended
    assert over.energy_kwh == pytest.approx(2.0)
    assert (over.ended_ns, over.ended_why, over.worst, over.value) == (at(150), "", 172.0, 172.0)
    assert over.energy_at(at(9_999)) == over.energy_kwh


def test_an_excess_nobody_tells_again_counts_no_further() -> None:
    """Its alert is fresh for 900 s; nothing comes for an hour: what is unknown is not made up."""
    told = Told(fold_of([A])).through(turns(A, FIRING, 0, 136.0, 36.0), turns(A, CLEAR, 3_600))
    assert told.ended[0].energy_kwh == pytest.approx(9.0)


def test_without_an_excess_its_energy_is_unknown_and_not_zero() -> None:
    told = Told(fold_of([A])).through(turns(A, FIRING, 0, 136.0), turns(A, CLEAR, 100))
    assert told.ended[0].energy_kwh is None
    assert told.ended[0].excess_kw is None


def test_the_worst_is_the_farthest_on_the_side_it_fired() -> None:
    """Above 100: 110, then 130, then 60 between the limits: 130. Below 100: 90, 40, 95: 40."""
    told = Told(fold_of([A])).through(turns(A, FIRING, 0, 110.0), says(A, 1, 130.0), says(A, 2, 60.0))
    assert told.episode.worst == 130.0
    told = Told(fold_of([A])).through(
        turns(A, PENDING, 0, 90.0), turns(A, FIRING, 1), says(A, 2, 40.0), says(A, 3, 95.0)
    )
    assert told.episode.worst == 40.0


def test_an_alert_that_is_no_longer_configured_ends_with_the_reason() -> None:
    told = Told(fold_of([A, B])).through(turns(A, FIRING, 0, 136.0, 36.0), turns(B, FIRING, 0), tick(10))
    again = Told(fold_of([B]), told.position)
    again.known = Known.load(told.known.dump())
    again.through(tick(20))
    assert [e.id for e in again.known.open.values()] == ["press.high@2"]
    assert [(e.id, e.ended_ns, e.ended_why) for e in again.ended] == [("furnace.high@1", at(20), "removed")]
    assert again.said() == [(20, "mail", "resolved")]


def test_acknowledging_says_who_when_and_why() -> None:
    told = Told(fold_of([A])).through(
        turns(A, FIRING, 0), act(5, "acknowledge", id="furnace.high@1", note="On my way.")
    )
    taken = told.episode.acknowledged
    assert taken is not None
    assert (taken.by, taken.at_ns, taken.note) == ("li", at(5), "On my way.")


@pytest.mark.parametrize(
    ("what", "about"),
    [
        ("acknowledge", {"id": "nothing@1"}),
        ("acknowledge", {}),
        ("silence", {"match": {"colour": 3}}),
        ("unsilence", {}),
    ],
)
def test_an_act_that_is_not_understood_has_no_effect(what: str, about: dict[str, object]) -> None:
    told = Told(fold_of([A])).through(turns(A, FIRING, 0), act(5, what, **about))
    assert told.episode.acknowledged is None
    assert told.known.silences == {}


def test_late_and_doubled_rows_change_nothing_that_was() -> None:
    """Firing told twice is one episode; a clearing row older than the firing one ends it where it began."""
    told = Told(fold_of([A])).through(turns(A, FIRING, 10, 136.0), turns(A, FIRING, 11), says(A, 5, 140.0, 3.6))
    assert told.episode.id == "furnace.high@1"
    told.window(turns(A, CLEAR, 4))
    assert told.ended[0].ended_ns == at(10)
    told.window(turns(A, CLEAR, 20))
    assert len(told.ended) == 1


def test_a_thousand_alerts_are_bounded_by_their_number() -> None:
    """They fire and clear a hundred times each: what is known at the end is as much as after the first round."""
    alerts = [alert(n) for n in range(100)]
    told, sizes = Told(fold_of(alerts)), []
    for second in range(20):
        told.window(*(turns(a, FIRING, 10 * second, 120.0, 1.0) for a in alerts), tick(10 * second))
        told.window(*(turns(a, CLEAR, 10 * second + 5) for a in alerts), tick(10 * second + 5))
        sizes.append(len(told.known.dump()))
    assert max(sizes) == min(sizes) < 200
    assert len(told.ended) == 2_000
