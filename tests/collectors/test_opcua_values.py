"""What a DataValue becomes, and the collector against asyncua's own server as a second peer."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from asyncua import Server, ua
from hypothesis import given
from hypothesis import strategies as st

from collectors.opcua_values import nanoseconds, number_of, overflowed, quality_of, time_of
from config.errors import Rejected
from pipeline.gaps import Gap
from pipeline.quality import BAD, COMM, GOOD, RANGE, SEVERITY, STALE, UNCERTAIN
from tests.collectors.driving import bound
from tests.collectors.test_opcua import Plant, key
from tests.services.ports import free_port
from tests.waiting import until

STAMP = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "quality"),
    [  # the codes as OPC UA Part 6 numbers them
        (0x0000_0000, GOOD),  # Good
        (0x0096_0000, GOOD),  # GoodLocalOverride
        (0x4000_0000, UNCERTAIN),  # Uncertain
        (0x4090_0000, UNCERTAIN | STALE),  # UncertainLastUsableValue
        (0x408F_0000, UNCERTAIN | STALE | COMM),  # UncertainNoCommunicationLastUsableValue
        (0x4094_0000, UNCERTAIN | RANGE),  # UncertainEngineeringUnitsExceeded
        (0x4094_0480, UNCERTAIN | RANGE),  # the same with the overflow bit
        (0x8000_0000, BAD),  # Bad
        (0x8031_0000, BAD | COMM),  # BadNoCommunication
        (0x808C_0000, BAD | COMM),  # BadSensorFailure
        (0x8032_0000, BAD | STALE),  # BadWaitingForInitialData
        (0xC000_0000, BAD),  # reserved severity
    ],
)
def test_status_codes(status: int, quality: int) -> None:
    assert quality_of(status) == quality


def test_the_overflow_bit_counts_only_in_the_info_bits_of_a_value() -> None:
    assert overflowed(0x0000_0480)
    assert not overflowed(0x0000_0400)
    assert not overflowed(0x0000_0080)
    assert not overflowed(0x0000_0880)


@given(st.integers(0, 0xFFFF_FFFF))
def test_any_status_has_a_severity(status: int) -> None:
    assert quality_of(status) & SEVERITY == (GOOD, UNCERTAIN, BAD, BAD)[status >> 30]


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)), st.integers(-720, 720))
def test_times_are_exact_to_the_microsecond(stamp: datetime, offset_min: int) -> None:
    expected = (stamp - datetime(1970, 1, 1)) // timedelta(microseconds=1) * 1000
    assert nanoseconds(stamp) == expected
    aware = stamp.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=offset_min)))
    assert nanoseconds(aware) == expected


def test_the_source_dates_a_value_else_the_server_else_nobody() -> None:
    later = STAMP + timedelta(seconds=1)
    unset = datetime(1601, 1, 1, tzinfo=UTC)
    assert time_of(ua.DataValue(SourceTimestamp=STAMP, ServerTimestamp=later)) == nanoseconds(STAMP)
    assert time_of(ua.DataValue(SourceTimestamp=None, ServerTimestamp=later)) == nanoseconds(later)
    assert time_of(ua.DataValue(SourceTimestamp=unset, ServerTimestamp=later)) == nanoseconds(later)
    assert time_of(ua.DataValue(SourceTimestamp=unset)) == 0


def test_numbers() -> None:
    assert number_of(ua.DataValue(ua.Variant(True)), GOOD) == 1.0
    assert number_of(ua.DataValue(ua.Variant(2**63, ua.VariantType.UInt64)), GOOD) == 2.0**63
    assert math.isnan(number_of(ua.DataValue(None), BAD | COMM))
    assert number_of(ua.DataValue(ua.Variant(3.5)), BAD) == 3.5


@pytest.mark.parametrize("value", [None, "12.5", [1.0, 2.0], b"\x01", STAMP])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(Rejected, match="not a number"):
        number_of(ua.DataValue(ua.Variant(value)), GOOD)


# ── asyncua's server ──────────────────────────────────────────────────────────────────────────────


class Peer:
    """asyncua's server with a few numeric variables in namespace 1."""

    def __init__(self) -> None:
        self.url = f"opc.tcp://127.0.0.1:{free_port()}"

    async def start(self) -> None:
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint(self.url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.nodes = {}
        for name in ("power", "level"):
            node_id = ua.NodeId(name, 1)
            self.nodes[name] = await self.server.nodes.objects.add_variable(node_id, name, 0.0)
        await self.server.start()

    async def set(self, name: str, value: float, *, at_s: float, status: int = 0) -> None:
        data = ua.DataValue(
            ua.Variant(value, ua.VariantType.Double),
            ua.StatusCode(status),
            SourceTimestamp=STAMP + timedelta(seconds=at_s),
            ServerTimestamp=datetime.now(UTC),
        )
        await self.server.write_attribute_value(self.nodes[name].nodeid, data)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    await peer.start()
    yield peer
    await peer.server.stop()


def points(*names: str) -> dict[str, dict[str, Any]]:
    return {n: {"quantity": "power", "unit": "kW", "opcua": {"node": f"ns=1;s={n}"}} for n in names}


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_every_value_of_a_second_server(peer: Peer, mode: str) -> None:
    plant = Plant(peer.url, bound("plc", points("power", "level")), mode=mode, every_s=0.05, sampling_s=0, queue=100)
    async with plant.run() as driven:
        await until(lambda: driven.values(key("power")))
        for n in range(1, 21):
            await peer.set("power", n / 2, at_s=n, status=0x8031_0000 if n == 20 else 0)
            await until(lambda n=n: len(driven.values(key("power"))) == n + 1)
    rows = driven.rows(key("power"))[1:]
    assert [row[1] for row in rows[:-1]] == [n / 2 for n in range(1, 20)]
    assert math.isnan(rows[-1][1])  # this server sends no value beside a bad status
    assert [row[0] for row in rows] == [nanoseconds(STAMP + timedelta(seconds=n)) for n in range(1, 21)]
    assert [row[2] for row in rows] == [GOOD] * 19 + [BAD | COMM]


async def test_a_restarted_second_server_is_read_again(peer: Peer) -> None:
    device = bound("plc", points("power"))
    plant = Plant(peer.url, device)
    async with plant.run() as driven:
        await until(lambda: driven.values(key("power")))
        await peer.server.stop()
        await until(lambda: driven.failures)
        await peer.start()
        await peer.set("power", 7.0, at_s=1)
        await until(lambda: driven.values(key("power"))[-1] == 7.0)
        await until(lambda: driven.gaps(device)[-1] == Gap.NONE)
