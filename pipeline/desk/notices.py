"""Episodes and routes → what is due to be told by which channel: first, again, escalated, and that it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import orjson

from config.notify import Match, Notify
from pipeline.clock import SECOND_NS
from pipeline.desk.episode import Episode, covers

What = Literal["firing", "again", "escalated", "resolved", "test"]
Told = Mapping[str, int]  # channel, or "channel/after_s" for an escalation → when it was last told [ns]
NEVER: Final = 2**63 - 1


class Step(NamedTuple):
    """Channels that are told as well after a time without acknowledgement [ns]."""

    after_ns: int
    channels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Route:
    """Where alerts go; `repeat_ns` 0: said once. `again` are the channels that repeat: those people read."""

    match: Match
    channels: Sequence[str]
    repeat_ns: int
    resolved: bool
    steps: Sequence[Step]
    again: frozenset[str]


class Due(NamedTuple):
    """One thing to be told: `mark` is the key of `Told` that then stands for it."""

    channel: str
    what: What
    mark: str


def routes_of(notify: Notify) -> list[Route]:
    """Return the routes of a configuration."""
    people = frozenset(name for name, channel in notify.channels.items() if channel.type == "apprise")
    return [
        Route(
            r.match, r.channels, int(r.repeat_s * SECOND_NS), r.resolved,
            [Step(int(e.after_s * SECOND_NS), e.channels) for e in r.escalate], people,
        )
        for r in notify.routes
    ]  # fmt: skip


def due(routes: Sequence[Route], episode: Episode, told: Told, now_ns: int) -> list[Due]:
    """Return what must be told of an episode that fires and is not silenced; each channel at most once."""
    found: dict[str, Due] = {}
    for one, at_ns in _schedule(routes, episode, told):
        if at_ns <= now_ns and (one.what == "escalated" or one.channel not in found):
            found[one.channel] = one
    return list(found.values())


def next_ns(routes: Sequence[Route], episode: Episode, told: Told) -> int:
    """Return when something of an episode is due next, NEVER where nothing is."""
    return min((at_ns for _, at_ns in _schedule(routes, episode, told)), default=NEVER)


def _schedule(routes: Sequence[Route], episode: Episode, told: Told) -> Iterator[tuple[Due, int]]:
    """Yield what may be told, and from when on [ns]; an acknowledged episode needs no word more."""
    if episode.acknowledged:
        return
    for route in routes:
        if not covers(route.match, episode):
            continue
        for channel in route.channels:
            yield from _first_and_again(route, episode, told, Due(channel, "firing", channel))
        for step in route.steps:
            for channel in step.channels:
                mark = f"{channel}/{step.after_ns // SECOND_NS}"
                if mark not in told:
                    yield Due(channel, "escalated", mark), episode.fired_ns + step.after_ns
                elif channel not in route.channels:
                    yield from _first_and_again(route, episode, told, Due(channel, "firing", channel))


def _first_and_again(route: Route, episode: Episode, told: Told, first: Due) -> Iterator[tuple[Due, int]]:
    last = told.get(first.channel)
    if last is None:
        yield first, episode.fired_ns
    elif route.repeat_ns and first.channel in route.again:
        yield first._replace(what="again"), last + route.repeat_ns


def owed(routes: Sequence[Route], episode: Episode, told: Told) -> list[str]:
    """Return the channels that were told that an episode fires and want to hear that it is over."""
    wanted = set()
    for route in (r for r in routes if r.resolved and covers(r.match, episode)):
        wanted |= {*route.channels, *(c for step in route.steps for c in step.channels)}
    return sorted(wanted.intersection(told))


def marked(told: Told, one: Due, now_ns: int) -> dict[str, int]:
    """Return what has been told once this is."""
    return {**told, one.mark: now_ns, one.channel: now_ns}


def intent(channel: str, what: What, episode: Episode, advice: str, at_ns: int) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that puts a message into the outbox: what is said then is what is known now."""
    about = orjson.dumps({"episode": episode, "advice": advice}).decode()
    query = "INSERT INTO outbox (at_ns, channel, what, alert, about) VALUES (?, ?, ?, ?, ?)"
    return query, (at_ns, channel, what, episode.id, about)
