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


def state_topic(host_id: str) -> str:
    return f"spBv1.0/STATE/{host_id}"


def state(host_id: str, online: bool, since_ms: int) -> Outgoing:
    """Return STATE of a host application: QoS 1, retained; in birth and death the time is that of its connection."""
    return Outgoing(state_topic(host_id), orjson.dumps({"online": online, "timestamp": since_ms}), 1, True)


def parse_state(payload: bytes) -> tuple[bool, int]:
    """Return (online, time [ms]) of a STATE message; raises Rejected."""
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
