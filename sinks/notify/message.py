"""Rows of the outbox → one message: what it is about, and its words in the language of those who read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from config.alerts import SEVERITIES
from config.words import Language, advice, text, words
from pipeline.clock import SECOND_NS
from pipeline.desk.episode import Cost, Episode
from pipeline.desk.notices import What

_IN_FULL: Final = 10  # alerts of a message that are told with all that is known; the others have a line each
_LATE_NS: Final = 600 * SECOND_NS  # a message older than this says so
_AGES: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
CostOf = Callable[[str, float, int], Cost]


@dataclass(frozen=True, slots=True)
class Telling:
    """One row of the outbox: what is told of which episode, as it was known at `at_ns`."""

    id: int
    at_ns: int
    what: What
    episode: Episode
    advice: str
    message: int | None = None  # the first row of the message it was joined to


@dataclass(frozen=True, slots=True)
class Subject:
    """One alert in a message: its newest episode, all that is told of it, and how often it fired."""

    episode: Episode
    advice: str
    what: tuple[What, ...]
    times: int

    @property
    def over(self) -> bool:
        return bool(self.episode.ended_ns)


@dataclass(frozen=True)
class Message:
    """What leaves at once. Its id is the same however often it is sent."""

    id: str
    tellings: Sequence[Telling]
    late: bool = False

    @cached_property
    def subjects(self) -> list[Subject]:
        """Each alert once: what fires before what is over, the gravest first, then as it came."""
        by_alert: dict[str, list[Telling]] = {}
        for one in self.tellings:
            by_alert.setdefault(one.episode.key, []).append(one)
        found = [_subject(group) for group in by_alert.values()]
        return sorted(found, key=lambda s: (s.over, SEVERITIES.index(s.episode.severity)))

    @property
    def severity(self) -> str:
        return min((s.episode.severity for s in self.subjects), key=SEVERITIES.index)


def _subject(group: Sequence[Telling]) -> Subject:
    last = max(group, key=lambda one: (one.episode.fired_ns, one.id))
    episodes = {one.episode.id for one in group}
    return Subject(last.episode, last.advice, tuple(one.what for one in group), len(episodes))


def late(tellings: Iterable[Telling], now_ns: int) -> bool:
    """Return whether the oldest of what is told has waited so long that a reader should know."""
    return now_ns - min(one.at_ns for one in tellings) > _LATE_NS


@dataclass(frozen=True)
class Words:
    """How messages are put: the language, the site and its zone, where the page is, and what an excess costs."""

    language: Language
    site: str
    zone: ZoneInfo
    link: str | None
    cost: CostOf

    def title(self, message: Message) -> str:
        """Return one line: the alert, or how many fire and are over."""
        subjects = message.subjects
        if len(subjects) == 1:
            one = subjects[0]
            over = self._say("over") if one.over else self._severity(one.episode)
            return self._say("title", state=over, place=self._place(one.episode), alert=self.alert(one.episode))
        over_n = sum(s.over for s in subjects)
        return self._say("title_many", site=self.site, firing=len(subjects) - over_n, over=over_n)

    def body(self, message: Message, room: int) -> str:
        """Return the whole text: the first alerts in full, then a line each; shorter where `room` [characters] asks."""
        for full in (_IN_FULL, 3, 1, 0):
            parts = [self.full(s) for s in message.subjects[:full]]
            rest = "\n".join(self.line(s) for s in message.subjects[full:])
            parts += [rest] if rest else []
            parts += [self._say("late")] if message.late else []
            parts.append(self._say("foot", site=self.site, id=message.id))
            text_ = "\n\n".join(parts)
            if len(text_.encode()) <= room:
                break
        return text_

    def full(self, subject: Subject) -> str:
        """Return what is known of one alert: what, where, since when, how much, what it costs, what to do."""
        episode = subject.episode
        state = self._say("over") if subject.over else self._severity(episode)
        lines = [
            self._say("head", state=state, place=self._place(episode), alert=self.alert(episode)),
            self._say("escalated") if "escalated" in subject.what and not subject.over else "",
            self._when(subject),
            self._say("times", n=subject.times) if subject.times > 1 else "",
            self._value(episode),
            self.costs(episode),
            "" if subject.over or not subject.advice else self._say("advice", text=self.advice(subject.advice)),
            self.url(episode) or "",
            self._say("id", id=episode.id),
        ]
        return "\n".join(filter(None, lines))

    def line(self, subject: Subject) -> str:
        """Return an alert in one line."""
        episode = subject.episode
        state = self._say("over") if subject.over else self._severity(episode)
        at = self.time(episode.ended_ns or episode.fired_ns)
        return self._say("line", state=state, place=self._place(episode), alert=episode.name, time=at, id=episode.id)

    def alert(self, episode: Episode) -> str:
        """Return what kind of thing is the matter, and the rule's name: in words where it is one of ours."""
        known = words(self.language)["alerts"]
        name = known["names"].get(episode.name, episode.name)
        return self._say("alert", kind=known["kinds"].get(episode.kind, episode.kind), name=name)

    def advice(self, said: str) -> str:
        """Return what to do, in the readers' language where it is an advice of ours."""
        return advice(self.language, said)

    def costs(self, episode: Episode) -> str:
        """Return what it costs per hour, or has cost once it is over; what is unknown is left out."""
        if episode.ended_ns:
            energy = episode.energy_kwh
            return self._say("cost_in_all", energy=number(energy)) if energy else ""
        if not episode.excess_kw:
            return ""
        cost = self.cost(episode.asset, episode.excess_kw, episode.counted_ns)
        parts = [self._say("kwh", amount=number(cost.kwh_per_h))]
        if cost.co2e_kg_per_h is not None:
            parts.append(self._say("co2", amount=number(cost.co2e_kg_per_h)))
        if cost.money_per_h is not None:
            parts.append(self._say("money", amount=number(cost.money_per_h), currency=cost.currency))
        return self._say("cost", parts=self._say("comma").join(parts))

    def url(self, episode: Episode) -> str | None:
        """Return where the page shows it."""
        return f"{self.link.rstrip('/')}/#/alerts/{quote(episode.id, safe='@.')}" if self.link else None

    def time(self, at_ns: int) -> str:
        """Return an instant on the site's clock."""
        return f"{datetime.fromtimestamp(at_ns / SECOND_NS, self.zone):%Y-%m-%d %H:%M}"

    def _when(self, subject: Subject) -> str:
        episode, zone = subject.episode, self.zone.key
        since = self.time(episode.fired_ns)
        if not subject.over:
            return self._say("since", time=since, zone=zone)
        key = "removed" if episode.ended_why == "removed" else "from_to"
        return self._say(key, since=since, until=self.time(episode.ended_ns), zone=zone)

    def _value(self, episode: Episode) -> str:
        value, limit = episode.value, episode.limit
        if value is None:
            return ""
        if limit is None:
            return self._say("value", value=self.amount(value, episode.unit))
        return self._say("against", value=self.amount(value, episode.unit), limit=self.amount(limit, episode.unit))

    def amount(self, value: float, unit: str) -> str:
        """Return a value with its unit; seconds in what people count in."""
        if unit == "s":
            for seconds, name in _AGES:
                if abs(value) >= seconds:
                    return text(self.language, f"ages.{name}", n=number(value / seconds))
            return text(self.language, "ages.s", n=number(value))
        if unit == "d":
            return text(self.language, "ages.d", n=number(value))
        label = words(self.language)["units"].get(unit, unit)
        return f"{number(value)} {label}" if unit not in ("", "1") else number(value)

    def _place(self, episode: Episode) -> str:
        key = "place" if episode.area else "place_alone"
        return self._say(key, asset=episode.asset, area=episode.area)

    def _severity(self, episode: Episode) -> str:
        return self._say(episode.severity)

    def _say(self, key: str, **fields: Any) -> str:
        return text(self.language, f"notify.{key}", **fields)


def number(value: float) -> str:
    """Return three significant digits, or all before the point: 1,234 · 62.3 · 0.0412."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    shown = f"{value:.3g}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if "e" in shown else shown
