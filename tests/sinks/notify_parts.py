"""What tests of channels share: a clock set by hand, episodes, messages, their words, and a channel that remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from config.alerts import Severity
from config.words import Language
from pipeline.clock import SECOND_NS, Clock
from pipeline.counters import Counters
from pipeline.desk.episode import Cost, Episode
from pipeline.desk.notices import What, intent
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from sinks.notify.channel import Channel
from sinks.notify.message import Message, Telling, Words
from sinks.notify.sender import Sender

NOW = 1_790_000_000 * SECOND_NS  # 2026-09-21T14:13:20Z
ADVICE = "Lower the holding temperature."


class Hand(Clock):
    """A clock that stands until a test moves it."""

    def __init__(self, at_ns: int = NOW) -> None:
        super().__init__()
        self.at_ns = at_ns

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


def episode(asset: str = "furnace", severity: Severity = "warning", number: int = 7, **known: Any) -> Episode:
    """Return an episode that fires since a minute before NOW, 412.4 kW against 350 kW."""
    fields: dict[str, Any] = {
        "fired_ns": NOW - 60 * SECOND_NS,
        "value": 412.4,
        "limit": 350.0,
        "worst": 430.0,
        "excess_kw": 62.4,
        "counted_ns": NOW,
        "area": "hall",
    }
    name = f"{asset}.high@{number}"
    return Episode(name, asset, name="high", kind="threshold", severity=severity, unit="kW", **(fields | known))


def message(*episodes: Episode, what: What = "firing", number: str = "plant-mail-1") -> Message:
    return Message(number, [Telling(n, NOW, what, e, ADVICE) for n, e in enumerate(episodes, 1)])


def words(language: Language = "en", cost: Callable[[str, float, int], Cost] | None = None) -> Words:
    """Return words of a plant in Shanghai: 0.5 kg and 0.8 CNY a kWh."""
    known = cost or (lambda _, kw, __: Cost(kw, kw * 0.5, kw * 0.8, "CNY"))
    return Words(language, "plant", ZoneInfo("Asia/Shanghai"), "http://gateway:8800", known)


@dataclass
class Memory:
    """A channel that remembers; `answer` may raise what a channel raises."""

    joins: bool = True
    room: int = 32_768
    refresh_s: float = 0.0
    answer: Callable[[Message], None] = lambda _: None
    sent: list[Message] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def send(self, message: Message) -> None:
        self.answer(message)
        self.sent.append(message)

    def told(self) -> list[tuple[str, str]]:
        """Return (what, alert) of everything said, in order."""
        return [(t.what, t.episode.id) for m in self.sent for t in m.tellings]


def sender(
    log: Log, channel: Channel, *, wait_s: float = 0.0, per_minute: int = 10, firing: Sequence[Episode] = ()
) -> Sender:
    return Sender("mail", "plant", log, channel, log.clock, Counters(), wait_s, per_minute, lambda: firing)


async def put(log: Log, what: What, *episodes: Episode, channel: str = "mail") -> None:
    """Put intents into the outbox, as the desk does."""
    now = log.clock.now_ns()
    await log.append(Entry(statements=[intent(channel, what, e, ADVICE, now) for e in episodes]))
