"""Members of templates and cells of data sets: those that are sought as a plain reading has them, and at what cost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sparkplug_members import DEEPEST, Sought, members
from collectors.sparkplug_payload import MOST_METRICS, decode
from collectors.sparkplug_types import NAMES, Typed, element, elements
from config.errors import Rejected
from tests.collectors.sparkplug_bomb import BOMBS
from tests.collectors.sparkplug_parts import REFERENCE, payload

ROOT = Path(__file__).parents[2]
_MOST_GROWN_MB = 200  # of two messages of 4 MiB at most
names = st.text(st.sampled_from("ab[]0/é"), max_size=4)
leaves = st.builds(lambda name, value: {"name": name, "datatype": 10, "double_value": value}, names, st.floats())


def _table(columns: list[str], rows: list[list[float | None]]) -> Any:
    cells = [
        [REFERENCE["DataSetValue"]() if c is None else REFERENCE["DataSetValue"](double_value=c) for c in row]
        for row in rows
    ]
    of_rows = [REFERENCE["Row"](elements=row) for row in cells]
    return REFERENCE["DataSet"](columns=columns, types=[10] * len(columns), rows=of_rows)


tables = st.builds(
    lambda name, columns, rows: {"name": name, "datatype": 16, "dataset_value": _table(columns, rows)},
    names,
    st.lists(st.text(st.sampled_from("abé"), max_size=2), max_size=4, unique=True),
    st.lists(st.lists(st.none() | st.floats(), max_size=5), max_size=3),
)
templates = st.recursive(
    leaves | tables,
    lambda inner: st.builds(
        lambda name, parts: {"name": name, "datatype": 19, "template_value": {"metrics": parts}},
        names,
        st.lists(inner, max_size=4),
    ),
    max_leaves=7,
)


def flat(metric: Any, prefix: str) -> dict[str, float | None]:
    """Return all members of a metric as Google's protobuf reads them; None for what is no number."""
    found: dict[str, float | None] = {}
    for member in metric.template_value.metrics:
        name = f"{prefix}/{member.name}"
        field = member.WhichOneof("value")
        found[name] = member.double_value if field == "double_value" else None
        if field in ("template_value", "dataset_value"):
            found |= flat(member, name)
    table = metric.dataset_value
    for number, row in enumerate(table.rows):
        for column, cell in zip(table.columns, row.elements, strict=False):
            if cell.WhichOneof("value"):
                found[f"{prefix}/{column}[{number}]"] = cell.double_value
                if len(table.rows) == 1:
                    found[f"{prefix}/{column}"] = cell.double_value
    return found


@given(parts=st.lists(templates, max_size=5), data=st.data())
def test_what_is_sought_is_what_a_plain_reading_has(parts: list[dict[str, Any]], data: st.DataObject) -> None:
    message = payload(0, {"name": "Top", "datatype": 19, "template_value": {"metrics": parts}})
    [metric] = decode(message).metrics()
    expected = flat(REFERENCE["Payload"].FromString(message).metrics[0], "Top")
    some = st.sampled_from(sorted(expected)) if expected else st.nothing()
    paths = data.draw(st.sets(some | names.map("Top/{}".format)))
    found = members(metric, Sought.of(paths))
    assert expected.keys() & paths <= found.keys() <= expected.keys()
    for path in paths & expected.keys():
        if found[path].typed.field == "double":
            assert repr(found[path].typed.value) == repr(expected[path])


def nested(depth: int, leaf: dict[str, Any]) -> dict[str, Any]:
    for _ in range(depth):
        leaf = {"name": "t", "datatype": 19, "template_value": {"metrics": [leaf]}}
    return leaf


def test_what_is_too_deep_or_too_much_is_refused() -> None:
    leaf = {"name": "x", "datatype": 9, "float_value": 1.0}
    [metric] = decode(payload(0, nested(DEEPEST + 1, leaf))).metrics()
    path = "t" + "/t" * DEEPEST + "/x"
    assert members(metric, Sought.of([path]))[path].typed.value == 1.0
    [metric] = decode(payload(0, nested(DEEPEST + 2, leaf))).metrics()
    with pytest.raises(Rejected, match="deep"):
        members(metric, Sought.of([f"t/{path}"]))
    bomb = REFERENCE["Template"](metrics=[REFERENCE["Metric"](name="m")] * (MOST_METRICS + 1))
    [metric] = decode(payload(0, {"name": "t", "template_value": bomb})).metrics()
    with pytest.raises(Rejected, match="members"):
        members(metric, Sought.of(["t/m"]))


def test_a_template_that_stands_as_something_else_is_refused() -> None:
    [metric] = decode(payload(0, {"name": "t", "datatype": 19, "int_value": 5})).metrics()
    with pytest.raises(Rejected, match="stands as int"):
        members(metric, Sought.of(["t/m"]))


@given(bits=st.lists(st.booleans(), max_size=70), at=st.integers(0, 80))
def test_one_of_many_booleans_is_the_one_of_all(bits: list[bool], at: int) -> None:
    packed = bytes(int("".join(str(int(b)) for b in bits[n : n + 8]).ljust(8, "0"), 2) for n in range(0, len(bits), 8))
    typed = Typed(NAMES.index("BooleanArray"), "bytes", len(bits).to_bytes(4, "little") + packed)
    assert elements(typed).tolist() == bits
    if at < len(bits):
        assert element(typed, at) == bits[at]
    else:
        with pytest.raises(Rejected, match="there is no"):
            element(typed, at)


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_message_takes_much_memory_or_many_dead_letters(bomb: str) -> None:
    """In a process of its own, so that what other tests took does not hide it."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.collectors.sparkplug_bomb", bomb],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    grown_mb, values, dead, size = map(int, run.stdout.split())
    assert size > 400_000
    assert values >= 1  # what is sought is found all the same
    assert dead < 3_000
    assert grown_mb < _MOST_GROWN_MB
