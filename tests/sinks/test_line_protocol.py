"""The encoder against influxdata's corpus, and any point read back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.line_protocol import encode_point
from tests.sinks.line_reader import Value, read, read_texts, read_value

CORPUS = Path(__file__).parent.parent / "data" / "lineprotocol" / "encode.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["encode"]


def with_plain_floats(line: str) -> str:
    """Return a line in which only the print of its floats is levelled: 6.632243e+06 becomes 6632243.0."""
    for text in read_texts(line.encode())[2].values():
        if isinstance(value := read_value(text), float):
            line = re.sub(rf"={re.escape(text)}(?=[, ])", f"={value!r}", line)
    return line


def point_of(case: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]], dict[str, Value], int]:
    point = case["input"]["point"]
    fields: dict[str, Value] = {}
    for field in point["fields"]:
        ((kind, value),) = field["value"].items()
        fields[field["key"]] = float(value) if kind == "float" else value
    return point["name"], [(tag["key"], tag["value"]) for tag in point["tags"]], fields, point["time"]


def test_the_corpus_is_whole() -> None:
    assert len(CASES) == 115


@pytest.mark.parametrize("name", sorted(CASES))
def test_corpus(name: str) -> None:
    case = CASES[name]
    if "error" in case["output"]:
        with pytest.raises(ValueError, match="tag"):
            encode_point(*point_of(case))
    else:
        line = encode_point(*point_of(case))
        assert with_plain_floats(line.decode()) == with_plain_floats(case["output"]["result"])


texts = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=12)
awkward = st.text(st.sampled_from(' ,="\\#%é碳a'), min_size=1, max_size=6)
names = (texts | awkward).filter(lambda name: not name.endswith("\\"))
values = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | awkward
)
times = st.integers(-(2**62), 2**62)


@given(
    names.filter(lambda name: not name.startswith("#")),
    st.lists(st.tuples(names, names), max_size=4),
    st.dictionaries(names, values, min_size=1, max_size=4),
    times,
)
def test_any_point_reads_back_as_it_was(
    measurement: str, tags: list[tuple[str, str]], fields: dict[str, Value], time_ns: int
) -> None:
    assert read(encode_point(measurement, tags, fields, time_ns)) == (measurement, tags, fields, time_ns)


@pytest.mark.parametrize(
    ("measurement", "tags", "fields", "words"),
    [
        ("", [], {"a": 1.0}, "empty measurement"),
        ("m", [("", "b")], {"a": 1.0}, "empty tag key"),
        ("m", [("a", "")], {"a": 1.0}, "empty value of tag 'a'"),
        ("m", [("a", "b\\")], {"a": 1.0}, "backslash"),
        ("m", [("a", "b\nc")], {"a": 1.0}, "line break"),
        ("m", [], {"a\\": 1.0}, "backslash"),
        ("m", [], {}, "without fields"),
        ("m", [], {"a": math.nan}, "not a number"),
        ("m", [], {"a": math.inf}, "not a number"),
        ("m", [], {"a": 2**63}, "64 bits"),
        ("#m", [], {"a": 1.0}, "comment"),
    ],
)
def test_what_the_protocol_cannot_express_is_refused(
    measurement: str, tags: list[tuple[str, str]], fields: dict[str, Value], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        encode_point(measurement, tags, fields, 0)
