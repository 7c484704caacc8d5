"""Modbus RTU on real lines: socat pairs and serial servers; only the right reply is taken, every miss has its cause."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.protocols.serial import Serial
from pipeline.gaps import Gap
from simulators.faults import Link
from simulators.registers import Block
from simulators.serve_modbus import Unit
from simulators.serve_modbus_rtu import RtuPort, RtuServer
from tests.interop import saw
from tests.peers.line_rig import Cable, Pieces, good, sealed, serial_server
from tests.peers.modbus_rig import bound, running
from tests.waiting import until

TWO: dict[str, dict[str, Any]] = {"a": {"address": 0}, "b": {"address": 200}}  # two reads of equal shape
SERIAL = {"baudrate": 115_200, "parity": "N"}


def numbered(number: int) -> Unit:
    """Return a unit whose holding register n holds 200 × number + n."""
    data = b"".join((200 * number + n).to_bytes(2) for n in range(300))
    return Unit({"holding": Block(0, 300, data)})


def line_at(port: str) -> Serial:
    return Serial(port=port, baudrate=115_200, parity="N")


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_units_on_a_serial_port(run_loop: Callable[..., None], tmp_path: Path) -> None:
    async def story() -> None:
        async with Cable(tmp_path) as cable, RtuPort(line_at(cable.far), {u: numbered(u) for u in (1, 2, 247)}) as line:
            devices = [bound(f"m{u}", str(u), TWO) for u in (1, 2, 247)]
            async with running(devices, framing="rtu", serial=SERIAL | {"port": cable.near}) as run:
                await until(lambda: all(len(run.values(f"m{u}.b")) > 2 for u in (1, 2, 247)))
            for u in (1, 2, 247):
                assert set(run.values(f"m{u}.a")) == {200.0 * u}
                assert set(run.values(f"m{u}.b")) == {200.0 * u + 200}
                assert run.gaps(f"m{u}") == [Gap.NONE]
            assert set(line.requests) == {3}
            assert not line.write_attempts

    run_loop(story())


async def test_forty_units_of_which_four_are_dead(tmp_path: Path) -> None:
    dead = {7, 8, 21, 40}
    units = {u: numbered(u) for u in range(1, 41) if u not in dead}
    async with Cable(tmp_path) as cable, RtuPort(line_at(cable.far), units, paced=True, turnaround_s=0.002) as line:
        devices = [bound(f"m{u}", str(u), {"a": {"address": 0}}) for u in range(1, 41)]
        serial = SERIAL | {"port": cable.near}
        async with running(devices, framing="rtu", serial=serial, every_s=1.0, timeout_s=0.5) as run:
            await until(lambda: all(run.values(f"m{u}.a") for u in units))
            await until(lambda: all(Gap.BREAKER in run.gaps(f"m{u}") for u in dead))
            before, cycles = dict(line.asked), 12
            await until(lambda: all(line.asked[u] >= before[u] + cycles for u in units))
            attempts = sum(line.asked[u] - before.get(u, 0) for u in dead)
        for u in units:
            assert set(run.values(f"m{u}.a")) == {200.0 * u}
            assert run.gaps(f"m{u}") == [Gap.NONE]
        for u in dead:
            assert not run.values(f"m{u}.a")
            assert set(run.gaps(f"m{u}")) == {Gap.TIMEOUT, Gap.BREAKER}
        # At most a tenth of the time: of a period for each of the four in turn one attempt in ten deadlines.
        asked = max(line.asked[u] - before[u] for u in units)
        assert attempts * 0.5 <= 0.1 * asked + 4 * 0.5
        saw("Modbus RTU", "socat pair", "40 units of which 4 dead", "36 read, each miss of the 4 with its cause")


async def test_a_late_reply_is_never_taken_for_the_next() -> None:
    chance = random.Random(4)

    def say(request: bytes) -> Pieces:
        return [(chance.choice((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.16, 0.2)), good(request))]

    async with serial_server(say) as server:
        devices = [bound(f"m{u}", f"127.0.0.1:{server.port}/{u}", TWO) for u in (1, 2)]
        async with running(devices, framing="rtu", serial=SERIAL, every_s=0.05, timeout_s=0.08) as run:
            await until(lambda: len(run.values("m1.b")) > 5 and len(run.values("m2.b")) > 5)
            await until(lambda: run.counters.rejected >= 3)
        for u in (1, 2):
            assert set(run.values(f"m{u}.a")) == {1000.0 * u}
            assert set(run.values(f"m{u}.b")) == {1000.0 * u + 200}
            assert {Gap.TIMEOUT, Gap.BREAKER, Gap.NONE} >= set(run.gaps(f"m{u}"))


async def test_the_next_unit_is_read_while_a_reply_of_the_last_is_late() -> None:
    def say(request: bytes) -> Pieces:
        return [(0.3 if request[0] == 9 else 0.0, good(request))]

    async with serial_server(say) as server:
        at = f"127.0.0.1:{server.port}"
        devices = [bound("slow", f"{at}/9", TWO), bound("well", f"{at}/1", TWO)]
        async with running(devices, framing="rtu", serial=SERIAL, timeout_s=0.15) as run:
            await until(lambda: len(run.values("well.b")) > 10 and run.counters.rejected)
        assert set(run.values("slow.a")) <= {9000.0}
        assert run.gaps("well") == [Gap.NONE]
        assert {Gap.TIMEOUT, Gap.BREAKER} <= set(run.gaps("slow"))


def in_pieces(request: bytes) -> Pieces:
    return [(0.005, bytes([byte])) for byte in good(request)]


@pytest.mark.parametrize(
    "say",
    [
        in_pieces,
        lambda request: [(0.0, b"\x00\xff\x00"), (0.02, good(request))],
        lambda request: [(0.0, request), (0.02, good(request))],
        lambda request: [(0.0, request + good(request))],
        lambda request: [(0.0, good(request) + b"\x00")],
        lambda request: [(0.0, good(request)[:5]), (0.2, good(request)[5:])],
    ],
    ids=["byte by byte", "noise before", "echo", "echo and reply in one", "noise after", "a pause within"],
)
async def test_a_good_reply_is_found(say: Callable[[bytes], Pieces]) -> None:
    async with serial_server(say) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
        async with running([device], framing="rtu", serial=SERIAL, timeout_s=5) as run:
            await until(lambda: len(run.values("m.b")) > 2)
        assert set(run.values("m.a")) == {1000.0}
        assert set(run.values("m.b")) == {1200.0}
        assert set(run.gaps("m")) <= {Gap.NONE}


def bad_crc(request: bytes) -> bytes:
    return good(request)[:-1] + bytes([good(request)[-1] ^ 1])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (bad_crc, "the reply's CRC is wrong"),
        (lambda request: sealed(b"\x05" + good(request)[1:-2]), "unit 5 answered instead of 1"),
        (lambda request: sealed(good(request)[:1] + b"\x04" + good(request)[2:-2]), "answer to function 4 instead of"),
        (lambda request: sealed(good(request)[:2] + b"\x04\0\0\0\0"), "4 bytes of data (4 announced) instead of 2"),
        (lambda _: b"GET / HTTP/1.1\r\n\r\n", "18 bytes that are no reply: 47 45"),
    ],
    ids=["crc", "unit", "function", "length", "http"],
)
async def test_a_wrong_reply_is_malformed_and_the_line_stays_open(spoil: Callable[[bytes], bytes], words: str) -> None:
    spoilt: list[str] = []

    def say(request: bytes) -> Pieces:
        if len(spoilt) < 2:
            spoilt.append("")
            return [(0.0, spoil(request))]
        return [(0.0, good(request))]

    async with serial_server(say) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
        async with running([device], framing="rtu", serial=SERIAL) as run:
            await until(lambda: run.counters.links["m.meter"])
            assert words in run.counters.links["m.meter"]
            await until(lambda: run.values("m.b"))
        assert run.gaps("m")[0] == Gap.MALFORMED
        assert set(run.values("m.a")) == {1000.0}
        assert set(run.values("m.b")) == {1200.0}
        assert server.connections == 1


async def test_a_port_that_goes_away_is_opened_again(tmp_path: Path) -> None:
    cable = Cable(tmp_path)
    device = bound("m", "1", TWO)
    serial = SERIAL | {"port": cable.near}
    async with running([device], framing="rtu", serial=serial, backoff_max_s=0.2) as run:
        await until(lambda: Gap.REFUSED in run.gaps("m"))
        assert "does not exist: is the adapter plugged in?" in run.counters.links["m.meter"]
        for _ in range(2):
            async with cable, RtuPort(line_at(cable.far), {1: numbered(1)}):
                before = len(run.values("m.b"))
                await until(lambda n=before: len(run.values("m.b")) > n + 2)  # type: ignore[misc]
                await until(lambda: run.counters.links["m.meter"] == "")
            await until(lambda: run.counters.links["m.meter"])
    assert set(run.gaps("m")) <= {Gap.REFUSED, Gap.DISCONNECTED, Gap.TIMEOUT, Gap.BREAKER, Gap.NONE}
    assert {Gap.REFUSED, Gap.NONE} <= set(run.gaps("m"))


async def test_a_port_in_use_says_so(tmp_path: Path) -> None:
    async with (
        Cable(tmp_path) as cable,
        RtuPort(line_at(cable.near)),
        running([bound("m", "1", TWO)], framing="rtu", serial=SERIAL | {"port": cable.near}) as run,
    ):
        await until(lambda: run.gaps("m"))
        assert "is in use by another program" in run.counters.links["m.meter"]


async def test_a_serial_server_that_resets_is_connected_again() -> None:
    async with serial_server(lambda request: [(0.0, good(request))]) as server:
        device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
        async with running([device], framing="rtu", serial=SERIAL) as run:
            for times in range(1, 4):
                before = len(run.values("m.b"))
                await until(lambda n=before: len(run.values("m.b")) > n + 2)  # type: ignore[misc]
                assert server.connections == times
                for writer in list(server.writers):
                    writer.transport.abort()
                await until(lambda n=times: server.connections > n)  # type: ignore[misc]
        assert set(run.values("m.b")) == {1200.0}


async def test_units_through_a_serial_server_with_faults() -> None:
    units = {u: numbered(u) for u in range(1, 6)}
    units[2].link, units[3].link = Link(exception=4), Link(drop="silent")
    async with RtuServer(units=units) as server:
        devices = [bound(f"m{u}", f"127.0.0.1:{server.port}/{u}", TWO) for u in range(1, 7)]
        async with running(devices, framing="rtu", serial=SERIAL) as run:
            await until(lambda: all(len(run.values(f"m{u}.b")) > 5 for u in (1, 4, 5)))
            await until(lambda: all(Gap.BREAKER in run.gaps(f"m{u}") for u in (3, 6)))
        assert set(run.gaps("m2")) == {Gap.EXCEPTION}
        assert all(set(run.gaps(f"m{u}")) == {Gap.TIMEOUT, Gap.BREAKER} for u in (3, 6))
        assert all(run.gaps(f"m{u}") == [Gap.NONE] for u in (1, 4, 5))


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_fuzzed_replies_never_stop_it(run_loop: Callable[..., None], answers: list[bytes]) -> None:
    async def story() -> None:
        given_ = iter(answers)

        def say(request: bytes) -> Pieces:
            return [(0.0, next(given_, None) or good(request))]

        async with serial_server(say) as server:
            device = bound("m", f"127.0.0.1:{server.port}/1", TWO)
            manners = {"every_s": 0.02, "timeout_s": 0.05, "backoff_max_s": 0.02}
            async with running([device], framing="rtu", serial=SERIAL, **manners) as run:
                await until(lambda: run.values("m.b"))
            assert set(run.values("m.a")) == {1000.0}
            assert set(run.values("m.b")) == {1200.0}

    run_loop(story())
