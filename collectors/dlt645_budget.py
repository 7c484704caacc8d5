"""A plant's DL/T 645 meters in; their lines out, with the time a cycle takes and what each meter uses of it.

A question occupies a line for request and answer, character by character, the time the meter takes to begin its answer,
and the silence before the next request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from collectors.dlt645_frames import AROUND
from collectors.dlt645_line import PAUSE_S
from collectors.line_budget import Bus, Share
from config.bindings import BoundDevice
from config.model import Gateway
from config.protocols.dlt645 import Dlt645Connection, Dlt645Point, dlt645_address
from config.protocols.serial import Serial

# A meter may take 20 to 500 ms to begin (DL/T 645-2007 §5.3.3) and puts 4 bytes FEH in front; this is reckoned with.
ANSWERS_S: Final = 0.1
_PREAMBLE: Final = 4
_IDENTIFIER: Final = 4


def buses(gateway: Gateway, devices: Iterable[BoundDevice]) -> list[Bus]:
    """Return all lines with DL/T 645 meters, in the order of the configuration."""
    found: dict[str, Bus] = {}
    for bound in devices:
        connection = gateway.connections[bound.device.connection]
        if not isinstance(connection, Dlt645Connection):
            continue
        at = dlt645_address(bound.device.address)
        name = f"{at.host}:{at.port}" if at.host else str(connection.serial.port)
        bus = found.setdefault(name, Bus(name, connection.serial, bound.device.connection))
        bus.shares.append(_share(bound, connection))
    return list(found.values())


def question_s(data_bytes: int, line: Serial, preamble: int) -> float:
    """Return how long one question occupies a line whose answer has so many bytes of data behind its identifier [s]."""
    characters = preamble + AROUND + _IDENTIFIER + _PREAMBLE + AROUND + _IDENTIFIER + data_bytes
    return characters * line.bits_per_character / line.baudrate + ANSWERS_S + PAUSE_S


def _share(bound: BoundDevice, connection: Dlt645Connection) -> Share:
    sizes = answer_sizes([point.dlt645 for point in bound.points.values() if point.dlt645])

    def cost_s(line: Serial) -> float:
        return sum(question_s(size, line, connection.preamble) for size in sizes)

    return Share(bound.key, len(sizes), cost_s, connection.serial, bound.device.every_s or connection.every_s)


def answer_sizes(places: Iterable[Dlt645Point]) -> Sequence[int]:
    """Return the bytes of data in the answer to each question; of a row, up to the last value that is wanted."""
    sizes: dict[str, int] = {}
    for place in places:
        sizes[place.data] = max(sizes.get(place.data, 0), ((place.item or 0) + 1) * place.stride)
    return list(sizes.values())
