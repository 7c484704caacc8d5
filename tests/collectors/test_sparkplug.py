"""The Sparkplug collector on the real Mosquitto: what it takes, and what it says is lost."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pipeline.gaps import Gap
from pipeline.quality import BAD, GOOD, RANGE, STALE, UNCERTAIN
from tests.collectors.driving import Driven, bound
from tests.collectors.sparkplug_parts import ENERGY, POWER, Host, payload, press
from tests.collectors.sparkplug_plain import NODE, T0, birth, plain, power, ready
from tests.services.mosquitto import Mosquitto
from tests.waiting import until


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_births_data_and_their_times(mosquitto: Mosquitto, version: str) -> None:
    host = Host(mosquitto, version=version)
    async with host.run(commit_s=0.01) as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            await edge.say("NBIRTH", birth())
            for n in range(1, 400):
                await edge.say("NDATA", payload(n % 256, power(n / 2), timestamp=T0 + n))
            own_time = power(1.0, timestamp=T0 + 9_000)
            await edge.say("NDATA", payload(400 % 256, own_time, timestamp=T0 + 9_999))
            await edge.say("NDATA", payload(401 % 256, power(float("nan"))))
            await edge.say("NDATA", payload(402 % 256, {"alias": 7, "is_null": True}, power(3.0), timestamp=0))
            await until(lambda: 3.0 in driven.values(POWER)[-1:])
    rows = driven.rows(POWER)
    assert [row[:3] for row in rows[:400]] == [((T0 + n) * 1_000_000, n / 2 or 0.5, GOOD) for n in range(400)]
    assert rows[400][0] == (T0 + 9_000) * 1_000_000
    assert rows[401][2] == BAD | RANGE
    assert len(rows) == 403
    assert rows[402][0] > (T0 + 9_999) * 1_000_000  # without any time: the gateway's
    assert driven.values(ENERGY) == [100.0]
    assert not driven.rejects


async def test_a_lost_message_is_a_gap_until_the_next_birth(mosquitto: Mosquitto) -> None:
    device = press()
    host = Host(mosquitto, device, reorder_s=0.2)
    async with host.run() as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            await edge.say("NBIRTH", birth())
            await edge.say("NDATA", payload(1, power(1.0), timestamp=T0 + 1))
            await edge.say("NDATA", payload(3, power(3.0), timestamp=T0 + 3))
            await until(lambda: Gap.SEQUENCE in driven.gaps(device))
            await edge.say("NDATA", payload(2, power(2.0), timestamp=T0 + 2))
            await edge.say("NDATA", payload(4, power(4.0), timestamp=T0 + 4))
            await edge.say("NBIRTH", birth(5.0, T0 + 5))
            await until(lambda: 5.0 in driven.values(POWER))
    assert driven.values(POWER) == [0.5, 1.0, 5.0]
    assert driven.values(ENERGY) == [100.0, 100.0]
    assert driven.gaps(device)[-3:] == [Gap.SEQUENCE, Gap.SEQUENCE, Gap.NONE]
    spans = [row[3] for row in driven.rows("furnace.press-gap.gap")]
    assert all(span > 0 for span in spans[-3:-1])  # over the loss, and on to the birth


async def test_what_cannot_be_read_is_a_dead_letter_and_ends_trust(mosquitto: Mosquitto) -> None:
    device = press()
    host = Host(mosquitto, device)
    async with host.run() as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            await edge.say("NBIRTH", birth())
            await until(lambda: driven.values(POWER))
            await edge.say("NDATA", b"\xff\xff\xff")
            await until(lambda: Gap.MALFORMED in driven.gaps(device))
            await edge.say("NBIRTH", birth(2.0, T0 + 1), retain=True)  # live, though it ought not to be retained
            await until(lambda: 2.0 in driven.values(POWER))
            far = power(1.0, timestamp=2**63)
            await edge.say("NDATA", payload(1, far, {"alias": 8, "datatype": 10, "long_value": 3}, timestamp=T0 + 2))
            await until(lambda: len(driven.rejects) == 3)
    assert "cannot be decoded" in driven.rejects[0].reason
    assert driven.rejects[0].raw == b"\xff\xff\xff"
    assert "which is no time" in driven.rejects[1].reason
    assert "said to be Double, but its value stands as long" in driven.rejects[2].reason
    other = Host(mosquitto, device)
    async with other.run() as again:
        await until(lambda: again.rejects, what="the retained birth")
        assert "retained, so of unknown age" in again.rejects[0].reason
    assert again.values(POWER) == []


async def test_quality_and_unit_of_properties(mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    def said(quality: int | None, unit: str = "W") -> dict[str, Any]:
        pairs: dict[str, Any] = {"engUnit": {"type": 12, "string_value": unit}}
        if quality is not None:
            pairs["Quality"] = {"type": 3, "int_value": quality}
        return {"properties": {"keys": list(pairs), "values": list(pairs.values())}}

    host = Host(mosquitto)
    caplog.set_level(logging.WARNING, "tanflow.sparkplug")
    async with host.run() as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            fresh = payload(0, power(0.0, name="Power", **said(None)), timestamp=T0)
            await edge.say("NBIRTH", fresh)
            codes = [192, 0, 500, 64, 7, 216, 2**31]
            for n, code in enumerate(codes, start=1):
                await edge.say("NDATA", payload(n, power(float(n), **said(code)), timestamp=T0 + n))
            await edge.say("NDATA", payload(8, power(8.0), timestamp=T0 + 8))
            await until(lambda: 8.0 in driven.values(POWER))
    qualities = [row[2] for row in driven.rows(POWER)]
    # The last stated as a signed number too large for its type is refused with its value.
    assert qualities == [GOOD, GOOD, BAD, UNCERTAIN | STALE, UNCERTAIN, BAD, GOOD, BAD, BAD]
    units = [r.getMessage() for r in caplog.records if "it stands in" in r.getMessage()]
    assert units == [
        "furnace.press.power: it stands in 'W', configured is kW; values would be wrong by a factor of 1000"
    ]


async def test_elements_of_arrays_and_a_silent_device(mosquitto: Mosquitto) -> None:
    points = {
        "a": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Row[1]"}},
        "b": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Row[9]"}},
        "c": {"quantity": "count", "unit": "1", "sparkplug": {"metric": "Row"}},
    }
    device = bound("m", points, address="Hall1/press", every_s=0.2)
    host = Host(mosquitto, device)
    async with host.run() as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            await edge.say("NBIRTH", payload(0, {"name": "Row", "datatype": 23, "bytes_value": b"\x01\0\xfe\xff"}))
            await until(lambda: driven.values("furnace.a.count") == [-2.0])
            await until(lambda: Gap.STALE in driven.gaps(device))
    reasons = sorted(r.reason for r in driven.rejects)
    assert reasons == [
        "metric 'Row' is a Int16Array; name one element, e.g. metric: …[0]",
        "metric 'Row[9]' has 2 elements; there is no [9]",
    ]


async def test_what_is_committed_is_not_told_again_by_a_birth(mosquitto: Mosquitto) -> None:
    first = Host(mosquitto)
    with plain(mosquitto) as edge:
        async with first.run() as driven:
            await ready(first, edge)
            await edge.say("NBIRTH", birth(1.5, T0 + 3))
            await until(lambda: driven.values(POWER))
        host = Host(mosquitto)
        again = Driven(host.collector, host.ids, after=driven.batches)
        async with again:
            await ready(host, edge)
            await edge.say("NBIRTH", birth(1.5, T0 + 3))
            stored = [power(float(n), timestamp=T0 + n, is_historical=True) for n in range(1, 6)]
            await edge.say("NDATA", payload(1, *stored, timestamp=T0 + 9))
            await until(lambda: 5.0 in again.values(POWER))
    assert again.values(POWER) == [1.0, 2.0, 4.0, 5.0]


async def test_while_a_batch_is_committed_nothing_is_lost(mosquitto: Mosquitto) -> None:
    host = Host(mosquitto)
    async with host.run(commit_s=0.2) as driven:
        with plain(mosquitto) as edge:
            await ready(host, edge)
            await edge.say("NBIRTH", birth())
            for n in range(1, 3_001):
                edge._client.publish(NODE.format("NDATA"), payload(n % 256, power(float(n)), timestamp=T0 + n), 0)
            await until(lambda: 3_000.0 in driven.values(POWER)[-1:])
    assert driven.values(POWER) == [0.5, *map(float, range(1, 3_001))]
    assert len(driven.batches) < 100
    assert sum(len(batch) for batch in driven.batches) == host.counters.received
