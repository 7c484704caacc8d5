"""A DataValue of OPC UA → time, number and quality; raises Rejected for what is no number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from asyncua import ua

from config.errors import Rejected
from config.protocols.opcua import OpcuaPoint
from pipeline.quality import BAD, COMM, GOOD, RANGE, STALE, UNCERTAIN

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_TIME: Final = 2200  # from this year on a time is one that servers use for none

# Status codes that say why, without their 16 info bits. Source: OPC UA Part 4 table 178, Part 8 table 24.
_Codes = ua.StatusCodes
_REASONS: dict[int, int] = {
    code: reason
    for reason, codes in {
        COMM: (
            _Codes.BadNoCommunication, _Codes.BadCommunicationError, _Codes.BadNotConnected, _Codes.BadDeviceFailure,
            _Codes.BadSensorFailure, _Codes.BadTimeout, _Codes.BadConnectionClosed, _Codes.BadServerNotConnected,
        ),
        STALE: (_Codes.UncertainLastUsableValue, _Codes.BadWaitingForInitialData, _Codes.BadOutOfService),
        COMM | STALE: (_Codes.UncertainNoCommunicationLastUsableValue,),
        RANGE: (_Codes.UncertainEngineeringUnitsExceeded,),
    }.items()
    for code in codes
}  # fmt: skip

# The node itself is wrong, not its value.
NO_SUCH_NODE = frozenset(
    (_Codes.BadNodeIdUnknown, _Codes.BadNoMatch, _Codes.BadNodeIdInvalid, _Codes.BadAttributeIdInvalid,
     _Codes.BadNotReadable, _Codes.BadUserAccessDenied)
)  # fmt: skip

_INFO_BITS = 0xFFFF
_INFO_IS_OF_DATA_VALUE, _INFO_TYPE, _OVERFLOW = 0x0400, 0x0C00, 0x0080


def quality_of(status: int) -> int:
    """Return the quality of a StatusCode: its two severity bits and, where it names one, the reason."""
    severity = (GOOD, UNCERTAIN, BAD, BAD)[status >> 30]
    return severity | _REASONS.get(status & ~_INFO_BITS, 0)


def overflowed(status: int) -> bool:
    """Return whether the server dropped values from this item's queue (info bits, OPC UA Part 4 table 177)."""
    return status & _INFO_TYPE == _INFO_IS_OF_DATA_VALUE and bool(status & _OVERFLOW)


def time_of(data: ua.DataValue) -> int:
    """Return the source's time, else the server's [ns UTC]; 0 where neither stands in the value."""
    for stamp in (data.SourceTimestamp, data.ServerTimestamp):
        if stamp is not None and 1970 <= stamp.year < _NO_TIME and (time_ns := nanoseconds(stamp)):
            return time_ns
    return 0


def nanoseconds(stamp: datetime) -> int:
    """Return a time [ns UTC]; a naive one is UTC, as on the wire."""
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND * 1000


def number_of(data: ua.DataValue, quality: int) -> float:
    """Return the value as a number, a Boolean as 0 or 1; a bad one without a value is NaN. Raises Rejected."""
    value = data.Value.Value if data.Value is not None else None
    if isinstance(value, (int, float)):
        return float(value)
    if value is None and quality & BAD:
        return float("nan")
    kind = "nothing" if value is None else f"{data.Value.VariantType.name} {'array' if data.Value.is_array else ''}"
    raise Rejected(f"the node holds {kind.strip()}, not a number; choose a numeric variable")


class Heard(NamedTuple):
    """What a server said last of a node: type, value and status as it names them, and when it came [ns UTC]."""

    point: str
    node: str
    type: str
    value: str
    status: str
    source_ns: int  # 0: it did not say
    at_ns: int  # 0: nothing came yet


_LONGEST: Final = 200  # characters of a value that are shown


def heard(point: str, node: OpcuaPoint, data: ua.DataValue | None, at_ns: int) -> Heard:
    """Return what is known of a node's last value."""
    if data is None:
        return Heard(point, str(node), "", "", "", 0, 0)
    variant = data.Value
    kind = "" if variant is None else variant.VariantType.name + (" array" if variant.is_array else "")
    shown = "" if variant is None or variant.Value is None else str(variant.Value)[:_LONGEST]
    status = data.StatusCode.name if data.StatusCode else "Good"
    return Heard(point, str(node), kind, shown, status, time_of(data), at_ns)
