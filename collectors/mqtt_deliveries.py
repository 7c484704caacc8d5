"""Messages of QoS 1 by packet id → which are new, which the broker sends again; tokens that say so after a restart."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

# A broker that died may come back with a store of long ago, and send again what it was told of since.
_REMEMBERED: Final = 4_000
_FORM: Final = b"\x02"  # tokens of another form are those of an earlier version, which ended in order: none came again
_PACKETS: Final = 1 << 16  # packet ids there are
_DELIVERY: Final = struct.Struct("<HQ")  # packet id and digest: one message in a batch's token


class Delivery(NamedTuple):
    """One message: its packet id, and what it is known by."""

    packet: int
    digest: int


def delivery(packet: int, topic: str, payload: bytes) -> Delivery:
    """Return what a message is known by.

    64 bits: of 32 bits, one message in a million that is sent again passes for one of 4,000 committed, and is lost.
    """
    digest = blake2b(topic.encode() + b"\0" + payload, digest_size=8).digest()
    return Delivery(packet, int.from_bytes(digest, "little"))


def token(deliveries: Iterable[Delivery]) -> bytes:
    """Return what tells, after a restart, which messages a batch was made of."""
    return _FORM + b"".join(_DELIVERY.pack(*one) for one in deliveries)


class Deliveries:
    """What came and is not acknowledged yet, and what is committed: the last of each packet id, the last few of all.

    `states_time` says whether payloads of a topic state their time.
    """

    def __init__(self, most: int, states_time: Callable[[str], bool]) -> None:
        self._most = max(2 * most, _REMEMBERED)
        self._states_time = states_time
        # By packet id, the digest of what is committed, 0: nothing. Acknowledgements may be lost by the thousand, and
        # some brokers keep to no receive maximum when they send again: any id may be one of these.
        self._committed = array("Q", bytes(8 * _PACKETS))
        self._seen: dict[int, None] = {}  # digests of the last that were committed, at most twice `most` or _REMEMBERED
        self.forget()

    def forget(self) -> None:
        """Forget what is not committed: it comes again."""
        self._waiting: list[Delivery] = []  # in the next batch
        self._unacked: list[int] = []  # packet ids to acknowledge after it, committed duplicates included
        self._pending: dict[int, int] = {}  # packet id → digest of all that is taken and not yet acknowledged

    @property
    def unacknowledged(self) -> int:
        """How many messages wait for the next batch to be committed."""
        return len(self._unacked)

    def resume(self, batch_token: bytes) -> None:
        """Remember the deliveries of a batch committed by a process before this one."""
        if batch_token.startswith(_FORM) and len(batch_token) % _DELIVERY.size == len(_FORM):
            self.committed([Delivery(*one) for one in _DELIVERY.iter_unpack(batch_token[len(_FORM) :])], ())

    def begin_anew(self) -> bool:
        """Forget all packet ids that are committed, for they begin anew; True when there was any.

        What a message is stays known: whoever published it may do so again where the broker had no time to answer.
        """
        known = any(self._committed)
        self._committed = array("Q", bytes(8 * _PACKETS))
        return known

    def is_new(self, one: Delivery, topic: str, *, dup: bool) -> bool:
        """Take one message; False where it is one sent again: to be acknowledged, and passed over.

        A broker keeps the packet id of what it sends again and flags it DUP; some, restarted, do neither. So a payload
        that states its time is the same reading wherever it is the same bytes; without one it may be another.
        """
        if self._pending.get(one.packet) == one.digest:
            return False  # until it is acknowledged, this packet id is no other message's
        self._unacked.append(one.packet)
        self._pending[one.packet] = one.digest
        again = dup and self._committed[one.packet] == one.digest
        if again or (one.digest in self._seen and self._states_time(topic)):
            return False
        # The broker uses this packet id for another message now, so the old one is done with.
        self._committed[one.packet] = 0
        self._waiting.append(one)
        return True

    def take(self) -> tuple[list[Delivery], list[int]]:
        """Return the deliveries of the next batch, and the packet ids to acknowledge after it."""
        taken = self._waiting, self._unacked
        self._waiting, self._unacked = [], []
        return taken

    def committed(self, deliveries: Sequence[Delivery], packets: Sequence[int]) -> None:
        """Note that a batch is committed; its packet ids may be acknowledged now."""
        for packet, digest in deliveries:
            self._committed[packet] = digest
            self._seen[digest] = None
        for digest in list(self._seen)[: -self._most]:
            del self._seen[digest]
        for packet in packets:
            self._pending.pop(packet, None)
