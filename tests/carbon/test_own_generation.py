"""Own generation: what a site uses of it, exports and sells the attribute of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.market.own_generation import null_power, own_power, shares

KWH = 1_000_000  # [mWh]


def kwh(*amounts: float) -> np.ndarray:
    return np.array([round(a * KWH) for a in amounts], np.int64)


def test_a_day_of_pv_by_hand() -> None:
    # Three hours of a roof with 100 kW. GHG Protocol Scope 2 Guidance (2015), figure 5.4: on-site generation.
    #   generated 80, exported 30, imported  0 kWh → used 50 of its own, consumed  50
    #   generated 60, exported  0, imported 40     → used 60,            consumed 100
    #   generated  0, exported  0, imported 50     → used  0,            consumed  50
    own = own_power(kwh(80, 60, 0), kwh(30, 0, 0), kwh(0, 40, 50))
    assert own.self_used.tolist() == kwh(50, 60, 0).tolist()
    assert own.consumed.tolist() == kwh(50, 100, 50).tolist()
    assert own.findings == ()
    # Own use 110 of 140 generated, and of 200 consumed; with 18 kWh of certificates bought 128/200 are green.
    got = shares(own, kwh(0, 0, 0), kwh(0, 8, 10))
    assert (got.self_used, got.own, got.green) == (110 / 140, 0.55, 0.64)


def test_more_exported_than_generated_is_told_and_not_negative() -> None:
    own = own_power(kwh(10, 10), kwh(4, 12), kwh(0, 0))
    assert own.self_used.tolist() == kwh(6, 0).tolist()
    assert own.unexplained.tolist() == kwh(0, 2).tolist()
    assert "more was exported than generated, 2.000 kWh" in own.findings[0]


def test_a_negative_register_is_refused() -> None:
    with pytest.raises(ValueError, match="counted upwards"):
        own_power(kwh(10), kwh(-1), kwh(0))


def test_certificates_sold_beyond_export_take_the_attribute_of_own_use() -> None:
    # March (month 662 from January 1970): generated 140, exported 30, so certificates of 30 kWh belong to the export;
    # 52 sold are 22 of own use, shared as 50 : 60 → 10 and 12 kWh that now take the residual factor.
    own = own_power(kwh(80, 60, 0), kwh(30, 0, 0), kwh(0, 40, 50))
    month = np.full(3, 662)
    null, findings = null_power(own, month, {662: 52 * KWH})
    assert null.tolist() == kwh(10, 12, 0).tolist()
    assert findings == ()
    assert shares(own, null, kwh(0, 0, 0)).green == (110 - 22) / 200
    assert null_power(own, month, {662: 30 * KWH})[0].sum() == 0


def test_more_certificates_sold_than_generated_is_told() -> None:
    own = own_power(kwh(10), kwh(0), kwh(0))
    null, findings = null_power(own, np.array([662]), {662: 11 * KWH})
    assert null.tolist() == kwh(10).tolist()
    assert "2025-03: certificates of 11.000 kWh" in findings[0]


def test_shares_of_nothing_are_unknown() -> None:
    got = shares(own_power(kwh(0), kwh(0), kwh(0)), kwh(0), kwh(0))
    assert (got.self_used, got.own, got.green) == (None, None, None)


@given(st.lists(st.tuples(*[st.integers(0, 10**12)] * 3), min_size=1, max_size=20), st.integers(0, 10**13))
def test_own_use_and_export_are_what_was_generated(rows: list[tuple[int, int, int]], sold: int) -> None:
    generated, exported, imported = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    own = own_power(generated, exported, imported)
    assert np.array_equal(own.self_used + own.exported, generated)
    assert np.array_equal(own.exported + own.unexplained, exported)
    assert np.all(own.self_used >= 0)
    null, _ = null_power(own, np.zeros(len(rows), np.int64), {0: sold})
    assert np.all((null >= 0) & (null <= own.self_used))
    exported_own = int(own.exported.sum())
    assert int(null.sum()) == min(max(sold - exported_own, 0), int(own.self_used.sum()))
