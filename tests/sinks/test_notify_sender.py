"""The outbox to one channel: nothing unsaid, never too many, dead letters with the reason."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.errors import Rejected, Unavailable
from pipeline.clock import SECOND_NS
from pipeline.log.log import Log
from sinks.notify import sender as sending
from sinks.notify.message import Message
from sinks.notify.outbox import abandon
from tests.pipeline.journal import open_log
from tests.sinks.notify_parts import NOW, Hand, Memory, episode, put, sender


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(sending, "_BACKOFF_MAX_S", 0.001)


def dead(log: Log) -> list[tuple[str, str, bytes]]:
    return log.reader.query("SELECT component, reason, raw FROM dead ORDER BY id")


async def test_what_comes_together_is_one_message_after_the_wait(tmp_path: Path) -> None:
    clock, channel = Hand(), Memory()
    log = await open_log(tmp_path, clock)
    going = sender(log, channel, wait_s=10)
    await put(log, "firing", episode("a"), episode("b", "critical"))
    assert not await going.step()
    clock.at_ns += 10 * SECOND_NS
    await put(log, "resolved", episode("a", ended_ns=NOW))
    assert await going.step()
    assert not await going.step()
    (message,) = channel.sent
    assert message.id == f"plant-mail-{NOW // SECOND_NS}-1"
    assert [(s.episode.asset, s.over, s.what) for s in message.subjects] == [
        ("b", False, ("firing",)),
        ("a", True, ("firing", "resolved")),
    ]
    assert (going.counters.received, going.counters.delivered, going.counters.backlog) == (3, 3, 0)
    await log.close()


@settings(max_examples=5)
@given(
    bursts=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 200)), min_size=1, max_size=6),
    per_minute=st.integers(1, 12),
    room=st.sampled_from([200, 2_048, 32_768]),
)
async def test_no_minute_has_too_many_messages_and_no_alert_goes_unsaid(
    bursts: list[tuple[int, int]], per_minute: int, room: int
) -> None:
    await _flooded([*bursts, (0, 50)], per_minute, room)


async def test_five_hundred_alerts_at_once_are_at_most_ten_messages_a_minute() -> None:
    assert await _flooded([(0, 500)], 10, 32_768) == 10


async def _flooded(bursts: list[tuple[int, int]], per_minute: int, room: int) -> int:
    """Let alerts come in bursts (after how many seconds, how many), and go on until all is said; how many messages."""
    clock, channel, said = Hand(), Memory(room=room), set()
    times: list[int] = []
    channel.answer = lambda _: times.append(clock.at_ns)
    with tempfile.TemporaryDirectory() as folder:
        log = await open_log(Path(folder), clock)
        going, number = sender(log, channel, wait_s=1, per_minute=per_minute), 0
        for pause, count in bursts:
            for _ in range(pause):
                clock.at_ns += SECOND_NS
                while await going.step():
                    pass
            episodes = [episode(f"a{number + n}", number=number + n) for n in range(count)]
            number += count
            said |= {("firing", e.id) for e in episodes}
            await put(log, "firing", *episodes)
        while going.outbox.waiting():
            clock.at_ns += SECOND_NS
            while await going.step():
                pass
        await log.close()
    told = channel.told()
    assert set(told) == said
    assert len(told) == len(said)
    assert all(sum(start <= t < start + 60 * SECOND_NS for t in times) <= per_minute for start in times)
    assert all(len(m.subjects) <= 50 for m in channel.sent)
    return len(channel.sent)


async def test_the_gravest_are_told_first(tmp_path: Path) -> None:
    log, channel = await open_log(tmp_path, Hand()), Memory(room=800)  # three alerts a message
    await put(log, "firing", *(episode(f"a{n}", "info") for n in range(5)), episode("z", "critical"))
    await sender(log, channel).step()
    assert [s.episode.asset for s in channel.sent[0].subjects] == ["z", "a0", "a1"]
    await log.close()


async def test_an_absent_channel_is_asked_again_and_then_hears_of_all_in_few_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Away for two hours in which a hundred alerts come and go: the first message, then the rest joined."""
    clock, channel = Hand(), Memory()
    log, away = await open_log(tmp_path, clock), [True]

    def answer(_: Message) -> None:
        if away[0]:
            raise Unavailable("mail.plant cannot be reached")

    channel.answer = answer
    going = sender(log, channel)
    with caplog.at_level(logging.INFO, "tanflow.notify"):
        for number in range(100):
            await put(log, "firing", episode("furnace", number=number))
            await put(log, "resolved", episode("furnace", number=number, ended_ns=NOW))
            assert await going.step()
            clock.at_ns += 72 * SECOND_NS
        assert (going.counters.state, going.counters.retried, going.counters.backlog) == ("down", 100, 200)
        away[0] = False
        while await going.step():
            pass
    assert len(channel.sent) == 2
    assert all(m.late for m in channel.sent)
    assert channel.sent[1].subjects[0].times == 99
    assert len(set(channel.told())) == 200
    assert [r.message.split(",")[0] for r in caplog.records] == [
        "channel mail cannot be reached",
        "channel mail takes messages again",
    ]
    await log.close()


async def test_what_is_refused_is_a_dead_letter_at_once_and_the_next_goes_on(tmp_path: Path) -> None:
    log, channel = await open_log(tmp_path, Hand()), Memory()

    def answer(message: Message) -> None:
        if message.tellings[0].episode.asset == "a":
            raise Rejected("HTTP 404 Not Found")

    channel.answer = answer
    going = sender(log, channel)
    await put(log, "firing", episode("a"))
    assert await going.step()
    await put(log, "firing", episode("b"))
    assert await going.step()
    ((component, reason, raw),) = dead(log)
    assert (component, reason) == ("notify.mail", "HTTP 404 Not Found")
    assert b"a.high@7" in raw
    assert channel.told() == [("firing", "b.high@7")]
    assert (going.counters.rejected, going.counters.delivered) == (1, 1)
    await log.close()


async def test_after_a_day_it_is_given_up_with_the_reason(tmp_path: Path) -> None:
    clock, channel = Hand(), Memory()
    log = await open_log(tmp_path, clock)

    def answer(_: Message) -> None:
        raise Unavailable("no route to host")

    channel.answer = answer
    going = sender(log, channel)
    await put(log, "firing", episode("a"))
    await going.step()
    clock.at_ns += 24 * 3_600 * SECOND_NS
    await going.step()
    assert dead(log) == []
    clock.at_ns += 1
    await going.step()
    assert [reason for _, reason, _ in dead(log)] == ["not taken within a day: no route to host"]
    assert going.outbox.waiting() == 0
    await log.close()


async def test_a_program_is_told_at_once_and_what_fires_again_and_again(tmp_path: Path) -> None:
    clock, channel = Hand(), Memory(joins=False, refresh_s=60)
    log, one = await open_log(tmp_path, clock), episode("a")
    going = sender(log, channel, wait_s=600, per_minute=1, firing=[one])
    await put(log, "firing", one)
    for _ in range(240):
        while await going.step():
            pass
        clock.at_ns += SECOND_NS
    assert Counter(what for what, _ in channel.told()) == {"firing": 1, "again": 4}
    await log.close()


async def test_a_clock_that_was_ahead_holds_nothing_back(tmp_path: Path) -> None:
    """What was to be told, and the messages sent, by a clock a year ahead: set right, the next start tells at once."""
    clock, channel = Hand(NOW + 366 * 86_400 * SECOND_NS), Memory()
    log = await open_log(tmp_path, clock)
    before = sender(log, channel, per_minute=1)
    await put(log, "firing", episode("a"))
    clock.at_ns += 60 * SECOND_NS
    assert await before.step()
    await put(log, "firing", episode("b"))
    clock.at_ns = NOW
    assert await sender(log, channel, per_minute=1).step()
    assert channel.told() == [("firing", "a.high@7"), ("firing", "b.high@7")]
    await log.close()


async def test_what_waits_for_a_channel_that_is_gone_is_given_up(tmp_path: Path) -> None:
    log = await open_log(tmp_path, Hand())
    await put(log, "firing", episode("a"), channel="pager")
    await put(log, "firing", episode("b"))
    await abandon(log, log.clock, ["mail"])
    assert [(c, r) for c, r, _ in dead(log)] == [("notify.pager", "the channel is no longer configured")]
    assert sender(log, Memory()).outbox.waiting() == 1
    await log.close()


async def test_a_channel_that_hangs_holds_no_other(tmp_path: Path) -> None:
    log, gate = await open_log(tmp_path, Hand()), asyncio.Event()
    slow, quick = Memory(), Memory()

    class Slow(Memory):
        async def send(self, message: Message) -> None:
            await gate.wait()
            self.sent.append(message)

    slow = Slow()
    await put(log, "firing", episode("a"))
    await put(log, "firing", episode("a"), channel="chat")
    other = sender(log, quick)
    other.name, other.outbox = "chat", type(other.outbox)(log, "chat", log.clock)
    hanging = asyncio.create_task(sender(log, slow).step())
    await asyncio.sleep(0)
    assert await other.step()
    assert len(quick.sent) == 1
    assert slow.sent == []
    gate.set()
    await hanging
    await log.close()
