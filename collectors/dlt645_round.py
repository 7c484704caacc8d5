"""The meters of one line, each with its period, enter; their values and gap rows leave, in turns that are fair."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from collectors.dlt645_frames import meter_bytes
from collectors.dlt645_line import Failed, Line
from collectors.dlt645_plan import Question, Unfit
from collectors.line_rest import MEET_S, Rest
from collectors.rows import Rows
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.quality import BAD, GOOD, RANGE

log = logging.getLogger("tanflow.collector")

HELD_ROWS: Final = 200_000
# Failures of what the meter itself was asked, not of its line.
_OF_METER: Final = (Gap.TIMEOUT, Gap.MALFORMED, Gap.DISCONNECTED)


class Meter:
    """A device of the connection: what to ask, how often, and how it has been."""

    def __init__(self, index: int, digits: str, period_s: float, asked: Sequence[Question]) -> None:
        self.index = index  # its number among the connection's devices
        self.address = meter_bytes(digits)
        self.period_s = period_s  # on the wall
        self.questions = asked
        self.first = 0  # where the next cycle begins: where the last one was stopped
        self.asked = 0  # questions of this cycle
        self.late = False
        self.trouble: Failed | None = None  # the first of this cycle
        self.slow_s = math.inf  # with its last answer, beyond what the standard gives it [s]
        self.silent = False
        self.withheld = False
        self.state = ""


class Round:
    """Asks the meters of one line when they are due, question by question in turn, the one that waits longest first.

    A refused question leaves the others of its cycle standing, silence ends it. Silent meters rest, and those that take
    longer than they may pay for it (see line_rest); the turns they miss meanwhile are gap rows.
    """

    def __init__(self, line: Line, rows: Rows, clock: Clock, counters: Counters, told: Callable[[], None]) -> None:
        self.meters: list[Meter] = []
        self._line = line
        self._rest = Rest(line.backoff_max_s)
        self._rows = rows
        self._counters = counters
        self._clock = clock
        self._told = told
        self._due: list[tuple[float, int]] = []
        self._asking: deque[Meter] = deque()  # those in a cycle, the next one first

    def enrol(self, meter: Meter) -> None:
        """Take a meter into the round."""
        self.meters.append(meter)
        self._rest.enrol(meter, self._line.deadline_s)

    def schedule(self) -> None:
        """Spread meters of equal period evenly over it; slow ones are met within MEET_S all the same."""
        start = time.monotonic()
        of_period = Counter(meter.period_s for meter in self.meters)
        placed: Counter[float] = Counter()
        for number, meter in enumerate(self.meters):
            share = placed[meter.period_s] / of_period[meter.period_s]
            placed[meter.period_s] += 1
            self._due.append((start + share * min(meter.period_s, MEET_S), number))
        heapq.heapify(self._due)

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            self._call(time.monotonic())
            if self._asking:
                meter = self._asking.popleft()
                if await self._ask(meter):
                    self._asking.append(meter)
            else:
                await asyncio.sleep(max(0.0, self._due[0][0] - time.monotonic()))
            self._told()

    def _call(self, now: float) -> None:
        """Begin the cycles that are due."""
        while self._due[0][0] <= now:
            due, number = self._due[0]
            meter = self.meters[number]
            passed = int((now - due) // meter.period_s)
            heapq.heapreplace(self._due, (due + (passed + 1) * meter.period_s, number))
            if meter in self._asking:
                self._overdue(meter)
            else:
                self._begin(meter, late=passed > 0)

    def _begin(self, meter: Meter, *, late: bool) -> None:
        if len(self._rows) >= HELD_ROWS:
            meter.withheld = True
            return
        if meter.withheld:
            meter.withheld = False
            self._gap(meter, Failed(Gap.STOPPED, "too much waited for commit"))
        if not self._rest.allows(meter, time.monotonic()):
            self._gap(meter, Failed(Gap.BREAKER, self._counters.links[self._rows.name(meter.index)]))
            return
        self._counters.retried += self._rest.failures(meter) > 0
        meter.asked, meter.late, meter.trouble = 0, False, None
        if late:
            self._overdue(meter)
        self._asking.append(meter)

    def _overdue(self, meter: Meter) -> None:
        """Account for a cycle that fell due while the one before was not over."""
        meter.late = True
        self._gap(meter, Failed(Gap.MISSED, self._too_busy(meter)))

    def _too_busy(self, meter: Meter) -> str:
        return f"the line {self._line.name} is too busy for its period of {meter.period_s:g} s"

    # ── one cycle ─────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, meter: Meter) -> bool:
        """Ask the next question; return whether the cycle goes on."""
        question = meter.questions[(meter.first + meter.asked) % len(meter.questions)]
        asked = time.monotonic()
        try:
            data = await self._line.read(meter.address, question.identifier)
        except Failed as error:
            told = Failed(error.cause, f"{question.name}: {error.words}")
            if error.cause is not Gap.EXCEPTION:
                self._silent(meter, told, asked)
                return False
            meter.trouble = meter.trouble or told
        else:
            meter.trouble = self._take(question, data) or meter.trouble
        meter.asked += 1
        return self._paid(meter)

    def _paid(self, meter: Meter) -> bool:
        """Charge an answer that came late; return whether the cycle goes on, having ended it where it does not."""
        now, meter.slow_s = time.monotonic(), self._line.slow_s
        self._rest.answered(meter)
        # A way on which all are slow holds nobody up: the quickest meter says what its own share is.
        held_up_s = meter.slow_s - min(one.slow_s for one in self.meters)
        if held_up_s > 0:
            self._rest.delayed(meter, held_up_s, now)
        if meter.asked == len(meter.questions):
            meter.first = 0
            self._answered(meter)
            return False
        if self._rest.allows(meter, now):
            return True
        meter.first = (meter.first + meter.asked) % len(meter.questions)
        meter.silent = False
        words = f"takes longer than a meter may, last by {held_up_s:.1f} s; goes on when others have had their share"
        self._gap(meter, Failed(Gap.BREAKER, words))
        self._say(meter, "delaying", words)
        return False

    def _answered(self, meter: Meter) -> None:
        """Account for a cycle that was answered to its end."""
        self._rest.well(meter)
        meter.silent = False
        now_ns = self._clock.now_ns()
        if meter.trouble:
            self._gap(meter, meter.trouble)
            self._say(meter, meter.trouble.cause.name, meter.trouble.words)
        elif meter.late:
            self._rows.heard(meter.index, now_ns)
            self._say(meter, "slow", self._too_busy(meter))
        else:
            self._rows.answered(meter.index, now_ns)
            self._say(meter, "well", "")

    def _take(self, question: Question, data: bytes) -> Failed | None:
        """Add the values of an answer; return what is wrong with the first that is not as its point says."""
        now_ns = self._clock.now_ns()
        question.answer, question.answered_ns, question.took_s = data, now_ns, self._line.took_s
        wrong = None
        for field in question.fields:
            try:
                value = field.read(data)
            except Unfit as error:
                wrong = wrong or Failed(Gap.MALFORMED, f"{question.name}: {error}")
            else:
                self._rows.add(now_ns, field.series, value, GOOD if value == value else BAD | RANGE)
        return wrong

    def _silent(self, meter: Meter, failure: Failed, asked: float) -> None:
        meter.silent, meter.slow_s = True, math.inf
        state, words, now = failure.cause.name, failure.words, time.monotonic()
        if failure.cause in _OF_METER:
            self._rest.waited(meter, now - asked, now)
            if failure.cause is Gap.DISCONNECTED and self._rest.line_is_down:
                self._line.rest(Failed(Gap.REFUSED, words))
        if failure.cause in _OF_METER and self._rest.failed(meter, now):
            state, words = "resting", f"{words}; rests between attempts, up to {self._line.backoff_max_s:g} s"
        self._gap(meter, failure)
        self._say(meter, state, words)

    def _gap(self, meter: Meter, failure: Failed) -> None:
        self._rows.missed(meter.index, failure.cause, self._clock.now_ns(), failure.words)

    def _say(self, meter: Meter, state: str, words: str) -> None:
        """Keep what is wrong current, and say it once when it changes."""
        name = self._rows.name(meter.index)
        self._counters.links[name] = words
        (self._counters.slow.add if state == "slow" else self._counters.slow.discard)(name)
        if words:
            self._counters.last_error = f"{name}: {words}"
        if state != meter.state:
            meter.state = state
            log.log(
                logging.WARNING if words else logging.INFO, "%s on %s: %s", name, self._line.name, words or "answers"
            )
