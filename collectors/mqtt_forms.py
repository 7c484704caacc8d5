"""Points that stand in a payload in one form → a route that reads their values, and each value's time, out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from collectors.mqtt_payload import (
    Number,
    Path,
    compile_column,
    compile_each,
    compile_path,
    csv_decoder,
    decode,
    decode_text,
    elements,
    find,
    number_reader,
)
from collectors.mqtt_time import TimeOf, time_parser
from config.errors import Rejected
from config.protocols.mqtt import Form

Decode = Callable[[bytes], Any]
Reading = tuple[int | None, int, float]  # its time [ns UTC] (None: the payload has none), series, value


@dataclass(frozen=True, slots=True)
class Route:
    """A filter and what it feeds: points of one device, named by its index, that are written in one form.

    `points` are (name, series, path, number) where a message brings one value of each; where it brings several,
    `lists` are (path of the list, path in each element) of the time and of each point.
    """

    filter: str
    device: int
    decode: Decode
    time_of: TimeOf
    time_path: Path | None
    points: tuple[tuple[str, int, Path, Number], ...]
    lists: tuple[tuple[Path, Path], ...]
    timed: bool

    def several(self, document: Any) -> tuple[list[Reading], list[str]]:
        """Return the readings of a message that brings several of each point, and what is wrong with the rest."""
        readings: list[Reading] = []
        wrong: list[str] = []
        times = self._times(document) if self.timed else None
        for (name, series, _, number), (where, path) in zip(self.points, self.lists[1:], strict=True):
            try:
                found = elements(document, where)
                for index, (element, time) in enumerate(zip(found, _matching(times, len(found)), strict=True)):
                    try:
                        if isinstance(time, Rejected):
                            raise time
                        readings.append((time, series, number(_at(element, path))))
                    except Rejected as error:
                        wrong.append(f"{name} [{index}] {error}")
            except Rejected as error:
                wrong.append(f"{name} {error}")
        return readings, wrong

    def _times(self, document: Any) -> list[int | Rejected]:
        """Return the time of each element, or why it has none. Raises Rejected."""
        where, path = self.lists[0]
        times: list[int | Rejected] = []
        for element in elements(document, where):
            try:
                times.append(self.time_of(_at(element, path, "has no time")))
            except Rejected as error:
                times.append(error)
        return times


def _matching(times: list[int | Rejected] | None, count: int) -> Sequence[int | Rejected | None]:
    """Return a time for each of so many values. Raises Rejected."""
    if times is None:
        if count > 1:
            raise Rejected(f"{count} values and no time for each; say time_path")
        return [None] * count
    if len(times) != count:
        raise Rejected(f"{count} values and {len(times)} times")
    return times


def _at(element: Any, path: Path, missing: str = "missing in the payload") -> Any:
    try:
        return find(element, path)
    except LookupError as error:
        raise Rejected(missing) from error


def route(topic_filter: str, device: int, points: Sequence[tuple[str, int, Form]], now_ns: Callable[[], int]) -> Route:
    """Return the route of some (name, series, form), all of one form but for their paths and texts."""
    form = points[0][2]
    each = form.each
    lists = [_list(form.payload, form.time_path or ""), *(_list(f.payload, f.path) for _, _, f in points)]
    return Route(
        topic_filter,
        device,
        _decoder(form, [f.path for _, _, f in points]),
        time_parser(form.time_format, form.time_zone, now_ns),
        None if form.time_path is None or each else compile_path(form.time_path),
        tuple((name, s, () if each else compile_path(f.path), number_reader(_text(f))) for name, s, f in points),
        tuple(lists) if each else (),
        form.time_path is not None,
    )


def _list(payload: str, path: str) -> tuple[Path, Path]:
    return ((), compile_column(path)) if payload == "csv" else compile_each(path)


def _text(form: Form) -> str | None:
    return form.text or (None if form.payload == "json" else "number")


def _decoder(form: Form, paths: Sequence[str]) -> Decode:
    if form.payload == "json":
        return decode
    if form.payload == "number":
        return decode_text
    named = any(not (path.isascii() and path.isdecimal()) for path in _columns(form, paths))
    return csv_decoder(form.separator, header=named)


def _columns(form: Form, paths: Sequence[str]) -> Iterator[str]:
    yield from paths
    if form.time_path is not None:
        yield form.time_path


def last_value(payload: bytes, form: Form) -> float | None:
    """Return the last number a payload has in a form; None where it has none. Raises Rejected."""
    alone = route("", 0, [("", 0, form)], lambda: 0)
    document = alone.decode(payload)
    if alone.lists:
        where, path = alone.lists[1]
        values = elements(document, where)
        document = values[-1] if values else {}
    else:
        path = alone.points[0][2]
    number = alone.points[0][3](_at(document, path))
    return None if number != number else number
