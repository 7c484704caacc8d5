"""Requests to one unit of a line and the forms of what comes back in; whether a reply can only be that to the last out.

RTU has no transaction numbers, and a serial server or a unit that is some replies behind answers every question with
the reply to an earlier one. What tells them apart is their form: function and length. So the forms of the requests that
may still be answered are kept, and a reply is believed only when none of them has its form. Where the next question has
the form of an earlier one, a question of another form goes before it: its reply proves that nothing is left over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from collectors.modbus_frames import ADDRESSES, BITS, Read, encode
from collectors.modbus_rtu import good_header

# A unit is taken to be at most this many replies behind.
MOST_BEHIND: Final = 8

Kind = bytes  # the three bytes before a reply's data: unit, function, length


class Step:
    """What a unit still owes."""

    def __init__(self) -> None:
        self._reads: dict[Kind, Read] = {}  # what it is asked anyway, one of each form
        self._open: deque[Read] = deque(maxlen=MOST_BEHIND + 1)  # asked and not answered for certain, the last one last

    def enrol(self, read: Read) -> None:
        """Know a read the unit is asked anyway."""
        self._reads.setdefault(good_header(read), read)

    def next(self, read: Read) -> Read:
        """Return what to ask so that `read` can be believed: itself, or what must be answered before it.

        Where no form is left that no earlier request has, the last one is asked again: its replies push out the others.
        """
        left_over = {good_header(one) for one in self._open}
        if good_header(read) not in left_over:
            return read
        others = [*self._reads.values(), *_like(read)]
        return next((one for one in others if good_header(one) not in left_over), self._open[-1])

    def asked(self, read: Read) -> None:
        """Note what has just been asked."""
        self._open.append(read)

    def answered(self, kind: Kind) -> int | None:
        """Note a reply; return how many requests ago what it answers may have been asked, None where nothing has been.

        0: it can only be that to the last. Replies come in the order of the requests, so those before the first that
        may be meant are lost. A refusal has one form whatever was asked of a function.
        """
        for place, one in enumerate(self._open):
            header = good_header(one)
            if kind == header or (kind[1] & 0x80 and kind[:2] == bytes((header[0], header[1] | 0x80))):
                ago = len(self._open) - 1 - place
                for _ in range(place + 1):
                    self._open.popleft()
                return ago
        return None


def _like(read: Read) -> Iterator[Read]:
    """Yield reads of the same place whose replies have other lengths, the least unusual first.

    Longer ones begin earlier where the table ends.
    """
    step = 8 if read.table in BITS else 1
    for length in (read.length - step, read.length - 2 * step, read.length + step, read.length + 2 * step):
        other = read._replace(length=length, address=min(read.address, ADDRESSES - length))
        try:
            encode(other)
        except ValueError:
            continue
        yield other
