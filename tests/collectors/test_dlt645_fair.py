"""Slow meters beside good ones on a DL/T 645 line: nobody waits for more than one question of another."""

from __future__ import annotations

import itertools
from typing import Any

from collectors.dlt645_line import Failed, Line
from config.protocols.dlt645 import Dlt645Connection
from pipeline.counters import Counters
from pipeline.gaps import Gap
from simulators.faults import Link
from simulators.serve_dlt645 import TcpLine
from tests.peers.dlt645_rig import ENERGY, OddMeter, device, meter, point, reading
from tests.waiting import until

TARIFFS = [f"0001{n:02X}00" for n in range(1, 10)]
SLOW: dict[str, Any] = {"points": {f"t{n}": point(i, "energy_index", "kWh") for n, i in enumerate(TARIFFS)}}
ONE: dict[str, Any] = {"points": {"energy": point(ENERGY, "energy_index", "kWh")}}


def noting(one: OddMeter, asked: list[tuple[str, str]]) -> OddMeter:
    """Return the meter, which notes what it is asked in `asked`: its digits and the identifier."""

    def note(answer: bytes, data: bytes) -> bytes:
        asked.append((one.digits, data[3::-1].hex().upper()))
        return answer

    one.twist = note
    return one


async def test_a_good_meter_waits_for_one_question_of_a_slow_one_not_for_all() -> None:
    asked: list[tuple[str, str]] = []
    good, slow = noting(meter("1"), asked), noting(meter("2"), asked)
    slow.link = Link(lag_s=0.2)  # and refuses all nine
    async with reading([good, slow], ONE, SLOW, every_s=0.6, timeout_s=5.0) as (run, _):
        await until(lambda: len(run.values("m1.energy.energy_index")) > 8)
    runs = [len(list(group)) for digits, group in itertools.groupby(d for d, _ in asked) if digits == slow.digits]
    assert max(runs) <= 4  # as many as fit into the other's period
    assert set(run.gaps(device("1", "1"))) <= {Gap.NONE, Gap.MISSED}


async def test_a_meter_slow_to_refuse_pays_for_it_and_goes_on_where_it_was_stopped() -> None:
    asked: list[tuple[str, str]] = []
    good, slow = meter("1"), noting(meter("2"), asked)
    slow.link = Link(lag_s=0.9)
    seven = {"points": dict(list(SLOW["points"].items())[:7])}
    async with reading([good, slow], ONE, seven, timeout_s=1.0) as (run, _):
        await until(lambda: Gap.BREAKER in run.gaps(device("2", "2")))
        assert "takes longer than a meter may" in run.counters.links["m2.meter"]
        before, read = len(asked), len(run.values("m1.energy.energy_index"))
        await until(lambda: {i for _, i in asked} == set(TARIFFS[:7]))
        # after each of its questions the other meter's, but for one that may be under way
        assert len(run.values("m1.energy.energy_index")) - read >= len(asked) - before - 1
    order = [TARIFFS.index(i) for _, i in asked]
    assert order == [n % 7 for n in range(len(order))]
    assert set(run.gaps(device("1", "1"))) <= {Gap.NONE, Gap.MISSED}


async def test_an_answer_that_goes_on_slowly_is_ended_by_time() -> None:
    one = meter()
    one.twist = lambda answer, data: one.frame(0xB1 if len(data) == 4 else 0xB2, data[:4] + b"\x05\x23" + data[4:])
    one.link = Link(lag_s=0.25)
    async with reading([one], ONE, timeout_s=0.3, every_s=60.0) as (run, line):
        await until(lambda: run.gaps(device("1", "1")))
        assert line.requests[one.digits] <= 5
        assert "the answer goes on for more than" in run.counters.links["m1.meter"]
    assert run.gaps(device("1", "1"))[0] == Gap.MALFORMED


async def test_many_frames_at_an_ordinary_pace_are_no_failure() -> None:
    one = meter("1", {"0001FF00": bytes(4 * 60)})
    one.most = 16
    async with TcpLine() as served:
        served.meters[one.digits] = one
        manners = Dlt645Connection.model_validate({"protocol": "dlt645", "timeout_s": 2.0})
        line = Line("127.0.0.1", served.port, manners, Counters())
        try:
            assert await line.read(one.address, bytes.fromhex("00FF0100")) == bytes(4 * 60)
        except Failed as error:
            raise AssertionError(error.words) from error
        finally:
            line.close()
