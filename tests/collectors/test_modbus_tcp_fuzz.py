"""Captured Modbus TCP, cut, flipped and spliced: the wire accepts what a slow second reader accepts, nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.modbus_client import Exchange
from collectors.modbus_frames import BITS, Failure, Read
from collectors.modbus_plan import Place, compile_plan
from collectors.modbus_tcp import TcpWay, TcpWire
from pipeline.gaps import Gap
from tests.collectors.test_modbus_zeek import CAPTURES, capture

# Replies of real devices, and what was asked of the wire when they come: whatever the first whole one of them answers.
SEEDS = sorted({segment.payload for name in CAPTURES for segment in capture(name) if segment.source == 502})
FUNCTIONS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class Told(NamedTuple):
    """What became of what was received: answered, refused, broken or rejected, and with what."""

    what: str
    data: bytes = b""


class Listener:
    """Stands where a link does and notes what its wire tells it."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.in_use = True

    def enrol(self, owner: Any, read: Read) -> Any:
        return TcpWay("127.0.0.1", 502).form(read)

    def uses(self, wire: Any) -> bool:
        return self.in_use

    def rejected(self) -> None:
        self.told.append(Told("rejected"))

    def answered(self, exchange: Exchange, data: bytes) -> None:
        self.told.append(Told("answered", data))

    def refused(self, exchange: Exchange, failure: Failure) -> None:
        self.told.append(Told("refused"))

    def broken(self, failure: Failure) -> None:
        assert failure.cause is Gap.MALFORMED
        self.told.append(Told("broken"))
        self.in_use = False


class Deaf:
    """A transport whose other side is not there."""

    def write(self, data: bytes) -> None: ...


def second_reader(stream: bytes, read: Read, transaction: bytes) -> Iterator[Told]:
    """Yield what must become of a stream, by the words of the specification, frame by frame."""
    waiting = True
    while len(stream) >= 7:
        protocol, length = int.from_bytes(stream[2:4], "big"), int.from_bytes(stream[4:6], "big")
        if protocol or length < 2 or length > 254:
            yield Told("broken")
            return
        frame, rest = stream[: 6 + length], stream[6 + length :]
        if len(frame) < 6 + length:
            return
        stream = rest
        if not waiting or frame[:2] != transaction:
            yield Told("rejected")
            continue
        unit, function, body = frame[6], frame[7], frame[8:]
        good = unit == read.unit and FUNCTIONS.get(function) == read.table and body[:1] == bytes([read.size])
        if good and len(body) == 1 + read.size:
            waiting = False
            yield Told("answered", body[1:])
            continue
        if unit == read.unit and FUNCTIONS.get(function - 128) == read.table and len(body) == 1:
            waiting = False
            yield Told("refused")
            continue
        yield Told("broken")
        return


def asked_of(reply: bytes) -> Read:
    """Return the read that a reply answers, or one like it."""
    unit, function = (reply[6], reply[7] & 0x7F) if len(reply) > 8 else (1, 3)
    table: Any = FUNCTIONS.get(function, "holding")
    size = reply[8] if len(reply) > 8 and reply[8] else 2
    return Read(unit, table, 0, min(8 * size, 2_000) if table in BITS else max(1, min(size // 2, 125)))


def spoiled(noise: random.Random, frames: list[bytes], transaction: bytes) -> bytes:
    """Return frames with the number asked for here and there, bits flipped, bytes lost, doubled and put in between."""
    parts = [transaction + f[2:] if noise.random() < 0.6 else f for f in frames]
    stream = bytearray(b"".join(parts))
    for _ in range(noise.choice((0, 0, 1, 1, 2, 5))):
        if not stream:
            break
        at = noise.randrange(len(stream))
        deed = noise.choice(("flip", "lose", "double", "put", "cut"))
        if deed == "flip":
            stream[at] ^= 1 << noise.randrange(8)
        elif deed == "lose":
            del stream[at : at + noise.randrange(1, 9)]
        elif deed == "double":
            stream[at:at] = stream[at : at + noise.randrange(1, 30)]
        elif deed == "put":
            stream[at:at] = noise.randbytes(noise.randrange(1, 12))
        else:
            del stream[at:]
    return bytes(stream)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_wire_tells_what_the_second_reader_tells(frames: list[bytes], noise: random.Random) -> None:
    read = asked_of(noise.choice(frames))
    listener = Listener()
    wire = TcpWire(cast(Any, listener))
    wire.connection_made(cast(Any, Deaf()))
    wire.send(Exchange(cast(Any, None), read, cast(Any, listener)))
    transaction = (1).to_bytes(2, "big")
    stream = spoiled(noise, frames, transaction)
    at = 0
    while at < len(stream) and listener.in_use:
        size = noise.choice((1, 2, 5, 9, 40, 300, len(stream)))
        wire.data_received(stream[at : at + size])
        at += size
        assert len(wire._buffer) < 260 or not listener.in_use  # less than one frame is ever held
    assert listener.told == list(second_reader(stream, read, transaction))
    assert sum(told.what == "answered" for told in listener.told) <= 1


def test_most_seeds_answer_as_they_are() -> None:
    """The property above is not about noise alone: undisturbed, replies of the captures are answers."""
    whole = [s for s in SEEDS if len(s) > 9 and s[7] in FUNCTIONS and len(s) == 9 + s[8]]
    told = [next(second_reader(s, asked_of(s), s[:2])).what for s in whole]
    assert len(whole) >= 10
    assert told.count("answered") >= len(whole) // 2


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_reply_holds_each_number_is_that_of_its_own_bytes(seed: int) -> None:
    """Captured data of any length, cut to a block: no value ever comes from beyond its own registers."""
    noise = random.Random(seed)
    for reply in SEEDS[:: 1 + seed]:
        data = (reply[9:] + bytes(8))[:250]
        count = len(data) // 2
        if count < 4:
            continue
        spots = [Place("holding", a, 2, "uint32", "big", "big", None, ()) for a in range(0, count - 2, 2)]
        (block,) = compile_plan(spots).blocks
        raw = np.frombuffer(data[: 2 * block.count], np.uint8)[np.newaxis].copy()
        before, _ = block.decode(raw)
        at = noise.randrange(raw.shape[1])
        raw[0, at] ^= 0xFF
        after, _ = block.decode(raw)
        assert np.flatnonzero(before[0] != after[0]).tolist() == [at // 4]
