"""YAML is read as YAML 1.2 means it, with the line of every key."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.yaml_lines import Unreadable, locate, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("20:00", "20:00"),
        ("2024-01-01", "2024-01-01"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("3.1.1", "3.1.1"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("0x1F", 31),
        ("0o17", 15),
        ("-12", -12),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("9" * 41, "9" * 41),
        ("'5'", "5"),
        ('"true"', "true"),
        ("=", "="),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: Any) -> None:
    data, _, issues = read(f"a: {text}")
    assert data == {"a": value}
    assert type(data["a"]) is type(value)
    assert issues == []


PLAIN = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co", "Zl", "Zp"]), max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_json_reads_it(data: Any) -> None:
    text = json.dumps(data, ensure_ascii=False).replace("\ufeff", "")
    assert read(text)[0] == json.loads(text)


def test_places_are_the_lines_of_the_keys() -> None:
    text = "a:\n  b:\n    - x\n    -\n      c: 1\n  d: {e: 1,\n    f: 2}\n"
    _, top, _ = read(text)
    assert locate(top, ("a", "b", 0)) == (3, ("a", "b", 0))
    assert locate(top, ("a", "b", 1, "c")) == (5, ("a", "b", 1, "c"))
    assert locate(top, ("a", "d", "f")) == (7, ("a", "d", "f"))
    assert locate(top, ("a", "modbus", "d", "missing")) == (6, ("a", "d"))


def test_an_alias_stands_on_its_own_line_and_its_content_where_it_is_written() -> None:
    _, top, _ = read("a: &x\n  b: 1\nc: *x\n")
    assert locate(top, ("c",)) == (3, ("c",))
    assert locate(top, ("c", "b")) == (2, ("c", "b"))


def test_a_merge_gives_way_to_keys_of_its_own() -> None:
    data, _, issues = read("a: &x {b: 1, c: 2}\nd: {c: 3, <<: *x}\n")
    assert data["d"] == {"c": 3, "b": 1}
    assert issues == []


def test_deep_nesting_and_growing_aliases_are_refused_at_once() -> None:
    with pytest.raises(Unreadable, match="deeper"):
        read("[" * 100_000)
    with pytest.raises(Unreadable, match="expand"):
        read("a0: &a0 [x]\n" + "".join(f"a{i + 1}: &a{i + 1} [{f'*a{i},' * 9}]\n" for i in range(60)))
