"""Two thousand random gaps in a recorded year: the conservative step must not flatter, and must not be absurd either.

The bound is of 95 %; the same holes are those of the table in docs/substitution.md, which has to say the same.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.substitution import DAYS, DOC, condat, conservative, judge, steel

MOST_OVER = {1: 0.70, 3: 0.60, 7: 0.50}  # of all gaps together; the sum of hourly percentiles has 1.05 and more


def test_the_year_is_the_one_its_source_describes() -> None:
    year = steel()
    assert len(year.amount) == 35_040
    assert year.amount.sum() == 959_636_710_000  # Σ 959,636.71 kWh
    assert year.amount[:96].sum() == pytest.approx(352.26e6, rel=0.01)  # New Year's Day, when the plant stood still


@pytest.mark.parametrize("days", DAYS)
def test_gaps_are_not_understated(days: int) -> None:
    judged = judge(steel(), days, conservative())
    assert len(judged.true) == 2_000
    assert judged.not_understated >= 0.95
    assert judged.of_all <= MOST_OVER[days]
    over = judged.over()
    figures = (judged.of_all, over.mean(), *np.quantile(over, (0.5, 0.05, 0.95)))
    shown = " | ".join(f"{100 * figure:+.1f} %" for figure in figures)
    assert f"| {100 * judged.not_understated:.2f} % | {shown} |" in DOC.read_text(encoding="utf-8")


@pytest.mark.parametrize("days", [1 / 2, 14])
def test_shorter_and_longer_gaps_are_not_understated_either(days: float) -> None:
    assert judge(steel(), days, conservative()).not_understated >= 0.95


@pytest.mark.parametrize("days", [1, 7])
def test_heat_made_on_site_is_not_overstated(days: int) -> None:
    judged = judge(condat(), days, conservative("down"))
    assert judged.not_overstated >= 0.95
    assert judged.filled.sum() > 0.25 * judged.true.sum()  # not all of it is given away by caution
