"""A template or data set of a message → those of its members that points are fed by, each by its path.

One message can hold fifty thousand members below a name of a megabyte: a path is made only of what can be sought.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple, Self

from collectors.sparkplug_nodes import Known
from collectors.sparkplug_payload import MOST_METRICS, Metric, described, parse, text
from collectors.sparkplug_types import DATASET, TEMPLATE, Typed, split_index
from config.errors import Rejected

DEEPEST: Final = 8  # templates in templates


class Sought(NamedTuple):
    """Members that are wanted, by their paths `name/member`; `ways` are what stands before a slash in one of them."""

    paths: frozenset[str]
    ways: frozenset[str]
    longest: int  # characters

    @classmethod
    def of(cls, paths: Collection[str]) -> Self:
        ways = frozenset(path[:at] for path in paths for at, character in enumerate(path) if character == "/")
        return cls(frozenset(paths), ways, max(map(len, paths), default=0))


def members(metric: Metric, sought: Sought) -> dict[str, Metric]:
    """Return what is sought and there: members of a template instance, or of templates in it, or cells of a data set.

    A cell is `name/column[row]`; in a data set of one row `name/column` as well. All else is passed over: no name is
    made of it and nothing of it is kept. Raises Rejected when it goes too deep or is too large.
    """
    return _Walk(sought).of(metric)


def parts(known: Known, metric: Metric, sought: Sought) -> dict[str, Metric]:
    """Return the sought members of a template or data set, with the types of the birth where they state none.

    Raises Rejected.
    """
    if metric.null or metric.typed.kind not in (TEMPLATE, DATASET):
        return {}
    found = members(metric, sought)
    for name, member in found.items():
        if member.typed.kind:
            known.kinds[name] = member.typed.kind
        elif name in known.kinds:
            found[name] = member._replace(typed=member.typed._replace(kind=known.kinds[name]))
    return found


class _Walk:
    """The way through the members of one metric to those that are sought."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        self._left = MOST_METRICS
        self._found: dict[str, Metric] = {}

    def of(self, metric: Metric) -> dict[str, Metric]:
        self._collect(metric, 0)
        return self._found

    def _collect(self, metric: Metric, depth: int) -> None:
        if metric.typed.field == "dataset":
            self._found |= _cells(metric, self._sought.paths)
            return
        if metric.typed.field != "template":
            raise Rejected(f"is said to have members, but its value stands as {metric.typed.field}")
        if depth > DEEPEST:
            raise Rejected(f"templates within templates, more than {DEEPEST} deep")
        for raw in self._of_template(metric.typed.value):
            found = parse("Metric", raw)
            # Its characters take four bytes at most: one whose path would be longer than all that are sought is none.
            if len(metric.name) + len(found.name) // 4 >= self._sought.longest:
                continue
            path = f"{metric.name}/{text(found.name)}"
            through = path in self._sought.ways and found.WhichOneof("value") in ("template", "dataset")
            if through or path in self._sought.paths:
                member = described(found, path)
                self._found[path] = member._replace(time_ms=member.time_ms or metric.time_ms)
                if through:
                    self._collect(self._found[path], depth + 1)

    def _of_template(self, data: bytes) -> Sequence[bytes]:
        template = parse("Template", data)
        if template.is_definition:
            return ()
        self._left -= len(template.metrics)
        if self._left < 0:
            raise Rejected(f"more than {MOST_METRICS} members in one metric")
        inner: Sequence[bytes] = template.metrics
        return inner


def _cells(metric: Metric, wanted: Collection[str]) -> dict[str, Metric]:
    table = parse("DataSet", metric.typed.value)
    if len(table.columns) > MOST_METRICS:
        raise Rejected(f"more than {MOST_METRICS} columns in one metric")
    columns = {column: at for at, column in enumerate(table.columns[: len(table.types)])}
    rows: dict[int, Sequence[bytes]] = {}
    found: dict[str, Metric] = {}
    for path in wanted:
        for column, row in _places(path, f"{metric.name}/", len(table.rows)):
            at = columns.get(column.encode())
            if at is None:
                continue
            if row not in rows:
                rows[row] = parse("Row", table.rows[row]).elements
            if at < len(rows[row]) and (typed := _cell(table.types[at], rows[row][at])) is not None:
                found[path] = metric._replace(name=path, typed=typed)
    return found


def _places(path: str, prefix: str, rows: int) -> Iterator[tuple[str, int]]:
    """Yield which cells, by column and row, a path can mean in a data set of so many rows."""
    column, row = split_index(path)
    if row is not None and row < rows and column.startswith(prefix):
        yield column.removeprefix(prefix), row
    if rows == 1 and path.startswith(prefix):
        yield path.removeprefix(prefix), 0


def _cell(kind: int, data: bytes) -> Typed | None:
    value = parse("DataSetValue", data)
    field = value.WhichOneof("value")
    return Typed(kind, field, getattr(value, field)) if field else None
