"""gateway.yaml written against us: a sentence with a line, in bounded memory and time, whatever its text grows into."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.formula import MAX_DEPTH, FormulaError, parse
from config.formula_units import check
from config.load import load
from tests.hostile.cost import TRAPPED_S, measured
from tests.pipeline.test_formula import meaning, value
from tests.tanflow.web import CONFIG

MIB = 1 << 20


def laughs(line: str, times: int = 9) -> str:
    """Return anchors each of which is made of nine aliases of the one before."""
    text = f"a0: &a0 {line}\n"
    return text + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, times + 1))


def merges(times: int) -> str:
    text = "b0: &b0 {" + ", ".join(f"k{n}: 1" for n in range(500)) + "}\n"
    return text + "".join(f"b{n}: &b{n}\n  <<: *b{n - 1}\n  x{n}: 1\n" for n in range(1, times))


TEXTS = {
    "aliases": (laughs("[1, 2, 3]"), "aliases expand to more than 1,000,000 values"),
    "wide aliases": ("a: &a [" + "1, " * 9_999 + "1]\nb: [" + "*a, " * 500 + "*a]\n", "aliases expand to more"),
    "merges of merges": (merges(2_500), "aliases expand to more"),
    "deep lists": ("a: " + "[" * 100_000, "nested deeper than 32 levels"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(3_000)), "nested deeper than 32 levels"),
    "deep brackets": ("a: " + "{b: " * 50_000, "nested deeper than 32 levels"),
    "a giant scalar": ("version: 1\nsite: {name: " + "x" * (8 * MIB) + "}\n", "at most"),
    "a giant number": ("version: " + "9" * MIB + "\n", "version"),
    "a giant key": ("k" * (4 * MIB) + ": 1\n", "not YAML"),
    "mistakes without end": (
        "version: 1\nconnections:\n" + "".join(f"  c{n}: 7\n" for n in range(12_000)),
        "more problems",
    ),
    "keys without end": ("version: 1\n" + "".join(f"k{n}: 1\n" for n in range(40_000)), "more problems"),
    "too many bytes": ("#" * (17 * MIB), "larger than 16 MiB"),
    "quotes without end": ('a: "' + "\\x41" * MIB, "not YAML"),
}


@pytest.mark.parametrize("name", list(TEXTS))
def test_a_configuration_is_refused_at_bounded_cost(tmp_path: Path, name: str) -> None:
    text, says = TEXTS[name]
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with measured() as cost, pytest.raises(ConfigError) as told:
        load(path)
    lines = [str(problem) for problem in told.value.problems]
    assert any(says in line for line in lines), lines[:3]
    assert len(lines) <= 201
    assert max(map(len, lines)) < 3_000
    assert cost.peak_bytes < 150 * MIB
    assert cost.cpu_s < TRAPPED_S


BREAKS = "\x00\r\x1b[31mred\x1b[0m\n2026-01-01 ERROR all is well"


def test_no_name_forges_a_line(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    escaped = BREAKS.replace("\x00", "\\0").replace("\r", "\\r").replace("\x1b", "\\e").replace("\n", "\\n")
    path.write_text(CONFIG + f'"{escaped}": 1\n')
    with pytest.raises(ConfigError) as told:
        load(path)
    assert str(told.value.problems[0]).isprintable()
    assert "\n" not in str(told.value.problems[0])


FORMULAS = {
    "brackets": "(" * 1_900 + "power",
    "signs": "-" * 1_900 + "power",
    "powers of powers": "x" + "^9" * 900,
    "calls in calls": "abs(" * 450 + "x",
    "terms": "+".join(["x"] * 990),
    "a giant number": "9" * 1_990 + " * x",
    "too long": "x + " * 50_000 + "x",
    "a unit of powers": "power * 1 " + "kW*" * 600 + "kW",
    "nested units": "1 kW/(m3" + "*kW" * 600 + ") * x",
    "a quote without end": "'" * 1_999,
    "digits and dots": "1." * 990,
    "letters": "a" * 1_999,
    "unit traps": "1 " + "kW^2/" * 390 + "!",
}


@pytest.mark.parametrize("name", list(FORMULAS))
def test_a_formula_is_refused_or_small(name: str) -> None:
    with measured() as cost, pytest.raises(FormulaError):
        check(parse.__wrapped__(FORMULAS[name]), meaning, "kW")
    assert cost.peak_bytes < 20 * MIB
    assert cost.cpu_s < TRAPPED_S


def test_exponents_make_no_number_without_end() -> None:
    """Whole numbers of Python would grow to gigabytes; here they are floats, and what is too large is unknown."""
    with measured() as cost:
        tower = "9" + "^9" * (MAX_DEPTH - 1)
        assert value(f"x * 0 + {tower}", "1", x=1.0) != value(f"x * 0 + {tower}", "1", x=1.0)  # NaN
        assert value("x ^ 1e308", "1", x=9.0) != 0
        with pytest.raises(FormulaError):
            check(parse("power ^ 1e300"), meaning, "kW")
    assert cost.peak_bytes < 20 * MIB
    assert cost.cpu_s < TRAPPED_S


def test_terms_made_of_terms_end() -> None:
    from config.formula_plan import Meaning, Term

    names: dict[str, Meaning] = {}

    def resolve(word: str) -> Meaning:
        return names[word] if word in names else meaning(word)

    for n in range(30):
        below = "x" if n == 0 else f"t{n - 1}"
        names[f"t{n}"] = Term(parse("+".join([below] * 200)), resolve)
    with measured() as cost, pytest.raises(FormulaError):
        check(parse("t29"), resolve, "1")
    assert cost.peak_bytes < 50 * MIB
    assert cost.cpu_s < TRAPPED_S
