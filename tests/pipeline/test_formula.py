"""The formula language: its grammar and nothing else, its units, and arithmetic that a naive evaluator agrees with."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.formula import MAX_DEPTH, MAX_LENGTH, FormulaError, parse
from config.formula_plan import Amount, Constant, Level, Meaning, Term
from config.formula_units import check
from pipeline.formula import compiled, leaves

NAMES: dict[str, Meaning] = {
    "power": Level("c.power.power", "kW", 300, energy="c.power.energy"),
    "flow": Level("c.flow.volume_flow", "m3/h", 300),
    "supply": Level("c.supply.temperature", "degC", 300),
    "back": Level("c.back.temperature", "degC", 300),
    "o2": Level("c.o2.ratio", "%", 300),
    "state": Level("c.state.state", "1", 300),
    "speed": Level("c.speed.speed", "1/min", 300),
    "pressure": Level("c.pressure.pressure", "bar", 300),
    "volume": Amount("c.volume.volume", "m3", "c.volume.energy", "c.volume.co2e"),
    "mass": Amount("c.mass.mass", "t"),
    "area": Constant(500.0, "m2"),
    "x": Level("c.x.ratio", "1", 300),
    "y": Level("c.y.ratio", "1", 300),
    "z": Level("c.z.ratio", "1", 300),
}
NAMES["both"] = Term(parse("power + 2 kW"), lambda word: NAMES[word])


def meaning(word: str) -> Meaning:
    if word not in NAMES:
        raise LookupError(f"there is no point '{word}'")
    return NAMES[word]


def value(text: str, unit: str, **window: float) -> float:
    """Return a formula's value; `window` holds what each name is over the window (mean, or sum)."""
    plan = check(parse(text), meaning, unit)
    terms = leaves(plan)
    columns = [np.array(window[leaf.signal.key.split(".")[1]]) for leaf in terms]  # type: ignore[union-attr]
    return float(compiled(plan, terms)(columns))


# ── units ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "unit", "window", "expected"),
    [
        ("power / flow", "kW/(m3/min)", {"power": 62.0, "flow": 582.0}, 62.0 / 9.7),
        ("power / flow", "kWh/m3", {"power": 62.0, "flow": 582.0}, 62.0 / 582.0),
        # 100 m³/h cooled by 5 K: 100 · 1.163 · 5
        ("1.163 kWh/m3/K*flow*(back-supply)", "kW", {"flow": 100.0, "back": 12.0, "supply": 7.0}, 581.5),
        ("energy(volume) / mass", "kWh/t", {"volume": 650.0, "mass": 2.0}, 325.0),
        ("energy(volume) / mass", "GJ/t", {"volume": 650.0, "mass": 2.0}, 1.17),
        ("co2e(volume) / sum(mass)", "kg/t", {"volume": 130.0, "mass": 2.0}, 65.0),
        ("power / area", "W/m2", {"power": 10.0}, 20.0),
        ("flow * pressure / power", "%", {"flow": 36.0, "pressure": 5.0, "power": 8.0}, 62.5),  # 0.01 m³/s · 500 kPa
        ("power + 500 W", "kW", {"power": 1.5}, 2.0),
        ("min(power, 3000 W)", "kW", {"power": 7.0}, 3.0),
        ("supply - 5 K - back", "K", {"supply": 30.0, "back": 20.0}, 5.0),
        ("both", "kW", {"power": 1.0}, 3.0),
        ("2 kW × (3 − 1) ÷ 1 kW + 0 * x", "1", {"x": 1.0}, 4.0),
        ("-x ^ 2", "1", {"x": 3.0}, -9.0),
        ("2 ^ 3 ^ x", "1", {"x": 2.0}, 512.0),
        ("(power / 1 kW) ^ 0.5 * 1 kW", "kW", {"power": 9.0}, 3.0),
        ("sqrt(power * power)", "W", {"power": 3.0}, 3000.0),
        ("if(supply > 25 degC, power, 0 kW)", "kW", {"supply": 26.0, "power": 4.0}, 4.0),
        ("clip(x, 0, 1)", "%", {"x": 1.7}, 100.0),
    ],
)
def test_units_are_carried_through(text: str, unit: str, window: dict[str, float], expected: float) -> None:
    assert value(text, unit, **window) == pytest.approx(expected, rel=1e-12)


def test_siegert_of_a_gas_boiler() -> None:
    """(200 − 20) · (0.66 / (21 − 3) + 0.009) = 180 · 0.045667 = 8.22 % of the net calorific value."""
    text = "(supply - 20 degC) * (0.66 %/K * 1 % / (21 % - o2) + 0.009 %/K)"
    assert value(text, "%", supply=200.0, o2=3.0) == pytest.approx(8.22, abs=1e-9)


@pytest.mark.parametrize(
    ("gauge_mpa", "kw"), [(0.3, 2.835), (0.5, 3.900), (0.7, 4.733), (0.8, 5.095), (1.0, 5.740), (1.25, 6.437)]
)
def test_isentropic_power_of_a_cubic_metre_a_minute(gauge_mpa: float, kw: float) -> None:
    """P = q·p₁·κ/(κ−1)·[(p₂/p₁)^((κ−1)/κ) − 1] at p₁ = 1 bar, κ = 1.4; at 0.7 MPa 100/60 · 3.5 · (8^0.285714 − 1)."""
    text = "1 m3/min * 1 bar * 3.5 * (((pressure + 1 bar) / 1 bar)^(0.4/1.4) - 1)"
    assert value(text, "kW", pressure=gauge_mpa * 10) == pytest.approx(kw, abs=0.0006)


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        (
            "power + flow",
            "kW",
            r"column 7: '\+' cannot put kW \[mass·length²/time³\] and m3/h \[length³/time\] together",
        ),
        ("power", "kWh", r"gives kW \[mass·length²/time³\], but unit: says kWh \[mass·length²/time²\]"),
        ("supply + back", "K", "cannot be added"),
        ("supply * 2", "K", "cannot take a temperature in °C"),
        ("supply", "K", "is a temperature in °C"),
        ("min(supply, 5 K)", "K", "either temperatures in °C or differences"),
        ("power > 3 kW", "1", "is a condition"),
        ("power > 3", "1", "column 7: '>' cannot put kW"),
        ("if(power, 1, 2)", "1", "takes a condition first"),
        ("x and y", "1", "joins conditions"),
        ("power ^ x", "kW", "only a plain number can be raised to a measured power"),
        ("2 ^ power", "1", "an exponent is a plain number"),
        ("mean(volume)", "m3", "counts amounts"),
        ("sum(power)", "kW", "is no counter"),
        ("energy(mass)", "kWh", "no kWh follow from 'mass'"),
        ("mean(max(power))", "kW", "cannot stand within another"),
        ("duration(power)", "h", "takes a condition"),
        ("integral(supply)", "K*h", "is no unit|cannot be integrated"),
        ("5 flow", "m3/h", "'flow' is no unit"),
        ("2 kW/power", "1", "put a blank between a unit"),
        ("power", "bogus", "'bogus' is no unit"),
        ("12 kW", "kW", "names no measured point"),
        ("pwr", "kW", "there is no point 'pwr'"),
        ("sin(x)", "1", "there is no function 'sin'"),
        ("clip(x, 0)", "1", "takes 3 arguments"),
    ],
)
def test_what_does_not_fit_is_told_with_its_column(text: str, unit: str, said: str) -> None:
    with pytest.raises(FormulaError, match=said) as told:
        check(parse(text), meaning, unit)
    assert 1 <= told.value.column <= len(text)


def test_a_term_made_of_itself_is_told() -> None:
    def circular(word: str) -> Meaning:
        return Term(parse("again + 1"), circular)

    with pytest.raises(FormulaError, match="made of itself"):
        check(parse("again"), circular, "1")


# ── grammar ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "", "(", ")", "x +", "x y", "x..y", "a.b.c", "x[0]", "x = 1", "x == y == z", "lambda: 1", "x if y else z",
        "__import__('os').system('ls')", "().__class__", "x;y", "x\\y", "{x}", "f'{x}'", "x // y", "x ** y", "x % y",
        "~x", "not x", "1e", "1.2.3", "'x", '"x"', "min(,)", "min(x,)", "@x", "x&y", "x|y", "!x", "`x`", "\0",
    ],
)  # fmt: skip
def test_nothing_but_the_grammar_is_accepted(text: str) -> None:
    with pytest.raises(FormulaError):
        check(parse(text), meaning, "1")


@given(st.text(max_size=60) | st.text("xyz0123456789.+-*/^()<>=!, '\"%kWhm_[]", max_size=60))
def test_any_text_is_a_formula_or_a_sentence(text: str) -> None:
    with contextlib.suppress(FormulaError):
        check(parse(text), meaning, "1")


def test_length_and_depth_are_bounded() -> None:
    assert parse("(" * (MAX_DEPTH - 1) + "x" + ")" * (MAX_DEPTH - 1))
    for text in (
        "(" * 1_000 + "x",
        "-" * 1_000 + "x",
        "x^" * 900 + "x",
        "min(" * 500,
        "x" * (MAX_LENGTH + 1),
        "x+" * 400,
    ):
        with pytest.raises(FormulaError):
            parse(text)


# ── arithmetic ────────────────────────────────────────────────────────────────────────────────────

Tree = tuple[str, tuple[Any, ...]]
numbers = st.floats(0, 100).map(lambda f: ("number", (round(f, 3),)))
names = st.sampled_from("xyz").map(lambda n: ("name", (n,)))


def larger(smaller: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    conditions = st.tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.tuples(smaller, smaller))
    joined = conditions | st.tuples(st.sampled_from(["and", "or"]), st.tuples(conditions, conditions))
    return (
        st.tuples(st.sampled_from(["+", "-", "*", "/", "^", "min", "max"]), st.tuples(smaller, smaller))
        | st.tuples(st.sampled_from(["negative", "abs", "sqrt"]), st.tuples(smaller))
        | st.tuples(st.just("clip"), st.tuples(smaller, smaller, smaller))
        | st.tuples(st.just("if"), st.tuples(joined, smaller, smaller))
    )


trees = st.recursive(numbers | names, larger, max_leaves=12)


def text_of(tree: Tree) -> str:
    """Return a tree as a formula with every bracket written."""
    kind, parts = tree
    if kind in ("number", "name"):
        return str(parts[0]) if kind == "name" else f"{parts[0]:.3f}"
    inside = [text_of(part) for part in parts]
    if kind == "negative":
        return f"(-{inside[0]})"
    if kind in ("abs", "sqrt", "min", "max", "clip", "if"):
        return f"{kind}({', '.join(inside)})"
    return f"({inside[0]} {kind} {inside[1]})"


def known(result: float) -> float | None:
    return result if math.isfinite(result) else None


def naive(tree: Tree, of: dict[str, float]) -> float | None:
    """Return the value of a tree step by step, None for unknown."""
    kind, parts = tree
    if kind == "number":
        return float(parts[0])
    if kind == "name":
        return known(of[parts[0]])
    given_ = [naive(part, of) for part in parts]
    if kind == "if":
        return None if given_[0] is None else given_[1] if given_[0] else given_[2]
    if any(g is None for g in given_):
        return None
    a, b, c = [*(g for g in given_ if g is not None), 0.0, 0.0, 0.0][:3]
    try:
        return _operate(kind, a, b, c)
    except (ArithmeticError, ValueError):
        return None


def _operate(kind: str, a: float, b: float, c: float) -> float | None:
    table: dict[str, Any] = {
        "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a / b, "^": lambda: math.pow(a, b),
        "<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b, "==": lambda: a == b,
        "!=": lambda: a != b, "and": lambda: min(a, b), "or": lambda: max(a, b), "min": lambda: min(a, b),
        "max": lambda: max(a, b), "negative": lambda: -a, "abs": lambda: abs(a), "sqrt": lambda: math.sqrt(a),
        "clip": lambda: min(max(a, b), c),
    }  # fmt: skip
    return known(float(table[kind]()))


@given(trees, st.lists(st.tuples(*[st.floats(-50, 50) | st.just(math.nan)] * 3), min_size=1, max_size=5))
def test_a_compiled_formula_is_what_a_naive_evaluator_says(tree: Tree, rows: Sequence[tuple[float, ...]]) -> None:
    text = text_of(tree)
    if not any(name in text.replace("max", "") for name in "xyz"):
        with pytest.raises(FormulaError, match="names no measured point"):
            check(parse(text), meaning, "1")
        return
    plan = check(parse(text), meaning, "1")
    terms = leaves(plan)
    place = {leaf.signal.key.split(".")[1]: n for n, leaf in enumerate(terms)}  # type: ignore[union-attr]
    columns = [np.array([row["xyz".index(n)] for row in rows]) for n in place]
    found = np.broadcast_to(compiled(plan, terms)(columns), len(rows)).tolist()
    for row, value_ in zip(rows, found, strict=True):
        expected = naive(tree, dict(zip("xyz", row, strict=True)))
        if expected is None:
            assert math.isnan(value_), text
        else:
            assert value_ == pytest.approx(expected, rel=1e-9, abs=1e-9), text
