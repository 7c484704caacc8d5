"""A read that failed → what it means and what to try next, for whoever stands before the device."""

from __future__ import annotations

from typing import Final

from collectors.modbus_frames import BITS, Failure, Read
from pipeline.gaps import Gap
from tanflow.commissioning.addresses import Way

_OTHER: Final = {"holding": "input", "input": "holding", "coil": "discrete", "discrete": "coil"}
_FIRST: Final = {"holding": 40_001, "input": 30_001, "discrete": 10_001, "coil": 1}  # as manuals number them
# What is said of a reply whose framing was right.
_FRAMED: Final = ("answered instead of", "answer to function", "bytes of data", "CRC is wrong")


def explained(failure: Failure, read: Read, way: Way) -> list[str]:
    """Return what a failure says, then the hints that fit it, the likeliest first."""
    known = {2: _no_address, 1: _no_function, 10: _no_path, 11: _no_path, 6: _busy, 5: _busy}
    if failure.code in known:
        return known[failure.code](read, way)
    if failure.code:
        return [f"unit {read.unit} refuses: {failure.words}", "the device's manual says what it means by this code"]
    if failure.cause is Gap.REFUSED:
        return _unreachable(failure, way)
    if failure.cause is Gap.MALFORMED:
        return (
            _not_asked(failure, read, way) if any(w in failure.words for w in _FRAMED) else _garbage(failure, read, way)
        )
    told = {Gap.TIMEOUT: _silent, Gap.DISCONNECTED: _hung_up}
    return told[failure.cause](read, way) if failure.cause in told else [failure.words]


def _things(read: Read) -> str:
    thing = {"coil": "coil", "discrete": "discrete input"}.get(read.table, f"{read.table} register")
    if read.length == 1:
        return f"{thing} {read.address}"
    return f"{thing}s {read.address} to {read.address + read.length - 1}"


def _no_address(read: Read, way: Way) -> list[str]:
    """Illegal data address: Modbus Application Protocol V1.1b3 §7, code 2."""
    said = [f"illegal data address (exception 2): unit {read.unit} has no {_things(read)}, or not all in one read"]
    first = _FIRST[read.table]
    if first > 1 and first <= read.address < first + 10_000:
        said.append(
            f"manuals that number registers from {first} mean address {read.address - first} by {read.address}: "
            f"&address={read.address - first}"
        )
    elif read.address > 0:
        said.append(f"manuals that count from 1 mean the address before: &address={read.address - 1}")
    said.append(f"it may stand in the other table: &table={_OTHER[read.table]} (function {_function(read)})")
    if read.length > 1:
        said.append("some devices read no registers that are not used: fewer at once, &count=1")
    return said


def _no_function(read: Read, way: Way) -> list[str]:
    return [
        f"illegal function (exception 1): unit {read.unit} has no table of {_things(read).split(' ')[0]} "
        f"{'bits' if read.table in BITS else 'registers'}",
        f"try the other one: &table={_OTHER[read.table]} (function {_function(read)})",
    ]


def _function(read: Read) -> int:
    return {"holding": 4, "input": 3, "coil": 2, "discrete": 1}[read.table]


def _no_path(read: Read, way: Way) -> list[str]:
    return [
        f"the gateway at {way.name} answers, but unit {read.unit} behind it does not",
        f"which units answer: tanflow scan {_scan(way)}",
        "on its serial side: wiring (A/B swapped), baud rate, parity, the unit's own number, power",
    ]


def _busy(read: Read, way: Way) -> list[str]:
    return [
        f"unit {read.unit} is busy: it answers, but not with values yet",
        "wait a little and ask again; another master may be asking it at the same time",
    ]


def _unreachable(failure: Failure, way: Way) -> list[str]:
    if way.serial is not None:
        return [failure.words]
    return [
        failure.words,
        "is the address right, and the device on the same network? ping it",
        "502 is the usual port, serial servers have others (4196, 8899 …); in some meters Modbus TCP is off at first",
    ]


def _silent(read: Read, way: Way) -> list[str]:
    if way.serial is not None:
        line = f"{way.serial.baudrate} baud, parity {way.serial.parity}, {way.serial.stop_bits} stop bits"
        return [
            f"no answer from unit {read.unit} on {way.name} ({line})",
            "its baud rate and parity may be others: ?baudrate=9600&parity=N (nearly all are 9600, then 19200, 4800)",
            f"its number may be another: tanflow scan {_scan(way)}; A and B may be swapped",
        ]
    said = [f"{way.name} takes the connection, but unit {read.unit} does not answer"]
    if way.rtu:
        said.append(f"it may speak Modbus TCP rather than RTU: modbus://{way.address(read.unit)}")
    else:
        said.append(f"a plain serial server passes RTU through: modbus+rtu://{way.address(read.unit)}")
    return [
        *said,
        f"its number may be another: tanflow scan {_scan(way)}; meters with a network plug often have 1, 255 or 0",
        "a slow serial line behind it needs more time: --timeout 5",
    ]


def _not_asked(failure: Failure, read: Read, way: Way) -> list[str]:
    return [
        f"{way.name} answers, but not what was asked: {failure.words}",
        "a second master on the same line, or a reply that came too late: stop others, and ask again with --timeout 5",
        f"some devices answer under a number of their own, or never with so much: tanflow scan {_scan(way)}, &count=1",
    ]


def _garbage(failure: Failure, read: Read, way: Way) -> list[str]:
    said = [f"what {way.name} answers is not {'Modbus RTU' if way.rtu else 'Modbus TCP'}: {failure.words}"]
    if way.serial is not None:
        return [*said, "its baud rate and parity may be others: ?baudrate=9600&parity=N; or A and B are swapped"]
    other = "modbus" if way.rtu else "modbus+rtu"
    hint = f"it may speak the other framing: {other}://{way.address(read.unit)}; or another protocol has this port"
    return [*said, hint]


def _hung_up(read: Read, way: Way) -> list[str]:
    return [
        f"{way.name} closed the connection instead of answering",
        "many devices serve only one or two masters at a time: close the others (a gateway, a SCADA, the maker's tool)",
        "some admit only addresses on a list: look for 'allowed clients' in the device",
    ]


def _scan(way: Way) -> str:
    scheme = "modbus+rtu" if way.rtu and way.serial is None else "modbus"
    return f"{scheme}://{way.name}"
