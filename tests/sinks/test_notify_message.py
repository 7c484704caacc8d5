"""What a message says: every fact that is known, none that is not, short where there is little room."""

from __future__ import annotations

from string import Formatter
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.alerts import _KINDS
from config.words import LANGUAGES, Language
from config.words import words as catalogue
from pipeline.clock import SECOND_NS
from pipeline.desk.episode import Cost
from pipeline.desk.notices import What
from sinks.notify.message import Message, Subject, Telling, number
from tests.sinks.notify_parts import ADVICE, NOW, episode, message, words


def full(one: Subject | None = None, language: Language = "en", **known: Any) -> list[str]:
    """Return the lines about one alert."""
    subject = one or message(episode(**known)).subjects[0]
    return words(language).full(subject).splitlines()


def test_all_that_is_known() -> None:
    assert full() == [
        "Warning: furnace, hall",
        "Limit crossed (high)",
        "Since 2026-09-21 22:12 (Asia/Shanghai)",
        "Value 412 kW, limit 350 kW",
        "Costs per hour: 62.4 kWh, 31.2 kg CO₂e, 49.9 CNY",
        "What to do: Lower the holding temperature.",
        "http://gateway:8800/#/alerts/furnace.high@7",
        "ID furnace.high@7",
    ]


def test_what_is_unknown_is_left_out_and_never_zero() -> None:
    nothing = episode(area="", value=None, limit=None, excess_kw=None)
    (subject,) = Message("m", [Telling(1, NOW, "firing", nothing, "")]).subjects
    assert full(subject) == [
        "Warning: furnace",
        "Limit crossed (high)",
        "Since 2026-09-21 22:12 (Asia/Shanghai)",
        "http://gateway:8800/#/alerts/furnace.high@7",
        "ID furnace.high@7",
    ]
    assert "Value 412 kW" in full(limit=None)
    only_energy = words(cost=lambda _, kw, __: Cost(kw))
    assert only_energy.costs(episode()) == "Costs per hour: 62.4 kWh"
    no_price = words(cost=lambda _, kw, __: Cost(kw, kw * 0.5))
    assert no_price.costs(episode()) == "Costs per hour: 62.4 kWh, 31.2 kg CO₂e"


def test_what_is_over_tells_from_when_to_when_and_what_it_cost_in_all() -> None:
    lines = full(ended_ns=NOW + 3_600 * SECOND_NS, energy_kwh=62.38)
    assert lines[0] == "Over: furnace, hall"
    assert lines[2] == "From 2026-09-21 22:12 to 2026-09-21 23:13 (Asia/Shanghai)"
    assert "Cost 62.4 kWh in all" in lines
    assert not any(ADVICE in line for line in lines)
    removed = full(ended_ns=NOW, ended_why="removed")
    assert removed[2] == "From 2026-09-21 22:12; the rule was removed at 2026-09-21 22:13 (Asia/Shanghai)"


def test_escalation_and_flapping_are_said() -> None:
    tellings = [Telling(n, NOW, "firing", episode(number=n, fired_ns=NOW + n), "") for n in range(1, 4)]
    (subject,) = Message("m", [*tellings, Telling(9, NOW, "escalated", tellings[-1].episode, "")]).subjects
    lines = full(subject)
    assert "Nobody has acknowledged this yet" in lines
    assert "Fired 3 times since the last message" in lines
    assert lines[-1] == "ID furnace.high@3"


def test_the_end_of_an_older_firing_does_not_hide_the_newer_one() -> None:
    """It ended and fired anew within one message, however the rows stand: it fires."""
    over, anew = episode(number=1, ended_ns=NOW), episode(number=2, fired_ns=NOW + 1)
    tellings = [Telling(1, NOW, "firing", anew, ""), Telling(2, NOW, "resolved", over, "")]
    (subject,) = Message("m", tellings).subjects
    assert (subject.over, subject.episode.id) == (False, "furnace.high@2")


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (412.4, "kW", "412 kW"), (1234567.8, "kWh", "1,234,568 kWh"), (6.25, "degC", "6.25 °C"), (0.0, "kW", "0 kW"),
        (0.04123, "kW", "0.0412 kW"), (0.95, "1", "0.95"), (3.0, "", "3"), (45.0, "s", "45 s"), (900.0, "s", "15 min"),
        (5_400.0, "s", "1.5 h"), (200_000.0, "s", "2.31 d"), (-12.0, "d", "-12 d"), (-0.5, "bar/h", "-0.5 bar/h"),
    ],
)  # fmt: skip
def test_numbers_in_digits_that_mean_something(value: float, unit: str, said: str) -> None:
    assert words().amount(value, unit) == said


@given(st.floats(-1e12, 1e12))
def test_a_number_is_never_written_with_an_exponent_and_is_what_it_is(value: float) -> None:
    said = number(value)
    assert "e" not in said
    assert float(said.replace(",", "")) == pytest.approx(value, rel=5.1e-3, abs=1e-6)


def test_many_alerts_the_gravest_in_full_the_others_a_line_each() -> None:
    many = [episode(f"a{n}", "critical" if n == 39 else "info") for n in range(40)]
    told = message(*many)
    text = words().body(told, 32_768)
    assert text.startswith("Critical: a39, hall")
    assert text.count("What to do") == 10
    assert all(one.id in text for one in many)
    assert words().title(told) == "plant: 40 alerts firing, 0 over"


@pytest.mark.parametrize("room", [2_000, 4_096, 32_768])
def test_a_message_fits_where_as_many_alerts_as_the_sender_allows_are_in_it(room: int) -> None:
    many = [episode(f"kompressor-halle-{n:03}", number=1_000_000 + n) for n in range(min(50, room // 160 - 2))]
    for language in LANGUAGES:
        text = words(language).body(message(*many), room)
        assert len(text.encode()) <= room
        assert all(one.id in text for one in many)


def test_a_late_message_says_so() -> None:
    assert "held up" in words().body(Message("m", message(episode()).tellings, late=True), 32_768)


def test_both_languages_have_every_word_with_the_same_places() -> None:
    english, chinese = (catalogue(language) for language in LANGUAGES)
    for section in ("notify", "alerts"):
        assert places(english[section]) == places(chinese[section])
    assert set(english["alerts"]["kinds"]) == {*_KINDS, "test"}
    assert {"firing", "test"} < set(get_args(What))


def places(said: Any) -> Any:
    """Return the placeholders of every sentence."""
    if isinstance(said, dict):
        return {key: places(value) for key, value in said.items()}
    return sorted(name for _, name, _, _ in Formatter().parse(said) if name)
