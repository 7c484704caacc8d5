"""The collector at work on a line: values, refusals, silence, damage, late replies, fair shares; never a write."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from pathlib import Path

import pytest

from collectors.dlt645_line import Failed, Line
from config.protocols.dlt645 import Dlt645Connection
from config.protocols.serial import Serial
from pipeline.counters import Counters
from pipeline.gaps import Gap
from pipeline.quality import BAD, COMM, GOOD, RANGE
from simulators.faults import Link
from simulators.serve_dlt645 import PortLine, TcpLine
from tests.peers.dlt645_rig import ENERGY, POWER, SHOWN, VOLTAGE, Run, device, meter, point, reading
from tests.waiting import until


async def test_reads_values_and_tells_how_it_is() -> None:
    async with reading([meter()]) as (run, line):
        await until(lambda: len(run.values("m1.power.power")) >= 2)
        await until(lambda: run.counters.state == "running")
        await until(lambda: run.counters.links == {"m1.meter": ""})  # a loaded machine may be late for a period
        heard = run.collector.heard("m1.meter")
        assert [(h.identifier, h.data) for h in heard] == [(i, SHOWN[i]) for i in (ENERGY, VOLTAGE, POWER)]
    assert set(run.values("m1.energy.energy_index")) == {123456.78}
    assert set(run.values("m1.voltage.voltage")) == {230.5}
    assert set(run.values("m1.power.power")) == {-5.1234}
    assert {quality for *_, quality, _ in run.rows("m1.power.power")} == {GOOD}
    assert run.counters.rejected == 0
    assert set(run.gaps(device("1", "000000000001"))) <= {Gap.NONE, Gap.MISSED}
    assert run.counters.latency_s is not None
    assert not line.write_attempts


async def test_an_identifier_is_asked_once_for_all_its_points() -> None:
    points = {f"l{i + 1}": point("0201FF00", "voltage", "V", item=i) for i in range(3)}
    points |= {"again": point(VOLTAGE, "voltage", "V"), "same": point(VOLTAGE.lower(), "voltage", "V")}
    async with reading([meter()], {"points": points}) as (run, line):
        await until(lambda: run.values("m1.same.voltage"))
        cycles = len(run.rows("m1.l1.voltage"))
        assert line.requests["000000000001"] in (2 * cycles, 2 * cycles + 1, 2 * cycles + 2)
    assert [run.values(f"m1.l{i}.voltage")[0] for i in (1, 2, 3)] == [230.5, 231.5, 232.5]
    times = {run.rows(f"m1.{name}.voltage")[0][0] for name in ("l1", "l2", "l3")}
    assert len(times) == 1  # of one answer


async def test_a_demand_and_an_answer_in_several_frames() -> None:
    long = meter(items={"0001FF00": b"".join(bytes((0, 0, i, 0)) for i in range(64)), **SHOWN})
    long.most = 40
    points = {
        "demand": point("01010000"),
        "last": point("0001FF00", "energy_index", "kWh", item=63),
    }
    async with reading([long], {"points": points}) as (run, _):
        await until(lambda: run.values("m1.last.energy_index"))
    assert run.values("m1.demand.power")[0] == 1.2345
    assert math.isnan(run.values("m1.last.energy_index")[0])  # 3FH is no digit
    assert run.rows("m1.last.energy_index")[0][2] == BAD | RANGE


async def test_what_is_not_digits_is_no_value() -> None:
    async with reading([meter(items={**SHOWN, VOLTAGE: b"\xff\xff"})]) as (run, _):
        await until(lambda: run.values("m1.voltage.voltage"))
        await until(lambda: not run.counters.links["m1.meter"])
    assert math.isnan(run.values("m1.voltage.voltage")[0])
    assert run.rows("m1.voltage.voltage")[0][2] == BAD | RANGE


async def test_a_refused_item_leaves_the_others_standing_until_it_is_there() -> None:
    one = meter(items={ENERGY: SHOWN[ENERGY], POWER: SHOWN[POWER]})
    async with reading([one]) as (run, _):
        await until(lambda: len(run.values("m1.power.power")) >= 2)
        assert run.counters.links["m1.meter"] == "02010100: error 02H (no such data)"
        assert run.counters.state == "degraded"
        one.items = SHOWN
        await until(lambda: run.values("m1.voltage.voltage"))
        await until(lambda: run.counters.state == "running")
    device_ = device("1", "000000000001")
    assert next(c for c in run.gaps(device_) if c != Gap.MISSED) == Gap.EXCEPTION
    assert run.gaps(device_)[-1] == Gap.NONE


async def test_an_answer_of_another_length_is_told_and_gives_no_value() -> None:
    async with reading([meter(items={**SHOWN, VOLTAGE: b"\x05\x23\x00"})]) as (run, _):
        await until(lambda: len(run.values("m1.power.power")) >= 2)
        words = run.counters.links["m1.meter"]
    assert words == "02010100: 3 bytes where 2 are expected; is its format right?"
    assert not run.values("m1.voltage.voltage")
    assert run.gaps(device("1", "000000000001"))[0] == Gap.MALFORMED


async def test_a_silent_meter_rests_and_costs_the_line_no_more_than_its_share() -> None:
    dead = [meter(str(n)) for n in range(2, 6)]
    for one in dead:
        one.link = Link(drop="silent")
    async with reading([meter("1"), *dead], timeout_s=0.1, every_s=0.5, backoff_max_s=0.2) as (run, line):
        await until(lambda: all(Gap.BREAKER in run.gaps(device(d.digits.lstrip("0"), d.digits)) for d in dead))
        began, asked = time.monotonic(), {d.digits: line.requests[d.digits] for d in dead}
        await until(lambda: all(line.requests[d.digits] > asked[d.digits] for d in dead))  # each is tried in its turn
        took = time.monotonic() - began
        trials = sum(line.requests[d.digits] - asked[d.digits] for d in dead)
        assert trials * 0.1 <= 0.1 * took + 0.2  # the first trial and the last may lie on the edges
        assert "rests between attempts" in run.counters.links["m3.meter"]
        await until(lambda: run.counters.links["m1.meter"] == "")
        dead[0].link = None
        await until(lambda: run.values("m2.power.power"))
    told = run.gaps(device("2", dead[0].digits))
    assert told[:2] == [Gap.TIMEOUT] * 2  # one lost answer is no reason to rest
    assert {Gap.BREAKER, Gap.NONE} <= set(told)


async def test_meters_whose_request_makes_a_serial_server_hang_up_rest_and_leave_the_others_in_peace() -> None:
    meters = [meter(str(n)) for n in range(1, 6)]
    for one in meters[2:4]:
        one.link = Link(drop="close")
    async with reading(meters, every_s=0.5) as (run, _):
        await until(lambda: all(Gap.BREAKER in run.gaps(device(str(n), str(n).zfill(12))) for n in (3, 4)))
        before = {n: len(run.values(f"m{n}.power.power")) for n in (1, 2, 5)}
        await until(lambda: all(len(run.values(f"m{n}.power.power")) > before[n] + 3 for n in before))
    for n in (1, 2, 5):
        assert set(run.gaps(device(str(n), str(n).zfill(12)))) <= {Gap.NONE, Gap.MISSED}
    for n in (3, 4):
        assert set(run.gaps(device(str(n), str(n).zfill(12)))) <= {Gap.DISCONNECTED, Gap.BREAKER, Gap.MISSED}


async def test_when_a_line_that_was_silent_as_a_whole_is_back_all_are_asked_at_once() -> None:
    meters = [meter(str(n)) for n in range(1, 7)]
    for one in meters:
        one.link = Link(drop="silent")
    async with reading(meters, timeout_s=0.1, every_s=0.5, backoff_max_s=0.2) as (run, _):
        await until(lambda: all("rests" in words for words in run.counters.links.values()))
        assert run.counters.state == "down"
        for one in meters:
            one.link = None
        await until(lambda: not any(run.counters.links.values()))
        rested = [run.gaps(device(str(n), "1")).count(Gap.BREAKER) for n in range(1, 7)]
        await until(lambda: all(len(run.values(f"m{n}.power.power")) >= 2 for n in range(1, 7)))
        assert rested == [run.gaps(device(str(n), "1")).count(Gap.BREAKER) for n in range(1, 7)]


async def test_gap_rows_of_a_silent_meter_tile_the_time() -> None:
    silent = meter()
    silent.link = Link(drop="silent")
    async with reading([silent], timeout_s=0.1) as (run, _):
        await until(lambda: len(run.gaps(device("1", "1"))) >= 5)
        assert run.counters.state == "down"
        assert run.counters.missed == run.counters.missed_of["m1.meter"]
    rows = run.rows("m1.meter-gap.gap")
    assert all(b[0] - b[3] == a[0] for a, b in itertools.pairwise(rows))
    assert {quality for _, _, quality, _ in rows} == {BAD | COMM}


async def test_a_late_reply_is_told_apart_from_that_of_another_meter_and_item() -> None:
    late, good = meter("7", {ENERGY: bytes.fromhex("99999999")}), meter("8")
    late.link = Link(lag_s=0.35)
    points = {"energy": point(ENERGY, "energy_index", "kWh")}
    async with reading([late, good], {"points": points}, timeout_s=0.2, every_s=0.6) as (run, _):
        await until(lambda: run.counters.rejected >= 2 and len(run.values("m8.power.power")) >= 3)
    assert set(run.values("m8.energy.energy_index")) == {123456.78}
    assert set(run.values("m8.power.power")) == {-5.1234}
    assert set(run.values("m7.energy.energy_index")) <= {999999.99}
    assert Gap.TIMEOUT in run.gaps(device("7", "7"))


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        (lambda answer, _: answer[:-4], "bytes came that are no reply"),
        (lambda answer, _: answer[:-2] + bytes((answer[-2] ^ 1, 0x16)), "bytes came that are no reply"),
        (lambda _, data: b"\x68\x00\xff noise" * 20, "bytes came that are no reply"),
    ],
    ids=["half a frame", "wrong checksum", "noise"],
)
async def test_damage_is_malformed_and_passes(twist: object, words: str) -> None:
    one = meter()
    one.twist = twist  # type: ignore[assignment]
    async with reading([one], timeout_s=0.2) as (run, _):
        await until(lambda: Gap.MALFORMED in run.gaps(device("1", "1")))
        assert words in run.counters.links["m1.meter"]
        one.twist = None
        await until(lambda: run.values("m1.power.power"))
        await until(lambda: run.counters.links["m1.meter"] == "")
    assert set(run.values("m1.power.power")) == {-5.1234}


async def test_an_echo_and_noise_around_a_reply_are_passed_over() -> None:
    one = meter()
    one.twist = lambda answer, data: b"\xd8\xb0\x4c\xbd\xd1\x47\x68" + answer + b"\x00\xff"
    async with reading([one]) as (run, _):
        await until(lambda: len(run.values("m1.power.power")) >= 2)
    assert set(run.values("m1.power.power")) == {-5.1234}


async def test_only_an_echo_is_told() -> None:
    one = meter()

    def echo(_: bytes, data: bytes) -> bytes:
        body = b"\x68" + one.address + b"\x68\x11\x04" + bytes(b + 0x33 for b in data)
        return b"\xfe" * 4 + body + bytes((sum(body) & 0xFF, 0x16))

    one.twist = echo
    async with reading([one], timeout_s=0.2) as (run, _):
        await until(lambda: Gap.TIMEOUT in run.gaps(device("1", "1")))
        assert "no answer but the echo of the request" in run.counters.links["m1.meter"]


async def test_a_line_that_is_lost_is_opened_again() -> None:
    one = meter()
    async with reading([one]) as (run, line):
        await until(lambda: run.values("m1.power.power"))
        one.link = Link(drop="close")
        await until(lambda: Gap.DISCONNECTED in run.gaps(device("1", "1")))
        assert run.counters.state == "down"
        one.link = None
        seen = len(run.values("m1.power.power"))
        await until(lambda: len(run.values("m1.power.power")) > seen)
        assert len(line.connections) == 1


async def test_a_line_that_cannot_be_opened_is_refused_with_the_reason(tmp_path: Path) -> None:
    async with (run := Run([device("1", "1")], serial={"port": str(tmp_path / "ttyS9")})):
        await until(lambda: len(run.gaps(device("1", "1"))) >= 3)
        assert "ttyS9 does not exist" in run.counters.links["m1.meter"]
    assert set(run.gaps(device("1", "1"))) == {Gap.REFUSED}


async def test_a_line_too_busy_for_its_periods_says_so_once_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    meters = [meter("1"), meter("2")]
    for one in meters:
        one.link = Link(lag_s=0.25)
    async with reading(meters, every_s=1.0, timeout_s=5.0) as (run, _):
        await until(lambda: all(len(run.values(f"m{n}.power.power")) >= 4 for n in (1, 2)))
        assert run.counters.slow
        assert "is too busy for its period of 1 s" in run.counters.links[next(iter(run.counters.slow))]
        for one in meters:
            one.link = None
        await until(lambda: not run.counters.slow and not any(run.counters.links.values()))
    told = run.gaps(device("1", "1"))
    assert told.count(Gap.MISSED) >= 2
    assert all(a != b for a, b in itertools.pairwise(told) if b == Gap.NONE)
    assert sum("too busy" in record.message for record in caplog.records) < told.count(Gap.MISSED) + 2


async def test_it_never_writes_whatever_the_meter_says() -> None:
    one = meter()
    twisted = iter(range(1_000))

    def twist(answer: bytes, data: bytes) -> bytes:
        kind = next(twisted) % 4
        wrong = one.refusal(0x14, 4), one.frame(0xB1, data + b"\x01"), one.frame(0x94, b""), answer
        return wrong[kind]

    one.twist = twist
    async with reading([one], timeout_s=0.1, every_s=0.05, backoff_max_s=0.1) as (run, line):
        await until(lambda: line.requests["000000000001"] > 12)
        assert not line.write_attempts
        assert run.counters.links["m1.meter"]


async def test_what_goes_on_for_ever_is_ended() -> None:
    one = meter()
    one.twist = lambda answer, data: one.frame(0xB1 if len(data) == 4 else 0xB2, data[:4] + b"\x05\x23" + data[4:])
    async with reading([one]) as (run, _):
        await until(lambda: run.gaps(device("1", "1")))
        assert "goes on for more than 16 frames" in run.counters.links["m1.meter"]


async def test_over_a_pseudo_terminal_at_2400_baud(tmp_path: Path) -> None:
    serial = {"port": str(tmp_path / "line"), "baudrate": 2_400, "parity": "N"}
    async with PortLine(Serial.model_validate(serial)) as line:
        line.meters = {m.digits: m for m in (meter("1"), meter("2"))}
        async with (run := Run([device("1", "1"), device("2", "000000000002")], serial=serial, every_s=1.0)):
            await until(lambda: run.values("m1.power.power") and run.values("m2.power.power"))
    assert set(run.values("m1.energy.energy_index") + run.values("m2.energy.energy_index")) == {123456.78}


async def test_a_line_asks_its_one_meter_for_its_address() -> None:
    async with TcpLine() as served:
        served.meters["202600000001"] = one = meter("202600000001")
        manners = Dlt645Connection.model_validate({"protocol": "dlt645", "timeout_s": 0.3})
        line = Line("127.0.0.1", served.port, manners, Counters())
        try:
            assert await line.address() == "202600000001"
            one.twist = lambda answer, _: answer[:4] + one.frame(0x93, bytes(6))[4:]
            with pytest.raises(Failed, match="several meters answered at once"):
                await line.address()
            one.link = Link(drop="silent")
            with pytest.raises(Failed, match="no answer within"):
                await line.address()
        finally:
            line.close()
        assert not served.write_attempts


async def test_cancelled_in_the_middle_of_an_exchange_it_ends() -> None:
    one = meter()
    one.link = Link(drop="silent")
    async with reading([one], timeout_s=30) as (_, line):
        await until(lambda: line.requests["000000000001"])
        await asyncio.sleep(0)
