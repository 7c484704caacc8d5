"""The collector at work: schedules, faults of devices and links, gap rows, recovery, and that it never writes."""

from __future__ import annotations

import asyncio
import itertools
import math
import struct
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.modbus_inbox import HELD_BYTES
from collectors.modbus_turns import Turns
from pipeline.gaps import Gap
from pipeline.quality import BAD, COMM, RANGE
from tests.peers.modbus_rig import Run, bound, counting, frame, registers, running, serving
from tests.waiting import until

TWO: dict[str, dict[str, Any]] = {"a": {"address": 0}, "b": {"address": 200}}  # two blocks


def one(address: int = 5) -> dict[str, dict[str, Any]]:
    return {"x": {"address": address}}


async def test_rows_of_a_block_carry_one_time_and_the_gap_series_says_it_answers() -> None:
    async with serving(counting) as server:
        points = {"a": {"address": 3}, "b": {"address": 10}, "c": {"address": 4, "type": "uint32"}}
        async with running([bound("m", f"127.0.0.1:{server.port}", points)]) as run:
            await until(lambda: len(run.values("m.a")) >= 3)
        assert set(run.values("m.a")) == {3.0}
        assert set(run.values("m.c")) == {4 * 65_536 + 5.0}
        times = [[t for t, *_ in run.rows(f"m.{p}")] for p in "abc"]
        assert times[0] == times[1] == times[2]
        assert all(a < b for a, b in itertools.pairwise(times[0]))
        assert run.gaps("m") == [Gap.NONE]
        assert run.counters.received == sum(map(len, run.batches))
        assert run.counters.links == {"m.meter": ""}
        assert run.counters.state == "stopped"


async def test_not_a_number_travels_bad() -> None:
    async with serving(lambda *_: registers(3, [0x7FC0, 0])) as server:
        points = {"x": {"address": 0, "type": "float32"}}
        async with running([bound("m", f"127.0.0.1:{server.port}", points)]) as run:
            await until(lambda: run.rows("m.x"))
        _, _, value, quality = run.rows("m.x")[0]
        assert math.isnan(value)
        assert quality == BAD | RANGE


async def test_units_of_one_server_share_a_connection_and_many_units_one_plan() -> None:
    def by_unit(unit: int, function: int, address: int, length: int) -> bytes:
        return registers(function, [unit * 100 + address + i for i in range(length)])

    async with serving(by_unit) as server:
        devices = [
            bound(f"m{u}", f"127.0.0.1:{server.port}/{u}", {"a": {"address": 1}, "b": {"address": 2}})
            for u in range(1, 9)
        ]
        async with running(devices) as run:
            await until(lambda: all(len(run.values(f"m{u}.b")) >= 2 for u in range(1, 9)))
        for unit in range(1, 9):
            assert set(run.values(f"m{unit}.a")) == {unit * 100 + 1.0}
            assert set(run.values(f"m{unit}.b")) == {unit * 100 + 2.0}
        assert server.connections == 1


async def test_it_never_writes_whatever_the_device_says() -> None:
    answers = itertools.cycle([registers(3, [1]), b"\x83\x06", b"\x10\x00\x00\x00\x01", None, b"\x06\x00\x05\x00\x01"])
    async with serving(lambda *_: next(answers)) as server:
        devices = [bound(f"m{u}", f"127.0.0.1:{server.port}/{u}", TWO) for u in range(1, 4)]
        async with running(devices, timeout_s=0.05, backoff_max_s=0.05):
            await until(lambda: len(server.requests) > 60)
        assert {request[7] for request in server.requests} == {3}
        assert all(len(request) == 12 for request in server.requests)


async def test_an_exception_of_one_block_leaves_the_other_standing_until_it_recovers() -> None:
    broken = True

    def answer(unit: int, function: int, address: int, length: int) -> bytes:
        return b"\x83\x04" if broken and address == 200 else counting(unit, function, address, length)

    async with serving(answer) as server:
        async with running([bound("m", f"127.0.0.1:{server.port}", TWO)]) as run:
            await until(lambda: len(run.gaps("m")) >= 3)
            assert run.counters.links["m.meter"] == "holding 200–200: exception 4 (server device failure)"
            assert run.counters.state == "degraded"
            broken = False
            await until(lambda: run.values("m.b"))
            await until(lambda: run.counters.state == "running")
        assert set(run.gaps("m")) == {Gap.EXCEPTION, Gap.NONE}
        assert len(run.values("m.a")) > len(run.values("m.b"))
        rows = run.rows("m.meter-gap")
        end = next(i for i, (_, _, code, _) in enumerate(rows) if code == Gap.NONE)
        assert rows[end][1:] == (0, 0.0, 0)
        # Gap rows tile the time: each begins where the one before ended.
        assert all(b[0] - b[1] == a[0] for a, b in itertools.pairwise(rows[:end]))
        assert {quality for *_, quality in rows[:end]} == {BAD | COMM}


async def test_a_dead_unit_rests_and_does_not_hold_up_the_one_beside_it(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(lambda u, f, a, n: None if u == 9 else counting(u, f, a, n)) as server:
        at = f"127.0.0.1:{server.port}"
        devices = [bound("dead", f"{at}/9", TWO), bound("well", f"{at}/1", one())]
        async with running(devices, timeout_s=0.1, every_s=0.2) as run:
            await until(lambda: Gap.BREAKER in run.gaps("dead"))
            assert "rests between attempts" in run.counters.links["dead.meter"]
            before, asked = len(run.values("well.x")), sum(r[6] == 9 for r in server.requests)
            await until(lambda: len(run.values("well.x")) > before + 2)
            assert run.counters.state == "degraded"
            await until(lambda: sum(r[6] == 9 for r in server.requests) > asked)  # asked again after its rest
        assert run.gaps("dead")[0] == Gap.TIMEOUT
        assert set(run.gaps("dead")) == {Gap.TIMEOUT, Gap.BREAKER}
        # One deadline per attempt: the second block is not asked once the first has gone unanswered.
        assert {r[8:10] for r in server.requests if r[6] == 9} == {b"\x00\x00"}
        assert run.gaps("well") == [Gap.NONE]
        said = [r.getMessage() for r in caplog.records if "dead.meter" in r.getMessage()]
        assert len(said) == 2  # no answer; rests


async def test_a_late_reply_is_rejected_by_its_transaction() -> None:
    late: list[bytes] = []

    def raw(request: bytes) -> bytes:
        transaction, unit = struct.unpack_from(">H", request)[0], request[6]
        late.append(frame(transaction, unit, registers(3, [transaction])))
        if len(late) == 1:
            return b""  # says nothing in time …
        return late[-2] + late[-1] if len(late) == 2 else late[-1]  # … and too much afterwards

    async with serving(counting) as server:
        server.raw = raw
        async with running([bound("m", f"127.0.0.1:{server.port}", one())], timeout_s=0.1) as run:
            await until(lambda: len(run.values("m.x")) >= 2)
        assert run.values("m.x")[:2] == [2.0, 3.0]
        assert run.gaps("m")[:2] == [Gap.TIMEOUT, Gap.NONE]
        assert run.counters.rejected == 1
        assert server.connections == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:2] + b"\x00\x01" + good[4:],
        lambda good: good[:4] + b"\x00\x00" + good[6:],
        lambda good: good[:4] + b"\xff\xff" + good[6:],
        lambda good: good[:6] + b"\x77" + good[7:],
        lambda good: good[:7] + b"\x04" + good[8:],
        lambda good: good[:8] + b"\x09" + good[9:],
        lambda good: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["protocol", "no length", "long", "unit", "function", "byte count", "http"],
)
async def test_malformed_data_closes_the_connection_and_reading_goes_on(spoil: Callable[[bytes], bytes]) -> None:
    count = itertools.count()

    def raw(request: bytes) -> bytes:
        good = request[:2] + frame(0, request[6], registers(3, [42]))[2:]
        return spoil(good) if next(count) == 0 else good

    async with serving(counting) as server:
        server.raw = raw
        async with running([bound("m", f"127.0.0.1:{server.port}", one())]) as run:
            await until(lambda: run.values("m.x"))
        assert run.gaps("m") == [Gap.MALFORMED, Gap.NONE]
        assert set(run.values("m.x")) == {42.0}
        assert server.connections == 2
        assert run.counters.rejected == 1


async def test_a_unit_that_talks_nonsense_leaves_the_one_beside_it_in_peace() -> None:
    def raw(request: bytes) -> bytes:
        good = request[:2] + frame(0, request[6], registers(3, [42]))[2:]
        return b"nonsense" if request[6] == 9 else good

    async with serving(counting) as server:
        server.raw = raw
        at = f"127.0.0.1:{server.port}"
        async with running([bound("mad", f"{at}/9", one()), bound("well", f"{at}/1", one())]) as run:
            await until(lambda: Gap.BREAKER in run.gaps("mad"))
            await until(lambda: len(run.values("well.x")) > 5)
        assert run.gaps("mad")[0] == Gap.MALFORMED
        assert run.gaps("well") == [Gap.NONE]


async def test_a_gateway_that_hangs_up_on_every_unit_is_left_alone_for_a_while_and_read_again_when_it_answers() -> None:
    connections = asked = 0
    answers = False

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections, asked
        connections += 1
        while request := await reader.read(12):
            asked += 1
            if not answers:
                break
            writer.write(request[:2] + frame(0, request[6], registers(3, [7]))[2:])
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    devices = [bound(f"m{u}", f"127.0.0.1:{port}/{u}", one()) for u in (1, 2, 3)]
    async with running(devices, every_s=0.05) as run:
        await until(lambda: all(len(run.gaps(f"m{u}")) > 40 for u in (1, 2, 3)))
        assert connections <= asked + 1
        assert connections < 30
        assert run.counters.state == "down"
        answers = True
        await until(lambda: all(run.values(f"m{u}.x") for u in (1, 2, 3)))
        await until(lambda: run.counters.state == "running")
    server.close()
    assert {Gap.DISCONNECTED, Gap.NONE} <= set(run.gaps("m1")) <= {Gap.DISCONNECTED, Gap.REFUSED, Gap.BREAKER, Gap.NONE}


async def test_frames_in_pieces_are_put_together() -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(12):
            for byte in request[:2] + frame(0, request[6], registers(3, [7]))[2:]:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(dribble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running([bound("m", f"127.0.0.1:{port}", one())]) as run:
        await until(lambda: len(run.values("m.x")) >= 2)
    server.close()
    assert run.gaps("m") == [Gap.NONE]


async def test_a_server_that_restarts_is_read_again_without_help() -> None:
    async with serving(counting) as server, running([bound("m", f"127.0.0.1:{server.port}", one())]) as run:
        await until(lambda: run.values("m.x"))
        await server.stop()
        await until(lambda: Gap.REFUSED in run.gaps("m"))
        assert "no connection to 127.0.0.1" in run.counters.links["m.meter"]
        assert run.counters.state == "down"
        before = len(run.values("m.x"))
        await server.start()
        await until(lambda: len(run.values("m.x")) > before)
        await until(lambda: run.gaps("m")[-1] == Gap.NONE)
        await until(lambda: run.counters.links["m.meter"] == "")  # a loaded machine may be late for a period


async def test_a_server_that_never_makes_sense_is_asked_ever_less() -> None:
    async with serving(counting) as server:
        server.raw = lambda _: b"\xff" * 20
        async with running([bound("m", f"127.0.0.1:{server.port}", one())], every_s=0.05) as run:
            await until(lambda: len(run.gaps("m")) > 20)
            assert server.connections < 10


async def test_an_unknown_host_is_a_gap_with_words() -> None:
    async with running([bound("m", "no-such-host.invalid", one())], every_s=0.1, timeout_s=5) as run:
        await until(lambda: run.gaps("m"))
        assert run.gaps("m")[0] == Gap.REFUSED
        assert "no-such-host.invalid:502" in run.counters.links["m.meter"]


async def test_half_an_answer_of_one_unit_does_not_spoil_that_of_the_next() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(12):
            answer = request[:2] + frame(0, request[6], registers(3, [7]))[2:]
            writer.write(answer[:-1] if request[6] == 1 else answer)
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    at = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running([bound("torn", f"{at}/1", one()), bound("whole", f"{at}/2", one())], timeout_s=1) as run:
        await until(lambda: len(run.values("whole.x")) >= 5)
        await until(lambda: run.gaps("torn"))
    server.close()
    assert run.gaps("torn")[0] == Gap.TIMEOUT
    assert Gap.MALFORMED not in run.gaps("whole")


async def test_cycles_that_fall_due_while_one_is_under_way_are_missed() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(12):
            await asyncio.sleep(0.25)
            writer.write(request[:2] + frame(0, request[6], registers(3, [7]))[2:])
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running([bound("m", f"127.0.0.1:{port}", one())], every_s=0.1, timeout_s=1) as run:
        await until(lambda: run.values("m.meter-gap").count(Gap.MISSED) >= 2)
        await until(lambda: run.counters.slow)
        assert run.counters.missed >= 5, "a busy machine is late now and then"
        assert "takes longer to answer than its period" in run.counters.links["m.meter"]
        assert run.counters.slow == {"m.meter"}
        assert run.counters.state == "degraded"
        assert run.counters.latency_s is not None
        assert run.counters.latency_s >= 0.25
        assert run.counters.missed == run.counters.missed_of["m.meter"] >= 2
    server.close()
    assert set(run.gaps("m")) <= {Gap.NONE}
    assert run.values("m.x")


async def test_polls_keep_their_schedule_while_a_batch_is_committed() -> None:
    async with serving(counting) as server:
        async with running([bound("m", f"127.0.0.1:{server.port}", one())], every_s=0.1) as run:
            await until(lambda: run.batches)
            run.commit.clear()
            asked = len(server.requests)
            await until(lambda: len(server.requests) >= asked + 5)
            taken = len(run.batches)
            run.commit.set()
            await until(lambda: len(run.batches) > taken)
        assert len(run.batches[taken]) >= 4  # all that arrived meanwhile, in one batch


async def test_what_waits_is_bounded_and_its_loss_is_one_gap_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.modbus_inbox.HELD_BYTES", 1_000)
    assert HELD_BYTES > 1_000_000
    async with serving(counting) as server:
        async with running([bound("m", f"127.0.0.1:{server.port}", one())], every_s=0.05) as run:
            await until(lambda: run.batches)
            run.commit.clear()
            collector: Any = run.collector
            await until(lambda: collector._inbox.full and collector._units[0]._withheld)
            asked = len(server.requests)
            run.commit.set()
            await until(lambda: len(server.requests) > asked + 2 and len(run.gaps("m")) >= 3)
        assert run.gaps("m")[1:3] == [Gap.STOPPED, Gap.NONE]


async def test_phases_are_spread_evenly() -> None:
    run = Run([bound(f"m{i}", "127.0.0.1:9", one()) for i in range(1000)], every_s=1.0)
    collector: Any = run.collector
    Turns(collector._units, 0.0)
    dues = sorted(unit.due_s for unit in collector._units)
    assert dues[-1] - dues[0] == pytest.approx(0.999)
    assert max(b - a for a, b in itertools.pairwise(dues)) == pytest.approx(0.001, abs=1e-6)


async def test_each_device_keeps_its_own_period() -> None:
    async with serving(counting) as server:
        at = f"127.0.0.1:{server.port}"
        devices = [bound("fast", f"{at}/1", one(), every_s=0.05), bound("slow", f"{at}/2", one(), every_s=0.4)]
        async with running(devices) as run:
            await until(lambda: len(run.values("slow.x")) >= 3)
        assert len(run.values("fast.x")) >= 2 * len(run.values("slow.x"))


async def test_cancelling_leaves_nothing_behind() -> None:
    async with serving(lambda *_: None) as server:
        run = Run([bound("m", f"127.0.0.1:{server.port}", one()), bound("n", "10.255.255.1", one())], timeout_s=5)

        async def work() -> None:
            async with run.collector:
                await run.pump()

        before = asyncio.all_tasks()
        task = asyncio.create_task(work())
        await until(lambda: server.requests)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not server._writers)
        assert {t for t in asyncio.all_tasks() - before if "modbus" in t.get_name()} == set()


async def test_what_the_consumer_raises_comes_out_unwrapped() -> None:
    run = Run([bound("m", "127.0.0.1:9", one())])
    with pytest.raises(LookupError):
        async with run.collector:
            raise LookupError


async def test_a_defect_in_the_schedule_is_loud(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run([bound("m", "127.0.0.1:9", one())])
    collector: Any = run.collector

    def defect(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(collector._units[0]), "cycle", lambda self, **_: defect())
    with pytest.raises(ZeroDivisionError):
        async with run.collector:
            await run.pump()


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.one_of(st.binary(max_size=300), st.just(b"ok")), min_size=1, max_size=6))
def test_fuzzed_answers_never_stop_it(run_loop: Callable[..., None], answers: list[bytes]) -> None:
    async def story() -> None:
        given = iter(answers)

        def raw(request: bytes) -> bytes:
            noise = next(given, b"ok")
            good = request[:2] + frame(0, request[6], registers(3, [42]))[2:]
            return good if noise == b"ok" else request[:2] + noise if len(noise) % 2 else noise

        async with serving(counting) as server:
            server.raw = raw
            device = bound("m", f"127.0.0.1:{server.port}", one())
            async with running([device], every_s=0.02, timeout_s=0.05, backoff_max_s=0.02) as run:
                await until(lambda: 42.0 in run.values("m.x"))

    run_loop(story())
