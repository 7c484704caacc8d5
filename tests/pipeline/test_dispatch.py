"""Which machines should run: against every possible choice, and by hand."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dispatch import MAX_MACHINES, Machine, best, together

FIXED = Machine("fixed", ((0.0, 15.0), (9.7, 62.0)))
VARIABLE = Machine("variable", ((0.0, 12.0), (3.0, 25.0), (8.0, 50.0), (13.2, 84.0)))


@st.composite
def machines(draw: st.DrawFn) -> list[Machine]:
    found = []
    for n in range(draw(st.integers(1, 4))):
        flows = sorted(draw(st.sets(st.integers(1, 20), min_size=1, max_size=3)))
        powers = [draw(st.floats(1, 10)), *(f * draw(st.floats(5, 8)) for f in flows)]
        found.append(Machine(f"m{n}", tuple(zip([0.0, *map(float, flows)], powers, strict=True))))
    return found


@given(machines(), st.floats(0.1, 60))
def test_no_other_choice_takes_less(choices: list[Machine], demand: float) -> None:
    """Each machine stands, runs full or trims; of all 3ⁿ assignments with at most one trimming, none is cheaper."""
    least = math.inf
    for roles in itertools.product(("off", "full", "trim"), repeat=len(choices)):
        rest = demand - sum(m.full[0] for m, r in zip(choices, roles, strict=True) if r == "full")
        trims = [m for m, r in zip(choices, roles, strict=True) if r == "trim"]
        if len(trims) > 1 or rest < -1e-9 or (rest > 1e-9 and not (trims and trims[0].full[0] >= rest - 1e-9)):
            continue
        power = sum(m.full[1] for m, r in zip(choices, roles, strict=True) if r == "full")
        least = min(least, power + sum(t.power(rest) for t in trims))
    found = best(choices, demand)
    assert (found is None) == math.isinf(least)
    if found is not None:
        assert found.power_kw == pytest.approx(least)


def test_by_hand() -> None:
    """12 m³/min. Alone the variable one: 50 + 34 · 4/5.2 = 76.2 kW. With the fixed one full it delivers 2.3:
    62 + 12 + 13 · 2.3/3 = 84.0; the other way round 13.2 is too much. 20: 62 + 50 + 34 · 2.3/5.2 = 127.0 against
    84 + 15 + 47 · 6.8/9.7 = 131.9."""
    alone = best([FIXED, VARIABLE], 12.0)
    assert alone is not None
    assert (alone.full, alone.trim, round(alone.power_kw, 1)) == ((), "variable", 76.2)
    assert alone.specific_power == pytest.approx(76.15 / 12, abs=0.01)
    both = best([FIXED, VARIABLE], 20.0)
    assert both is not None
    assert (both.full, both.trim, round(both.power_kw, 1)) == (("fixed",), "variable", 127.0)
    assert best([FIXED, VARIABLE], 23.0) is None
    nothing = best([FIXED], 0.0)
    assert nothing is not None
    assert nothing.power_kw == 0.0


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        best([FIXED] * (MAX_MACHINES + 1), 1.0)
    with pytest.raises(ValueError, match="must begin at flow 0"):
        Machine("x", ((1.0, 5.0), (2.0, 6.0)))


def test_all_running_share_the_load_by_hand() -> None:
    """11.45 of 22.9 m³/min: each at half. 15 + 47/2 = 38.5 and, at 6.6, 25 + 25 · 3.6/5 = 43: 81.5 kW."""
    assert together([FIXED, VARIABLE], 11.45) == pytest.approx(81.5)
    assert together([FIXED, VARIABLE], 23.0) is None
