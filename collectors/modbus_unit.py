"""One Modbus unit: its cycles in; replies for the inbox out, and a gap row with the cause where there are none."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Final

from collectors.modbus_client import Exchange, Link
from collectors.modbus_frames import Failure, Read
from collectors.modbus_inbox import Inbox, Tray
from collectors.modbus_plan import decode_text
from config.protocols.modbus import Order
from pipeline.clock import Clock
from pipeline.counters import Counters
from pipeline.gaps import Gap

log = logging.getLogger("tanflow.collector")

_SLOW: Final = 5  # late cycles in a row from which on a unit is called slow: a busy machine is late now and then
# Failures of what the unit itself was asked, not of the connection it shares.
_OF_UNIT: Final = (Gap.TIMEOUT, Gap.MALFORMED, Gap.DISCONNECTED)


class Roll:
    """The units of a connection and how they are: keeps the counters' links, state and words current."""

    def __init__(self, counters: Counters, names: Sequence[str]) -> None:
        self.counters = counters
        self._ill: set[str] = set()
        self._silent: set[str] = set()
        self._all = len(names)
        counters.links = dict.fromkeys(names, "")

    def report(self, name: str, words: str, *, silent: bool, slow: bool) -> None:
        """Say what is wrong with a unit now, nothing when it is well; `silent` when it gives no values at all."""
        self.counters.links[name] = words
        (self.counters.slow.add if slow else self.counters.slow.discard)(name)
        if words:
            self.counters.last_error = f"{name}: {words}"
        for units, belongs in ((self._ill, bool(words)), (self._silent, silent)):
            (units.add if belongs else units.discard)(name)
        down = len(self._silent) == self._all
        self.counters.state = "down" if down else "degraded" if self._ill else "running"


class BlockExchange(Exchange):
    """The reading of a block of values (`tray`, `row`) or of one string that tells the device apart (`text`)."""

    __slots__ = ("answer", "answered_ns", "row", "text", "tray")

    def __init__(
        self, unit: Unit, read: Read, tray: Tray | None = None, row: int = 0, text: tuple[str, Order] = ("", "big")
    ) -> None:
        super().__init__(unit, read, unit.link)
        self.tray = tray
        self.row = row
        self.text = text
        self.answer = b""  # the last one's registers or bits, for whoever commissions
        self.answered_ns = 0


class Unit:
    """A device at an address. A cycle asks block after block; a failed block leaves the others standing.

    Without an answer in time the rest of the cycle is not asked; after BREAKER such cycles the unit rests, longer
    each time (see line_rest), and costs its link one deadline per attempt. Rows of a cycle: values with the time of
    receipt, or one gap row over the time since the unit was last accounted for.
    """

    __slots__ = (
        "_asking",
        "_at_ease",
        "_block_failure",
        "_cause",
        "_clock",
        "_gap_series",
        "_inbox",
        "_known_ns",
        "_late",
        "_met",
        "_overrun_ns",
        "_place",
        "_roll",
        "_said",
        "_state",
        "_texts",
        "_withheld",
        "due_s",
        "first_slot_s",
        "identity",
        "link",
        "name",
        "period_s",
        "values",
    )

    def __init__(
        self, name: str, link: Link, period_s: float, gap_series: int, inbox: Inbox, clock: Clock, roll: Roll
    ) -> None:
        self.name = name
        self.period_s = period_s  # on the wall
        self.first_slot_s = 0.0  # its place in the regular schedule, which the very first cycle may precede
        self.due_s = 0.0  # when its next cycle begins [s monotonic]
        self.values: tuple[BlockExchange, ...] = ()
        self.identity: tuple[BlockExchange, ...] = ()
        self.link = link
        self._gap_series = gap_series
        self._inbox = inbox
        self._clock = clock
        self._roll = roll
        self._asking: Sequence[BlockExchange] = ()  # of this cycle; empty: no cycle is under way
        self._place = 0  # of the one that is asked now
        self._block_failure: Failure | None = None
        self._overrun_ns = 0  # the last cycle that fell due while one was under way
        self._late = 0  # cycles in a row that took longer than the period
        self._withheld = False
        self._met = False
        self._at_ease = False  # the last cycle was answered to its end, and nothing has come between since
        self._texts: dict[str, str] = {}
        self._known_ns = clock.now_ns()
        self._cause: Gap | None = None  # of the last gap row; None: what went before this start is unknown
        self._state = ""
        self._said = "no answer yet"

    def cycle(self, *, accepting: bool) -> None:
        """Begin a cycle that is due now, or account for why not."""
        if self._asking:
            self._overrun_ns = self._clock.now_ns()
            self._at_ease = False
        elif not accepting:
            self._withheld = True
        else:
            if self._withheld:
                self._withheld = False
                self._gap(Gap.STOPPED, self._clock.now_ns())
            self._begin()

    def skipped(self) -> None:
        """Account for cycles the gateway itself let pass."""
        if not self._asking:
            self._gap(Gap.MISSED, self._clock.now_ns())

    def answered(self, exchange: BlockExchange, data: bytes, at_s: float) -> None:
        now_ns = self._clock.at(at_s)
        exchange.answer, exchange.answered_ns = data, now_ns
        if exchange.tray is not None:
            self._inbox.reply(exchange.tray, data, now_ns, exchange.row)
        else:
            self._identify(exchange, data)
        if self._at_ease and exchange is self._asking[-1]:  # as mostly
            self._asking, self._known_ns = (), now_ns
        else:
            self._go_on(now_ns)

    def failed(self, exchange: BlockExchange, failure: Failure) -> None:
        self._at_ease = False
        if failure.cause is not Gap.EXCEPTION:
            self._end(failure, self._clock.now_ns())
            return
        if exchange.tray is not None and self._block_failure is None:
            self._block_failure = failure
        self._go_on(self._clock.now_ns())

    def _begin(self) -> None:
        self._block_failure = None
        self._asking = self.values if self._met and self.values else (*self.identity, *self.values)
        self._place = 0
        self.link.ask(self._asking[0])

    def _go_on(self, now_ns: int) -> None:
        self._place += 1
        if self._place < len(self._asking):
            self.link.ask(self._asking[self._place])
        else:
            self._end(self._block_failure, now_ns)

    def _end(self, failure: Failure | None, now_ns: int) -> None:
        self._asking = ()
        overrun_ns, self._overrun_ns = self._overrun_ns, 0
        self._met = failure is None or failure.cause is Gap.EXCEPTION
        if self.link.rest.failures(self):
            self._roll.counters.retried += not (failure and failure.cause is Gap.BREAKER)
            if self._met:
                self.link.rest.well(self)
        if failure is not None:
            self._fail(failure, now_ns)
        elif overrun_ns:
            self._gap(Gap.MISSED, overrun_ns)
            self._known_ns = now_ns  # its values have come since: the next gap does not reach back over them
            self._late += 1
            if self._late >= _SLOW or self._state not in ("", "well"):
                self._turn("slow", f"takes longer to answer than its period of {self.period_s:g} s")
        else:
            self._well(now_ns)

    def _fail(self, failure: Failure, now_ns: int) -> None:
        self._gap(failure.cause, now_ns)
        if failure.cause is Gap.BREAKER:  # not asked: what is known of it is as old as before
            self._turn("resting", f"{self._said}; rests between attempts")
            return
        self._said = failure.words
        if failure.cause in _OF_UNIT and self.link.rest.failed(self, time.monotonic()):
            words = f"{failure.words}; rests between attempts, up to {self.link.backoff_max_s:g} s"
            self._turn("resting", words)
        elif self._state != "resting":
            self._turn(failure.cause.name, failure.words)

    def _well(self, now_ns: int) -> None:
        self._known_ns = now_ns
        self._late = 0
        if self._cause is not Gap.NONE:
            self._cause = Gap.NONE
            self._inbox.gap(self._gap_series, Gap.NONE, now_ns, 0)
        if self._state != "well":
            self._turn("well", "")
        self._at_ease = True

    def _gap(self, cause: Gap, now_ns: int) -> None:
        span_ns, self._known_ns = max(0, now_ns - self._known_ns), now_ns
        self._cause = cause
        self._at_ease = False
        self._inbox.gap(self._gap_series, cause, now_ns, span_ns)
        self._roll.counters.miss(self.name)

    def _turn(self, state: str, words: str) -> None:
        """Keep what is wrong current, and say it once when it changes."""
        self._roll.report(self.name, words, silent=bool(words) and not self._met, slow=state == "slow")
        if state == self._state:
            return
        self._state = state
        if words:
            log.warning("%s on %s: %s", self.name, self.link.name, words)
        else:
            told = ", ".join(f"{key} {text}" for key, text in self._texts.items())
            log.info("%s on %s answers%s", self.name, self.link.name, f" ({told})" if told else "")

    def _identify(self, exchange: BlockExchange, data: bytes) -> None:
        point, byte_order = exchange.text
        text = decode_text(data, byte_order)
        before = self._texts.get(point, text)
        if before != text:
            log.warning("%s on %s: %s was %r and is now %r", self.name, self.link.name, point, before, text)
        self._texts[point] = text
