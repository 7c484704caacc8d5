"""What a server's history holds of the time since the last accepted values → columns, oldest first for each item.

Only raw values are read (HistoryRead with ReadRawModifiedDetails, OPC UA Part 11, 6.4.3). Continuation points are
followed, and given back where they are not needed to their end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from asyncua import ua

from collectors.opcua_columns import Columns, columns_of
from collectors.opcua_limits import TOO_MUCH
from collectors.opcua_session import Session
from config.protocols.opcua import OpcuaPoint

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_NS: Final = 1_000
_MARGIN_NS: Final = 2_000_000  # some servers count in whole milliseconds, and leave the end out
_NODES: Final = 50  # in one request, where the server takes as many
_VALUES: Final = 1_000  # of a node in one answer
_TOGETHER_NS: Final = 600 * 1_000_000_000  # nodes whose gaps begin this close to each other share a request
_IDLE: Final = 3  # answers of a node in a row with a continuation point and nothing new: it has no end
_LOOKS: Final = 3  # at a history that has not yet written what the subscription has told already
_LOOK_AGAIN_S: Final = 1.0
# A node that says one of these has more to tell when it is asked anew.
_LATER: Final = frozenset((ua.StatusCodes.BadNoContinuationPoints, ua.StatusCodes.BadContinuationPointInvalid))


@dataclass(slots=True)
class Missed:
    """The stretch of an item that is missing: after the last accepted value and before the first that came again."""

    item: int
    point: OpcuaPoint
    after_ns: int  # moves on as values come
    before_ns: int  # 0: nothing came again, all the server has is wanted
    complete: bool = False
    refused: int = 0  # the status with which the server refuses it
    idle: int = 0  # answers in a row that brought nothing new

    @property
    def open(self) -> bool:
        """Whether more of it may come."""
        return not self.complete and not self.refused

    def take(self, result: ua.HistoryReadResult) -> Columns | None:
        """Return what is new of an answer, and note how far it reaches.

        It is complete with a value that is not missing any more: one still to be written would stand before that.
        """
        status = result.StatusCode.value
        if status >> 30 > 1 and status not in _LATER:
            self.refused = status
        data: Columns = result.HistoryData
        time_ns = data.time_ns
        known_ns = np.maximum.accumulate(np.concatenate([[self.after_ns], time_ns]))[:-1]
        new = time_ns > known_ns
        if self.before_ns:
            self.complete = bool((time_ns >= self.before_ns).any())
            new &= time_ns < self.before_ns
        else:
            self.complete = not result.ContinuationPoint and status not in _LATER and len(time_ns) < _VALUES
        self.idle = 0 if new.any() else self.idle + 1
        if self.idle >= _IDLE and result.ContinuationPoint:
            self.refused = ua.StatusCodes.BadContinuationPointInvalid
        if not new.any():
            return None
        self.after_ns = int(time_ns[new][-1])
        data = data.take(new)
        return replace(data, index=np.full(len(data), self.item))


Asked = tuple[Missed, bytes | None]  # with the point from where its last answer is to be continued


class History:
    """One reading back of an open session; `missed` says afterwards what is complete and what was refused."""

    def __init__(self, session: Session, missed: Sequence[Missed], within_s: float) -> None:
        self.missed = missed
        self.values = 0
        self._session = session
        self._nodes = min(_NODES, session.limits.history)
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within_s

    @property
    def late(self) -> bool:
        """Whether its time is over."""
        return self._loop.time() > self._deadline

    async def read(self) -> AsyncGenerator[Columns]:
        """Yield values newer than all of their item before, until all is here, refused, or it is late.

        Raises what the library raises when the server is gone.
        """
        looks = 0
        while looks < _LOOKS and not self.late and (wanted := [m for m in self.missed if m.open]):
            values = self.values
            groups = _groups(wanted, self._nodes)
            while groups and not self.late:
                group = groups.pop(0)
                try:
                    async with contextlib.aclosing(self._group(group)) as found:
                        async for columns in found:
                            self.values += len(columns)
                            yield columns
                except ua.UaStatusCodeError as error:
                    groups[:0] = self._smaller(group, error.code)
            if not self.values and not await self._kept(wanted):
                for missed in (m for m in wanted if m.open):
                    missed.refused = ua.StatusCodes.BadHistoryOperationUnsupported
            if self.values == values:
                looks += 1
                if any(m.open for m in wanted):
                    await asyncio.sleep(_LOOK_AGAIN_S)

    async def _kept(self, wanted: Sequence[Missed]) -> bool:
        """Return whether the server says of any of the nodes that it keeps its history.

        One that keeps none may still answer well, with nothing: it is not to be waited for.
        """
        nodes = [node for m in wanted if (node := self._session.places[m.point].node) is not None]
        levels = await self._session.access_levels(nodes)
        return any(level & ua.AccessLevel.HistoryRead.mask for level in levels)

    def _smaller(self, group: list[Missed], status: int) -> list[list[Missed]]:
        """Return the parts in which to ask again where a request was too much; any other refusal is for good."""
        if status in TOO_MUCH and len(group) > 1:
            self._nodes = len(group) // 2
            return _groups(group, self._nodes)
        for missed in group:
            missed.refused = status
        return []

    async def _group(self, group: Sequence[Missed]) -> AsyncGenerator[Columns]:
        details = _details(group)
        asked: list[Asked] = [(missed, None) for missed in group]
        try:
            while asked and not self.late:
                results = await self._ask(details, asked, release=False)
                found = [missed.take(result) for (missed, _), result in zip(asked, results, strict=True)]
                points = [(m, r.ContinuationPoint) for (m, _), r in zip(asked, results, strict=True)]
                asked = [(m, point) for m, point in points if point]
                for columns in found:
                    if columns is not None:
                        yield columns
                if unneeded := [(m, point) for m, point in asked if not m.open]:
                    await self._ask(details, unneeded, release=True)
                    asked = [(m, point) for m, point in asked if m.open]
        finally:
            if given := [(m, point) for m, point in asked if point]:
                with contextlib.suppress(TimeoutError, OSError, ua.UaError):
                    await self._ask(details, given, release=True)

    async def _ask(
        self, details: ua.ReadRawModifiedDetails, asked: Sequence[Asked], *, release: bool
    ) -> list[ua.HistoryReadResult]:
        nodes = []
        for missed, point in asked:
            place, part = self._session.places[missed.point], self._session.elements.range(missed.point)
            nodes.append(ua.HistoryReadValueId(place.node, part, ContinuationPoint=point))
        request = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Both, release, nodes)
        results: list[ua.HistoryReadResult] = await self._session.client.uaclient.session.history_read(request)
        if len(results) == len(asked) or release:
            return results
        # Nobody knows whose these are: none of them is taken.
        return [ua.HistoryReadResult(ua.StatusCode(ua.StatusCodes.BadUnexpectedError), b"", columns_of(()))] * len(
            asked
        )


def _groups(missed: Sequence[Missed], size: int) -> list[list[Missed]]:
    """Return items in groups that one request may ask for: of about the same beginning, at most `size`."""
    groups: list[list[Missed]] = []
    for one in sorted(missed, key=lambda m: m.after_ns):
        if groups and len(groups[-1]) < size and one.after_ns - groups[-1][0].after_ns <= _TOGETHER_NS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _details(group: Sequence[Missed]) -> ua.ReadRawModifiedDetails:
    """Return the stretch of a group, with the first value that came again, by which a history is known complete."""
    ends = [m.before_ns for m in group]
    end = datetime.now(UTC) if 0 in ends else _datetime(max(ends) + _MARGIN_NS)
    start = _datetime(min(m.after_ns for m in group))
    return ua.ReadRawModifiedDetails(
        IsReadModified=False, StartTime=start, EndTime=end, NumValuesPerNode=_VALUES, ReturnBounds=False
    )


def _datetime(time_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_ns // _MICROSECOND_NS)
