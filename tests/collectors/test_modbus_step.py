"""Units and serial servers that are some replies behind: whatever the blocks, no wrong value is ever believed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.modbus_frames import Read
from collectors.modbus_rtu import encode, good_header
from collectors.modbus_step import MOST_BEHIND, Step
from pipeline.gaps import Gap
from tests.collectors.test_modbus_line import SERIAL, TWO
from tests.peers.line_rig import Pieces, good, sealed, serial_server
from tests.peers.modbus_rig import bound, running
from tests.waiting import until

TABLES = st.sampled_from(["holding", "input", "coil", "discrete"])
BLOCKS = st.lists(st.builds(Read, st.just(1), TABLES, st.integers(0, 500), st.integers(1, 125)), min_size=1, max_size=6)


class Behind:
    """A unit that leaves some requests unanswered and answers each later one with the oldest reply it still has."""

    def __init__(self, refuses: frozenset[Read]) -> None:
        self.behind = 0
        self._refuses = refuses
        self._held: deque[Read] = deque()

    def ask(self, read: Read) -> tuple[Read, bytes] | None:
        """Return what is answered and the form of the reply, None for silence."""
        self._held.append(read)
        if len(self._held) <= self.behind:
            return None
        one = self._held.popleft()
        header = good_header(one)
        return one, bytes((header[0], header[1] | 0x80, 2)) if one in self._refuses else header

    def is_itself_again(self) -> None:
        self.behind = 0
        self._held.clear()


def believed(step: Step, unit: Behind, wanted: Read) -> tuple[Read | None, int]:
    """Ask as the line does; return whose reply is taken for the one to `wanted`, and with how many requests."""
    for count in range(1, 4 * MOST_BEHIND):
        read = step.next(wanted)
        step.asked(read)
        came = unit.ask(read)
        if came is None:
            return None, count
        answered, form = came
        ago = step.answered(form)
        if form != good_header(read) and form[1] < 0x80:
            return None, count
        if read == wanted:
            if form[1] >= 0x80:
                return None, count
            if ago == 0:
                return answered, count
    raise AssertionError("asked for ever")


@settings(deadline=None)
@given(BLOCKS, st.integers(1, MOST_BEHIND), st.integers(0, 10), st.data())
def test_however_far_behind_nothing_wrong_is_believed(
    blocks: list[Read], behind: int, well: int, data: st.DataObject
) -> None:
    refuses = frozenset(one for one in blocks if data.draw(st.booleans()))
    step, unit = Step(), Behind(refuses)
    for one in blocks:
        step.enrol(one)
    asked = [blocks[n % len(blocks)] for n in range(well + 40)]
    for number, wanted in enumerate(asked):
        unit.behind = behind if number >= well else 0
        taken, count = believed(step, unit, wanted)
        assert taken in (None, wanted)
        if number < well:
            assert count == 1
            assert taken == (None if wanted in refuses else wanted)
        elif number > well + behind:
            assert taken is None
    unit.is_itself_again()
    for _ in range(2):
        last = [believed(step, unit, one) for one in blocks]
    assert [taken for taken, _ in last] == [None if one in refuses else one for one in blocks]
    if refuses != set(blocks):  # refusals alone prove nothing
        assert {count for _, count in last} == {1}


@given(BLOCKS)
def test_after_one_lost_reply_there_is_at_most_one_request_more(blocks: list[Read]) -> None:
    for lost in blocks:
        step = Step()
        step.asked(step.next(lost))
        counts = [believed(step, Behind(frozenset()), one) for one in blocks]
        assert [taken for taken, _ in counts] == blocks
        assert sum(count for _, count in counts) <= len(blocks) + 1


@given(st.sampled_from(["holding", "coil"]), st.integers(0, 65_535), st.integers(1, 125))
@example("holding", 65_535, 1)
def test_what_is_asked_in_between_can_be_asked_and_has_another_form(table: Any, address: int, length: int) -> None:
    read = Read(1, table, min(address, 65_536 - length), length)
    step = Step()
    step.asked(read)
    other = step.next(read)
    assert encode(other)
    assert good_header(other) != good_header(read)
    assert other.unit == read.unit
    assert other.table == read.table


def behind_by(count: int, say: Callable[[bytes], bytes] = good) -> Callable[[bytes], Pieces]:
    """Return a unit that is so many replies behind after its sixth request."""
    held: deque[bytes] = deque()
    asked: list[bytes] = []

    def answer(request: bytes) -> Pieces:
        asked.append(request)
        held.append(say(request))
        return [] if len(asked) > 6 and len(held) <= count else [(0.0, held.popleft())]

    return answer


MIXED: dict[str, dict[str, Any]] = {**TWO, "c": {"address": 400, "type": "uint32"}}
MANNERS = {"every_s": 0.05, "timeout_s": 0.1, "backoff_max_s": 0.1}


@pytest.mark.parametrize("points", [TWO, MIXED, {"a": {"address": 0}}], ids=["two alike", "two lengths", "one"])
@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_unit_that_stays_behind_gives_no_value_and_says_why(points: Any, count: int) -> None:
    async with serial_server(behind_by(count)) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", points)
        async with running([device], framing="rtu", serial=SERIAL, **MANNERS) as run:
            await until(lambda: "is behind with its replies" in run.counters.links["m.meter"])
            before, asked = {name: len(run.values(f"m.{name}")) for name in points}, len(server.requests)
            await until(lambda: len(server.requests) > asked + 8)
            assert before == {name: len(run.values(f"m.{name}")) for name in points}
            assert run.counters.rejected
        for name, place in points.items():
            assert len(set(run.values(f"m.{name}"))) == 1, name
            assert place["address"] + 1000 in run.values(f"m.{name}") or name == "c"
        assert {Gap.NONE, Gap.TIMEOUT, Gap.MALFORMED} <= set(run.gaps("m"))


async def test_a_lost_reply_costs_one_question_and_the_unit_may_refuse_it() -> None:
    def say(request: bytes) -> Pieces:
        if len(server.requests) == 3:
            return []
        if int.from_bytes(request[4:6]) != 1:
            return [(0.0, sealed(bytes((request[0], request[1] | 0x80, 2))))]
        return [(0.0, good(request))]

    async with serial_server(say) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
        async with running([device], framing="rtu", serial=SERIAL, **MANNERS) as run:
            await until(lambda: len(run.values("m.b")) > 5)
        assert set(run.values("m.a")) == {1000.0}
        assert set(run.values("m.b")) == {1200.0}
        assert sum(int.from_bytes(request[4:6]) != 1 for request in server.requests) == 1
        assert set(run.gaps("m")) <= {Gap.TIMEOUT, Gap.BREAKER, Gap.NONE}


async def test_a_serial_server_that_holds_replies_back_is_connected_anew_and_in_step_again() -> None:
    held: deque[bytes] = deque()

    def say(request: bytes) -> Pieces:
        if server.connections > 1:
            return [(0.0, good(request))]
        held.append(good(request))
        return [(0.0, held.popleft())] if len(held) > 1 else []

    async with serial_server(say) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
        async with running([device], framing="rtu", serial=SERIAL, **MANNERS) as run:
            await until(lambda: len(run.values("m.b")) > 5)
            await until(lambda: run.counters.links["m.meter"] == "")
            assert server.connections == 2
        assert set(run.values("m.a")) == {1000.0}
        assert set(run.values("m.b")) == {1200.0}
