"""The value of a variable → the element of an array and the field of a structure a point means.

One element of an array is asked for on the wire (IndexRange) where the server has shown that it keeps to that; else
the whole value comes, and the element is taken here. What is taken is told apart by what was asked, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncua import ua

from collectors.opcua_limits import Limits, in_parts
from collectors.opcua_structures import Structures
from config.errors import Rejected
from config.protocols.opcua import OpcuaPoint

Located = tuple[OpcuaPoint, ua.NodeId]


class Elements:
    """How the elements of one session's points are had; points that mean a whole value cost nothing."""

    def __init__(self, session: Any, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._structures = Structures(session, limits)
        self._ranges: dict[OpcuaPoint, str] = {}

    async def prepare(self, points: Sequence[Located]) -> None:
        """Learn the structures points have fields of, and find out for arrays whether one element can be asked for."""
        if fields := [node for point, node in points if point.field]:
            await self._structures.learn(fields)
        arrays = [(point, node) for point, node in points if point.index]
        wanted = [(node, part) for point, node in arrays for part in (None, _wire(point.index))]
        asked = [ua.ReadValueId(node, ua.AttributeIds.Value, part) for node, part in wanted]
        values = await in_parts(asked, self._limits, "read", self._read)
        for (point, _), whole, one in zip(arrays, values[::2], values[1::2], strict=True):
            if _keeps(whole, one):
                self._ranges[point] = _wire(point.index)

    async def _read(self, asked: Sequence[ua.ReadValueId]) -> list[ua.DataValue]:
        request = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Neither, NodesToRead=list(asked))
        values: list[ua.DataValue] = await self._session.read(request)
        return values

    def range(self, point: OpcuaPoint) -> str | None:
        """Return the IndexRange to ask for, None for the whole value."""
        return self._ranges.get(point)

    def of(self, point: OpcuaPoint, data: ua.DataValue) -> ua.DataValue:
        """Return the element a point means, with time and status of the whole. Raises Rejected where there is none."""
        if not (point.index or point.field) or data.Value is None or data.Value.Value is None:
            return data
        value = data.Value.Value
        for number in (0,) * len(point.index) if point in self._ranges else point.index:
            value = _element(value, number, point)
        for name in point.field.split(".") if point.field else ():
            if name.isdecimal() and isinstance(value, list):
                value = _element(value, int(name), point)
            else:
                value = self._field(value, name)
        return ua.DataValue(ua.Variant(value), data.StatusCode, data.SourceTimestamp, data.ServerTimestamp)

    def _field(self, value: Any, name: str) -> Any:
        fields = value if isinstance(value, dict) else self._structures.fields(value)
        if name not in fields:
            raise Rejected(f"the structure has no field '{name}'; it has: {', '.join(fields) or 'none'}")
        return fields[name]


def _wire(index: Sequence[int]) -> str:
    return ",".join(map(str, index))


def _keeps(whole: ua.DataValue, one: ua.DataValue) -> bool:
    """Return whether asking for one element brought just that, seen where the whole holds more than one."""
    if whole.Value is None or one.Value is None:
        return False
    all_of_it, part = whole.Value.Value, one.Value.Value
    if not isinstance(all_of_it, list) or not isinstance(part, list):
        return False
    return _size(all_of_it) > 1 and _size(part) == 1


def _size(value: Any) -> int:
    return sum(map(_size, value)) if isinstance(value, list) else 1


def _element(value: Any, number: int, point: OpcuaPoint) -> Any:
    if not isinstance(value, list):
        raise Rejected(f"the value is no array of {len(point.index)} dimensions; correct 'index:'")
    if number >= len(value):
        raise Rejected(f"the array has {len(value)} elements, the first is 0; correct 'index:'")
    return value[number]
