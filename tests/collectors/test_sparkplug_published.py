"""The Sparkplug collector on the real Mosquitto: it keeps silent unless it is allowed to publish."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket

import pytest

from pipeline.gaps import Gap
from tests.collectors.sparkplug_parts import POWER, Host, payload
from tests.collectors.sparkplug_plain import T0, birth, plain, power, ready
from tests.interop import saw
from tests.services.mosquitto import Mosquitto
from tests.waiting import until


async def test_nothing_is_published_unless_allowed(mosquitto: Mosquitto) -> None:
    host = Host(mosquitto, host_id="tanflow")
    with plain(mosquitto) as ears:
        async with host.run() as driven:
            await ready(host, ears)
            await ears.say("NDATA", payload(9, power(1.0)))  # before its birth
            await until(lambda: Gap.SEQUENCE in driven.gaps(host.devices[0]))
            await ears.say("NBIRTH", birth())
            await ears.say("NDATA", payload(5, power(1.0)))  # four are missing
            await until(lambda: "sequence number 1 is missing" in host.counters.links["furnace.press"])
            await ears.say("NDEATH", payload(None), qos=1)
            await until(lambda: driven.gaps(host.devices[0])[-1] == Gap.STALE)
            ears.is_ready = False
            await asyncio.to_thread(mosquitto.restart)
            await until(lambda: driven.failures)
            await ready(host, ears)
        await ears.say("NDATA", b"the last")
        await until(lambda: ears.heard and ears.heard[-1][1] == b"the last")
    kinds = {topic.split("/")[2] for topic, _, _ in ears.heard}
    assert kinds <= {"NDATA", "NBIRTH", "NDEATH"}  # its own alone


@pytest.mark.writes("request_rebirth: true")
async def test_a_rebirth_is_asked_for_where_allowed(mosquitto: Mosquitto) -> None:
    host = Host(mosquitto, request_rebirth=True)
    with plain(mosquitto) as ears:
        async with host.run() as driven:
            await until(lambda: any("/NCMD/" in topic for topic, _, _ in ears.heard))
            await ears.say("NBIRTH", birth())
            await until(lambda: driven.values(POWER) == [0.5])
            await ears.say("NDATA", payload(1, power(1.0), timestamp=T0 + 1))
            await until(lambda: driven.values(POWER) == [0.5, 1.0])
        assert {topic for topic, _, _ in ears.heard if "/NDATA/" not in topic and "/NBIRTH/" not in topic} == {
            "spBv1.0/Hall1/NCMD/press"
        }


@pytest.mark.writes("publish_state: true")
async def test_state_is_published_where_allowed(mosquitto: Mosquitto) -> None:
    host = Host(mosquitto, host_id="tanflow", publish_state=True)
    with plain(mosquitto) as ears:

        def states() -> list[tuple[bool, int]]:
            found = [json.loads(data) for topic, data, _ in ears.heard if topic == "spBv1.0/STATE/tanflow"]
            return [(s["online"], s["timestamp"]) for s in found]

        await until(lambda: ears.is_ready)
        async with host.run() as driven:
            await until(lambda: states())
            [(online, since)] = states()
            assert online
            # The will of an earlier connection, late: nodes that ask now would take the host to be offline.
            late = json.dumps({"online": False, "timestamp": since - 1}).encode()
            ears._client.publish("spBv1.0/STATE/tanflow", late, 1, retain=True)
            await until(lambda: len(states()) == 3)
            await ears.say("NBIRTH", birth())
            await until(lambda: driven.values(POWER))
        await until(lambda: states()[-1] == (False, since))
        # The broker may find the connection closed before it reads that it was ended: then the will says it once more.
        once = [told for told, _ in itertools.groupby(states())]
        assert once == [(True, since), (False, since - 1), (True, since), (False, since)]
        async with host.run():
            await until(lambda: states()[-1][0])
            second = states()[-1][1]
            assert host.collector._link is not None
            connected = host.collector._link._socket
            assert isinstance(connected, socket.socket)
            connected.shutdown(socket.SHUT_RDWR)  # as if the gateway were gone
            await until(lambda: (False, second) in states(), what="the will")
    with plain(mosquitto) as late_ears:
        await until(lambda: late_ears.heard)
        assert late_ears.heard[0][0] == "spBv1.0/STATE/tanflow"
        assert late_ears.heard[0][2]  # retained


@pytest.mark.writes("publish_state: true")
async def test_state_for_nodes_of_sparkplug_2_is_one_word(mosquitto: Mosquitto) -> None:
    host = Host(mosquitto, host_id="tanflow", publish_state=True, state_version=2)
    with plain(mosquitto) as ears:

        def states() -> list[bytes]:
            return [data for topic, data, _ in ears.heard if topic == "STATE/tanflow"]

        await until(lambda: ears.is_ready)
        async with host.run():
            await until(lambda: states() == [b"ONLINE"])
            ears._client.publish("STATE/tanflow", b"OFFLINE", 1, retain=True)  # the will of an earlier connection
            await until(lambda: states()[-2:] == [b"OFFLINE", b"ONLINE"])
        await until(lambda: states()[-1] == b"OFFLINE")
        async with host.run():
            await until(lambda: states()[-1] == b"ONLINE")
            connected = host.collector._link._socket if host.collector._link is not None else None
            assert isinstance(connected, socket.socket)
            before = len(states())
            connected.shutdown(socket.SHUT_RDWR)  # as if the gateway were gone
            await until(lambda: b"OFFLINE" in states()[before:], what="the will")
        assert {topic for topic, _, _ in ears.heard} == {"STATE/tanflow"}
    with plain(mosquitto) as late_ears:
        await until(lambda: late_ears.heard)
        assert late_ears.heard[0] == ("STATE/tanflow", b"OFFLINE", True)  # retained
    saw(
        "Sparkplug B",
        "Mosquitto",
        "STATE of Sparkplug 2.2 (ONLINE, OFFLINE), will and late will",
        "as nodes wait for it",
    )
