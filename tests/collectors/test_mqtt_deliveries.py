"""Messages sent again are told from new ones: by packet id and by what they are, before and after a restart."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest

from collectors.mqtt_deliveries import Deliveries, delivery, token

TOPIC = "plant/messages"


def said(seq: int) -> bytes:
    return b'{"seq":%d,"time":%d}' % (seq, 1_795_434_576_000_000_000 + 10_007 * seq)


def deliveries(*, timed: bool = True) -> Deliveries:
    return Deliveries(200, lambda _: timed)


def commit(some: Deliveries, numbers: range, first_packet: int = 1) -> bytes:
    """Take and commit messages; return their batch's token."""
    for packet, seq in enumerate(numbers, first_packet):
        assert some.is_new(delivery(packet, TOPIC, said(seq)), TOPIC, dup=False)
    taken, packets = some.take()
    some.committed(taken, packets)
    return token(taken)


def alike_in_32_bits() -> tuple[int, int]:
    """Return two messages of equal CRC-32, as there is one pair in 65,000 or so."""
    seen: dict[int, int] = {}
    for seq in range(1_000_000):
        crc = crc32(said(seq), crc32(TOPIC.encode()))
        if crc in seen:
            return seen[crc], seq
        seen[crc] = seq
    raise AssertionError


@pytest.mark.parametrize("restarted", [False, True])
def test_a_message_sent_again_is_never_taken_for_another_that_is_committed(restarted: bool) -> None:
    one, other = alike_in_32_bits()
    before = deliveries()
    batch_token = commit(before, range(one, one + 1))
    after = deliveries() if restarted else before
    after.resume(batch_token)
    assert after.is_new(delivery(2, TOPIC, said(other)), TOPIC, dup=True)


@pytest.mark.parametrize("timed", [False, True])
def test_after_a_restart_what_was_committed_is_passed_over_and_acknowledged(timed: bool) -> None:
    batch_token = commit(deliveries(timed=timed), range(10))
    again = deliveries(timed=timed)
    again.resume(batch_token)
    for packet in range(1, 11):
        assert not again.is_new(delivery(packet, TOPIC, said(packet - 1)), TOPIC, dup=True)
    assert again.is_new(delivery(11, TOPIC, said(10)), TOPIC, dup=True)
    waiting, packets = again.take()
    assert [one.packet for one in waiting] == [11]
    assert packets == list(range(1, 12))


@pytest.mark.parametrize("timed", [False, True])
def test_of_any_packet_id_what_was_committed_last_is_known(timed: bool) -> None:
    """A broker may send all again of which no acknowledgement has come, however much that is."""
    some = deliveries(timed=timed)
    commit(some, range(65_535))
    for packet in range(1, 65_536):
        assert not some.is_new(delivery(packet, TOPIC, said(packet - 1)), TOPIC, dup=True)
    assert len(some.take()[1]) == 65_535


@pytest.mark.parametrize(("timed", "new"), [(True, False), (False, True)])
def test_by_a_broker_that_numbers_anew_only_a_stated_time_tells(timed: bool, new: bool) -> None:
    """Without one, the same bytes may be another reading."""
    some = deliveries(timed=timed)
    some.resume(commit(deliveries(timed=timed), range(3)))
    assert some.is_new(delivery(40, TOPIC, said(1)), TOPIC, dup=True) is new


@pytest.mark.parametrize("earlier", [b"", struct.pack("<HI", 2, 7) * 5, b"\x02\x00"])
def test_a_token_of_an_earlier_version_says_nothing(earlier: bytes) -> None:
    some = deliveries()
    some.resume(earlier)
    assert some.is_new(delivery(2, TOPIC, said(1)), TOPIC, dup=True)
