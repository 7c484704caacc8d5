"""Which certificates may not be counted, which are doubtful, and statements that contradict themselves."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from carbon.market.allocation import Instruments, allocate
from carbon.market.certificates import accept, markets_of
from config.errors import GatewayError
from tests.carbon.instruments import CHINA, MWH, gec, hours


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"cancelled": None}, "not cancelled"),
        ({"cancelled": date(2026, 5, 1)}, "after the report's deadline of 2026-04-30"),
        ({"cancelled_for": "Neighbour"}, "cancelled for Neighbour, not for Factory"),
        ({"market": "GB", "kind": "REGO"}, "of the market GB, which is not that of consumption in CN-GD"),
        # Two years, the month of production counted: of January 2024 the last day is 2025-12-31.
        ({"produced": "2024-01"}, "expired on 2025-12-31, cancelled on 2026-01-20"),
        ({"issued": date(2026, 2, 1)}, "cancelled before they were issued"),
    ],
)
def test_certificates_that_are_not_counted(changed: dict[str, Any], why: str) -> None:
    kept, findings = accept([gec(**changed)], "CN-GD", "Factory", date(2026, 4, 30))
    assert kept == []
    assert why in findings[0]


def test_certificates_are_used_once() -> None:
    first, again = gec(), gec("gec-9", produced="2025-04", first_id="gec-1-00600", last_id="gec-1-00609", mwh=10)
    kept, findings = accept([again, first], "CN-GD", "factory")
    assert kept == [first]
    assert findings == [
        f"certificates {again.name} are not counted: some of these numbers are those of {first.name} already"
    ]


def test_what_a_refused_statement_claims_stays_free() -> None:
    refused, good = gec(cancelled=None), gec("gec-9", first_id="gec-1-00001", last_id="gec-1-00600")
    assert accept([refused, good], "CN-GD")[0] == [good]


def test_doubts_are_told_and_do_not_refuse() -> None:
    kept, findings = accept([gec(kind="other", cancelled_for="")], "CN-GD", "Factory")
    assert len(kept) == 1
    assert ["for whom" in findings[0], "when they expire" in findings[1]] == [True, True]


def test_guarantees_of_origin_cross_borders_within_the_eea_only() -> None:
    # Directive (EU) 2018/2001, article 19: 18 months after production; of March 2025 up to the end of September 2026.
    norway = gec(kind="GO", market="NO", cancelled=date(2026, 9, 30))
    assert accept([norway], "ES")[0] == [norway]
    assert accept([norway], "GB")[0] == []
    assert accept([gec(kind="GO", market="NO", cancelled=date(2026, 10, 1))], "ES")[0] == []
    assert markets_of("US-CAMX") == {"US"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"last_id": "gec-1-00500"}, "hold 500 certificates of 1 MWh, but mwh says 600"),
        ({"last_id": "gec-2-00600"}, "of one series"),
        ({"produced": "2025-13"}, "match"),
    ],
)
def test_statements_that_contradict_themselves(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        gec(**changed)


def test_one_statement_of_several_series_and_two_instruments_of_one_name() -> None:
    first, second = gec(mwh=10), gec(mwh=5, first_id="gec-1-00011", last_id="gec-1-00015", produced="2025-04")
    start, bought = hours(2025, 3, 10), np.full(10, 10 * MWH)
    got = allocate(start, bought, Instruments(accept([first, second], "CN-GD", "Factory")[0]), CHINA)
    assert {name: int(amounts.sum()) for name, amounts in got.covered.items()} == {
        first.name: 10 * MWH, second.name: 5 * MWH,
    }  # fmt: skip
    with pytest.raises(GatewayError, match="given twice: gec-1 gec-1-00001–gec-1-00010"):
        Instruments([first, first])
