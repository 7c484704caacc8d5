"""The only two messages a Sparkplug host publishes, each only where the user allows it: a request for birth, and STATE.

There is no way to name another metric to write: the request is these bytes and nothing else.
"""

from __future__ import annotations

from typing import Final

import orjson

from collectors.mqtt_link import Outgoing
from config.errors import Rejected

_REBIRTH: Final = b"\x0a\x14Node Control/Rebirth\x20\x0b\x70\x01"  # name (1), datatype (4) Boolean, boolean_value (14)


def rebirth(group: str, node: str, now_ms: int) -> Outgoing:
    """Return the command that asks a node for new birth certificates (Sparkplug 3.0.0, 6.4.20): QoS 0, not retained."""
    payload = b"\x08" + _varint(now_ms) + b"\x12" + _varint(len(_REBIRTH)) + _REBIRTH
    return Outgoing(f"spBv1.0/{group}/NCMD/{node}", payload, 0, False)


def state_topic(host_id: str, version: int = 3) -> str:
    """Return where nodes of this version of Sparkplug look for their primary host."""
    return f"STATE/{host_id}" if version == 2 else f"spBv1.0/STATE/{host_id}"


def state(host_id: str, online: bool, since_ms: int, version: int = 3) -> Outgoing:
    """Return STATE of a host application: QoS 1, retained; in birth and death the time is that of its connection.

    Since Sparkplug 3.0 it is JSON, before that one word without a time (Sparkplug 2.2, message type STATE).
    """
    words = b"ONLINE" if online else b"OFFLINE"
    payload = words if version == 2 else orjson.dumps({"online": online, "timestamp": since_ms})
    return Outgoing(state_topic(host_id, version), payload, 1, True)


def parse_state(payload: bytes, version: int = 3) -> tuple[bool, int]:
    """Return (online, time [ms], 0 where the version has none) of a STATE message; raises Rejected."""
    if version == 2:
        if payload not in (b"ONLINE", b"OFFLINE"):
            raise Rejected("not a STATE message; it is ONLINE or OFFLINE in Sparkplug 2")
        return payload == b"ONLINE", 0
    try:
        found = orjson.loads(payload)
        return bool(found["online"]), int(found["timestamp"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise Rejected('not a STATE message; it is {"online": …, "timestamp": …} since Sparkplug 3.0') from error


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
